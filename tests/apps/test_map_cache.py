"""`jzi map cache`, and what training and evaluation say of it."""

import shutil
from pathlib import Path

import pytest
from running import Jzi

from fakes import grid_of, tiny_model
from justzoomin.geometry import view_count

PIXELS = tiny_model().config.image_pixels


@pytest.fixture
def data(repository: Path, tmp_path: Path) -> Path:
    return shutil.copytree(repository, tmp_path / "data")


def test_it_is_built_then_checked_and_used(jzi: Jzi, data: Path, model: Path, tmp_path: Path) -> None:
    built = jzi("map", "cache", data, "--pixels", PIXELS, "--workers", 2, "--json")
    assert built.code == 0
    folder = Path(built.json["folder"])
    assert folder.parent == data / ".jzi-views"
    assert built.json["views"] == view_count(grid_of(data)) == 17
    assert built.json["bytes"] == sum((folder / name).stat().st_size for name in ("views.bin", "facts.bin"))
    assert not built.json["existed"]
    assert f"17 views of {PIXELS} px, 0.1 MB on the disk" in built.err
    assert jzi("map", "cache", data, "--pixels", PIXELS).out.endswith("all intact\n")
    words = ("evaluate", model, "--data", data, "--device", "cpu", "--json")
    with_cache = jzi(*words, tmp_path / "with.json")
    assert f"17 views of {PIXELS} px are read from {folder}" in with_cache.err
    shutil.rmtree(folder.parent)
    without = jzi(*words, tmp_path / "without.json")
    assert "view cache" not in without.err
    assert (tmp_path / "with.json").read_text() == (tmp_path / "without.json").read_text()


def test_training_says_which_cache_it_reads(jzi: Jzi, data: Path, tmp_path: Path) -> None:
    jzi("map", "cache", data, "--pixels", 32)
    settings = ("epochs=1", "batch_size=4", "model.image_pixels=32", "accelerator=cpu",
                "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]")
    words = ("train", "--data", data, "--out", tmp_path / "run")
    trained = jzi(*words, "--preset", "small", *(part for word in settings for part in ("--set", word)))
    assert trained.code == 0, trained.err
    assert f"17 views of 32 px are read from {data / '.jzi-views'}" in trained.err
    assert "17 views of 32 px" in jzi(*words, "--resume").err  # the preset has other pixels, the run's own settings count


@pytest.mark.parametrize(("words", "names"), [(("--pixels", "9000"), "1 to 8192"), (("--region", "nope"), "Presets: dc"),
                                             (("--max-views", "16"), "17 views of 384 px, 7.5 MB on the disk; at most 16")])
def test_refusals(jzi: Jzi, data: Path, words: tuple[str, ...], names: str) -> None:
    assert names in jzi("map", "cache", data, *words).refusal()
    assert not (data / ".jzi-views").exists()
