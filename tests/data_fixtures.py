"""One small dataset for the room's tests."""

import pytest

import fakes
from justzoomin.data import open_dataset


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A good dataset as downloaded; not to be changed."""
    return fakes.make_repository(tmp_path_factory.mktemp("data") / "town")


@pytest.fixture(scope="session")
def dataset(repository):
    return open_dataset(repository)
