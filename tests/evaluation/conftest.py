"""A small town and a fresh tiny model."""

import pytest

import fakes
from justzoomin.data import open_dataset


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    return fakes.make_repository(tmp_path_factory.mktemp("evaluation") / "town", pixels=32, train=3, val=9)


@pytest.fixture(scope="session")
def dataset(repository):
    return open_dataset(repository)


@pytest.fixture(scope="session")
def model():
    return fakes.tiny_model()
