"""A map described by the workers of a cluster, some of which end, is the one that a single process describes."""

import contextlib

import pytest
from pretended_ray import PretendedRay

import fakes
from justzoomin.cluster import build_index_on_cluster
from justzoomin.cluster.joining import Room
from justzoomin.cluster.workers import PieceWorker, Places
from justzoomin.errors import ClusterError
from justzoomin.maps import Map
from justzoomin.models import open_model
from justzoomin.search import build_index, described


@pytest.fixture(scope="module")
def matching(repository, tmp_path_factory):
    return fakes.tiny_matching_model().save_pretrained(tmp_path_factory.mktemp("cluster") / "matching",
                                                       fakes.grid_of(repository))


def test_workers_describe_and_the_driver_writes(matching, repository, tmp_path, monkeypatch):
    deaths = {("work", 3), ("work", 7)}

    def dies(*call):
        return call in deaths and not deaths.remove(call)

    ray = PretendedRay(seed=1, dies=dies)
    monkeypatch.setattr("justzoomin.cluster.indexing.joined", lambda address: contextlib.nullcontext(ray))
    monkeypatch.setattr("justzoomin.cluster.indexing.room", lambda ray, device: Room(workers=2, cores=1, gpus=0))
    news, told = [], []
    found = build_index_on_cluster("auto", matching, repository, tmp_path / "cluster", announce=told.append,
                                   describing=lambda *count: news.append(count))
    local = build_index(matching, Map.open(repository), tmp_path / "local", device="cpu")
    pieces = described(local.folder).pieces
    assert not deaths and ray.begun == 4 and found.count() == 0 == local.count() and told[0].pieces == pieces
    assert news == [(done, pieces) for done in range(pieces + 1)]
    assert (found.folder / "ground.bin").read_bytes() == (local.folder / "ground.bin").read_bytes()
    finished = len(ray.finished)
    build_index_on_cluster("auto", matching, repository, tmp_path / "cluster")
    assert len(ray.finished) == finished, "pieces were described again"


def test_views_of_a_zoomer_are_encoded_as_before(model, repository, tmp_path, monkeypatch):
    ray = PretendedRay(seed=2)
    monkeypatch.setattr("justzoomin.cluster.indexing.joined", lambda address: contextlib.nullcontext(ray))
    monkeypatch.setattr("justzoomin.cluster.indexing.room", lambda ray, device: Room(workers=2, cores=1, gpus=0))
    news = []
    found = build_index_on_cluster("auto", model, repository, tmp_path / "cluster", progress=lambda *count: news.append(count))
    local = build_index(model, Map.open(repository), tmp_path / "local", device="cpu")
    assert found.count() == 273 and news[0] == (0, 273) and news[-1] == (273, 273) and described(found.folder) is None
    assert (found.folder / "views.bin").read_bytes() == (local.folder / "views.bin").read_bytes()


def test_a_worker_with_another_model_or_map_says_so(matching, model, repository, tmp_path):
    index = build_index(matching, Map.open(repository), tmp_path / "i", device="cpu", lazy=True)
    head = index.ground(open_model(matching, device="cpu"), Map.open(repository)).head
    here = Places(str(model), str(repository), fakes.grid_of(repository), "cpu", 1, 8)
    error = PieceWorker(here, head.model, head.content).ready()
    assert isinstance(error, ClusterError) and "driver's" in error.what
