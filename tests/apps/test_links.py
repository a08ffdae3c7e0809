"""A folder from elsewhere may hold links that lead out of it: nothing is written, changed or deleted behind them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Jzi
from test_broken_off import TRAIN

from diskfaults import Killed, killed_at

SETS = tuple(word for setting in TRAIN for word in ("--set", setting))


@pytest.fixture
def town(repository: Path, tmp_path: Path) -> Path:
    """A dataset from elsewhere, without what this package keeps in it."""
    shutil.copytree(repository, tmp_path / "town", ignore=shutil.ignore_patterns(".jzi*"))
    return tmp_path / "town"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Somebody's folder, to which the links lead."""
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    (folder / "mine").write_bytes(b"mine" * 100)
    (folder / "deep" / "mine").write_bytes(b"mine too")
    return folder


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p.relative_to(folder)): (p.read_bytes() if p.is_file() else b"", p.stat().st_mtime_ns)
            for p in sorted((folder, *folder.rglob("*")))}


def link(place: Path, target: Path) -> None:
    """Put a link into a place, whatever is there."""
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


@pytest.mark.parametrize("place", [".jzi-views", ".jzi-views/{name}.building", ".jzi-views/{name}.building/views.bin",
                                   ".jzi-views/{name}.building/head.json", ".jzi-views/{name}/.head.json.part"])
def test_view_cache(place: str, town: Path, outside: Path, jzi: Jzi) -> None:
    made = jzi("map", "cache", town, "--pixels", 16, "--json")
    name = Path(made.json["folder"]).name
    if "building" in place or place == ".jzi-views":
        shutil.rmtree(town / ".jzi-views")
    link(town / place.format(name=name), outside / "mine" if place.endswith((".bin", "json", "part")) else outside)
    before = content(outside)
    ran = jzi("map", "cache", town, "--pixels", 16)
    assert content(outside) == before
    if place in {".jzi-views", ".jzi-views/{name}.building", ".jzi-views/{name}.building/views.bin"}:
        assert "it is a link, which may lead out of the folder; nothing is written through it" in ran.err.splitlines()[-1]
        assert ran.code == 1
    else:
        assert ran.code == 0, ran.err


def test_a_view_cache_behind_a_link_is_read_and_not_written(town: Path, tmp_path: Path, photos: Path, model: Path,
                                                            jzi: Jzi) -> None:
    jzi("map", "cache", town, "--pixels", 32)
    (town / ".jzi-views").rename(tmp_path / "kept")
    (town / ".jzi-views").symlink_to(tmp_path / "kept")
    for shard in (town / "archives").glob("satellite*"):
        os.utime(shard)  # another stamp: what the tiles were found to be would be noted in the cache
    before = content(tmp_path / "kept")
    assert jzi("localize", photos, "--model", model, "--map", town).code == 0
    assert content(tmp_path / "kept") == before


@pytest.mark.parametrize("place", ["archives/.jzi-index", "archives"])
def test_indexes_of_shards(place: str, town: Path, outside: Path, jzi: Jzi, tmp_path: Path,
                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JZI_HOME", str(tmp_path / "home"))
    if place == "archives":
        for shard in (town / "archives").iterdir():
            shutil.move(shard, outside / shard.name)
    link(town / place, outside)
    before = content(outside)
    assert jzi("map", "info", town).code == 0
    assert content(outside) == before
    assert list((tmp_path / "home" / "index").iterdir())


def job(kind: str, town: Path, walk: Path, photos: Path, model: Path, raster: Path, work: Path) -> tuple[object, ...]:
    return {
        "ready": ("data", "ready", town, "--pixels", 16, "--split", "val"),
        "import": ("photos", "import", walk, town, "--map", town, "--pixels", 32, "--val-share", 0.3, "--keep-blurred",
                   "--keep-duplicates"),
        "build": ("map", "build", raster, work / "map", "--tile-px", 64),
        "train": ("train", "--data", town, "--out", work / "run", "--preset", "small", *SETS, "--resume"),
        "localize": ("localize", photos, "--model", model, "--map", town, "--out", work / "f.jsonl"),
        "index": ("index", model, "--data", town, "--out", work / "i"),
        "extract": ("data", "extract", town, town),
    }[kind]


def begun(*words: object, moment: int) -> Callable[[Jzi], None]:
    def begin(jzi: Jzi) -> None:
        with killed_at(moment), contextlib.suppress(Killed):
            jzi(*words)
    return begin


@pytest.mark.parametrize(("kind", "place"), [
    ("ready", "town/ready"), ("ready", "town/ready/val-16px-scaled-whole-raw.part"), ("ready", "town/ready/.jzi-lock"),
    ("import", "town/.jzi-import"), ("import", "town/.jzi-import/out"), ("import", "town/.jzi-import/examined.jsonl"),
    ("import", "town/metadata"), ("build", "map/.jzi-map-build"), ("build", "map/satellite"), ("build", "map/satellite/0"),
    ("train", "run/models"), ("train", "run/models/best"), ("train", "run/metrics.csv"), ("train", "run/state.ckpt"),
    ("train", "run/tensorboard"), ("localize", ".f.jsonl.jzi-work"), ("localize", ".f.jsonl.jzi-work/journal.jsonl"),
    ("localize", ".f.jsonl.jzi-work/.jzi-lock"), ("index", "i/views.bin"), ("extract", "town/satellite/0"),
    ("extract", "town/satellite/-1/0/.jzi-part"),
])
def test_jobs_that_go_on(kind: str, place: str, town: Path, walk: Path, photos: Path, model: Path, outside: Path,
                         tmp_path: Path, jzi: Jzi, request: pytest.FixtureRequest) -> None:
    """Folders in which a job has begun, as its own killed process would leave them, with a link in the place of one part."""
    if kind == "import":
        shutil.rmtree(town / "metadata")
        for shard in (town / "archives").glob("streetview*"):
            shard.unlink()
    raster = request.getfixturevalue("raster") if kind == "build" else Path()
    words = job(kind, town, walk, photos, model, raster, tmp_path)
    if kind in {"build", "train"}:
        begun(*(word for word in words if word != "--resume"), moment={"build": 60, "train": 40}[kind])(jzi)
    target = outside / "mine" if Path(place).suffix in {".jsonl", ".csv", ".ckpt", ".bin"} or "part" in place[-5:] else outside
    link(tmp_path / place, outside / "new" if place.endswith("lock") else target)
    before = content(outside)
    ran = jzi(*words)
    assert content(outside) == before, ran.err
    if ran.code:
        assert ran.err.splitlines()[-1].startswith("error: "), ran.err
        assert "it is a link" in ran.err, ran.err
    else:
        assert place.endswith(".jzi-part") or kind == "index", place
