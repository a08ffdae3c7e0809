"""`--ray` of `jzi index` and `jzi localize`: what reaches the cluster, and what is refused before."""

import json
import sys
from pathlib import Path

import pytest
from running import Jzi

from justzoomin import cluster
from justzoomin.maps import Map
from justzoomin.search import build_index


def test_the_index_is_built_by_the_cluster(jzi: Jzi, model: Path, repository: Path, tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    def build(address, model, map, folder, grid, *, precision, device, batch_size, progress, describing, max_views, announce):
        assert (address, precision, device, batch_size) == ("10.0.0.1:6379", "fp16", "auto", 8)
        return build_index(model, Map.open(map, grid=grid), folder, precision=precision, device="cpu", progress=progress)

    monkeypatch.setattr(cluster, "build_index_on_cluster", build)
    made = jzi("index", model, "--data", repository, "--out", tmp_path / "index", "--ray", "10.0.0.1:6379", "--fp16",
               "--batch-size", 8, "--json")
    assert (made.code, made.json["ready"]) == (0, 17)


def test_photos_are_localized_by_the_cluster(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    def localize(address, todo, localizer, model, map, *, index, device, batch_size):
        assert (address, index, device, batch_size, localizer.model.device.type) == ("auto", None, "cuda:7", 16, "cpu")
        return localizer.localize_many(todo)

    monkeypatch.setattr(cluster, "require_ray", lambda: None)
    monkeypatch.setattr(cluster, "localize_on_cluster", localize)
    ran = jzi("localize", photos, "--model", model, "--map", repository, "--out", tmp_path / "fixes.jsonl", "--ray", "auto",
              "--device", "cuda:7")
    assert (ran.code, ran.err) == (0, "")
    assert [Path(json.loads(line)["photo"]).name for line in (tmp_path / "fixes.jsonl").read_text().splitlines()] == [
        "a.PNG", "b.jpg"]


def test_what_a_cluster_cannot_do_is_refused(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    use = ("index", model, "--data", repository, "--out", tmp_path / "index", "--ray", "local")
    assert "--lazy" in jzi(*use, "--lazy").refusal()
    assert "--processes" in jzi(*use, "--processes", 2).refusal()
    assert "--out" in jzi("localize", photos, "--model", model, "--map", repository, "--ray", "local").refusal()
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "justzoomin[cluster]" in jzi(*use).refusal()
    assert "justzoomin[cluster]" in jzi("localize", photos, "--model", model, "--map", repository, "--ray", "local", "--out",
                                        tmp_path / "fixes.csv").refusal()
    assert not (tmp_path / "index").exists()
