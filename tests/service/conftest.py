"""A small town, a tiny model with a matcher, and a localizer."""

import pytest

import fakes
from justzoomin.data import open_dataset
from justzoomin.search import Localizer


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("service") / "town"
    return open_dataset(fakes.make_repository(root, pixels=32, depth=2, grid=4, train=2, val=6))


@pytest.fixture(scope="session")
def localizer(dataset):
    return Localizer(fakes.tiny_matching_model(), dataset.map)


@pytest.fixture(scope="session")
def photos(dataset):
    """Name and bytes of six photos."""
    return [(f"{one}.jpg", dataset.photos.read(one)) for one in dataset.split("val").image_ids]
