"""A small town and a fresh tiny model."""

import pytest
import torch

import fakes
from justzoomin.data import halves, normalize, open_dataset
from justzoomin.maps import GridViews
from justzoomin.search import ViewVectors


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    return fakes.make_repository(tmp_path_factory.mktemp("search") / "town", pixels=32, depth=3, grid=3, train=3, val=5)


@pytest.fixture(scope="session")
def dataset(repository):
    return open_dataset(repository)


@pytest.fixture(scope="session")
def model():
    return fakes.tiny_model(grid=3)


@pytest.fixture
def vectors(model, dataset):
    return ViewVectors(model, GridViews(dataset.map, dataset.grid, model.config.image_pixels), batch_size=4)


@pytest.fixture(scope="session")
def pairs(model, dataset):
    """Normalized halves (5, 2, 3, 32, 32) of the photos of `val`."""
    samples = dataset.torch_dataset("val", model.config.image_pixels)
    wide = torch.stack([samples[k]["wide"] for k in range(len(samples))])
    return normalize(halves(wide), model.config.mean, model.config.std)
