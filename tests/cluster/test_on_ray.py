"""A cluster of two nodes with a worker killed in the middle gives the results of one process."""

import os
import signal
import sys

import numpy as np
import pytest

from justzoomin.cluster import build_index_on_cluster, joined, localize_on_cluster
from justzoomin.data import open_dataset
from justzoomin.errors import ClusterError, JustZoomInError, MissingExtraError
from justzoomin.maps import Map
from justzoomin.search import Localizer, MapIndex, build_index, indexing, localize_to_file

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")


@on_linux
def test_an_index_of_which_a_worker_was_killed_is_the_local_one(cluster, workers, repository, model, tmp_path, monkeypatch):
    monkeypatch.setattr(indexing, "BLOCK", 24)
    killed, calls = [], []

    def progress(done, total):
        calls.append((done, total))
        if 0 < done < total and not killed:
            killed.append(workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    found = build_index_on_cluster(cluster, model, repository, tmp_path / "cluster", batch_size=8, progress=progress)
    local = build_index(model, Map.open(repository), tmp_path / "local", device="cpu", batch_size=8)
    everything = np.arange(len(local))
    assert killed, "no worker was killed: the test shows nothing"
    assert calls[0] == (0, 273) and calls[-1] == (273, 273) and calls == sorted(calls)
    assert found.count() == len(local) == 273 and found.head == local.head
    assert np.array_equal(found.read(everything), local.read(everything)), "not the same bit for bit"
    assert (tmp_path / "cluster" / "views.bin").read_bytes() == (tmp_path / "local" / "views.bin").read_bytes()
    monkeypatch.setattr("justzoomin.cluster.indexing.run_blocks", lambda ray, make, blocks, size: pytest.fail("done again")
                        if list(blocks) else [])
    assert MapIndex.open(build_index_on_cluster(cluster, model, repository, tmp_path / "cluster").folder).count() == 273


@on_linux
def test_photos_of_which_a_worker_was_killed_have_the_local_fixes(cluster, workers, repository, model, tmp_path, monkeypatch):
    dataset = open_dataset(repository)
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)  # relative names, as a user gives them
    photos = []
    for number, image in enumerate(dataset.split("val").image_ids):
        photos.append((tmp_path / "photos" / f"{number:02d}.jpg").relative_to(tmp_path))
        photos[-1].write_bytes(b"no photo" if number == 3 else dataset.photos.read(image))
    photos.insert(7, photos[0].with_name("missing.jpg"))
    build_index(model, Map.open(repository), "index", device="cpu", lazy=True)
    localizer = Localizer.load(model, repository, device="cpu", index="index")
    killed = []

    def progress(done, resumed, total):
        if 0 < done < total and not killed:
            killed.append(workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    results = {}

    def on_cluster(todo):
        found = localize_on_cluster(cluster, todo, localizer, model, repository, index="index", batch_size=1)
        for photo, result in zip(todo, found, strict=True):
            results[photo] = result
            yield result

    report = localize_to_file(localizer, photos, tmp_path / "fixes.jsonl", localize=on_cluster, progress=progress)
    assert killed, "no worker was killed: the test shows nothing"
    assert (report.localized, report.failed) == (17, 2)
    assert localizer.vectors.encoded == 0 and MapIndex.open("index").count() == 0, "driver or index did the workers' work"
    for photo, alone in zip(photos, localizer.localize_many(photos, batch_size=1), strict=True):
        if isinstance(alone, JustZoomInError):
            assert (type(results[photo]), str(results[photo])) == (type(alone), str(alone))
        else:
            assert {**results[photo].to_dict(), "seconds": 0} == {**alone.to_dict(), "seconds": 0}


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"justzoomin\[cluster\]"), joined("local"):
        pass


def test_an_address_without_a_cluster_is_named(monkeypatch):
    ray = pytest.importorskip("ray")

    def nobody(**_):
        raise ConnectionError("nobody there\nand a long story")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", nobody)
    with pytest.raises(ClusterError, match=r"ray address '10\.0\.0\.9:6379': the cluster cannot be joined \(nobody there"), \
            joined("10.0.0.9:6379"):
        pass
