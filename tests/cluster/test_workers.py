"""A worker checks that its model and map are the driver's, and reports any difference."""

import platform

import pytest

import fakes
from justzoomin.cluster.workers import IndexWorker, PhotoWorker, Places, absolute_path, renamed
from justzoomin.errors import ClusterError, PhotoError
from justzoomin.maps import Map
from justzoomin.search import Localizer, build_index


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return fakes.tiny_model(seed=5).save_pretrained(tmp_path_factory.mktemp("cluster") / "other")


@pytest.fixture(scope="module")
def other_town(tmp_path_factory):
    """The same region with different pictures."""
    root = tmp_path_factory.mktemp("cluster") / "other"
    return fakes.make_repository(root, pixels=32, depth=3, grid=4, train=1, val=1, seed=1)


def places(model, town, repository):
    return Places(str(model), str(town), fakes.grid_of(repository), "cpu", 1, 8)


@pytest.mark.parametrize("what", ["model", "map", "no map"])
def test_another_model_or_map_is_refused_by_the_machine_that_has_it(what, repository, model, other, other_town, tmp_path):
    head = build_index(model, Map.open(repository), tmp_path / "i", device="cpu", lazy=True).head
    localizer = Localizer.load(model, repository, device="cpu")
    town = {"model": repository, "map": other_town, "no map": tmp_path / "nowhere"}[what]
    here = places(other if what == "model" else model, town, repository)
    hashes = localizer.model_hash, localizer.map_hash
    for worker in (IndexWorker(here, head.model, head.content), PhotoWorker(here, None, *hashes)):
        error = worker.ready()
        assert isinstance(error, ClusterError) and platform.node() in error.where
        assert "nowhere" in str(error) if what == "no map" else "driver's" in error.what


def test_the_same_ones_are_taken(repository, model, tmp_path):
    head = build_index(model, Map.open(repository), tmp_path / "i", device="cpu", lazy=True).head
    assert IndexWorker(places(model, repository, repository), head.model, head.content).ready() is None


def test_errors_bear_the_drivers_name_of_the_photo():
    error = renamed(PhotoError("/somewhere/a.jpg", "it is missing", "Give it."), "a.jpg", "/somewhere/a.jpg")
    assert isinstance(error, PhotoError) and str(error) == "a.jpg: it is missing. Give it."
    other = PhotoError("tile 3", "it is broken", "Fetch it.")
    assert renamed(other, "a.jpg", "/somewhere/a.jpg") is other


def test_paths_are_made_whole_and_names_are_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "town").mkdir()
    assert absolute_path("town") == str(tmp_path / "town")
    for name in ("owner/model", "https://tiles.example/{z}/{x}/{y}.jpg"):
        assert absolute_path(name) == name
