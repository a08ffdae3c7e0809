"""Killed at any moment, or on a full or broken disk: the same command, run again, ends the job and leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Jzi

from diskfaults import WRITES, Killed, failing_at, killed_at, spread

TRAIN = ("epochs=2", "batch_size=4", "save_every=1", "log_every=1", "model.image_pixels=32", "accelerator=cpu",
         "precision=fp32", "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]",
         "augment.enabled=false")
Job = Callable[[Path], tuple[object, ...]]
"""A command's words, given an empty folder to work in."""


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine loses its power here."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("os.sync", lambda: None)


@pytest.fixture
def jobs(photos: Path, model: Path, repository: Path, walk: Path, request: pytest.FixtureRequest) -> dict[str, Job]:
    """Commands that write much, by name."""
    town = ("--seed", 3, "--size-m", 90, "--photos", 16, "--val-photos", 16, "--photo-width", 64, "--photo-height", 36,
            "--gsd-m", 1, "--depth", 2, "--workers", 1)

    def copied(folder: Path, *without: str) -> Path:
        if not (folder / "town").exists():
            shutil.copytree(repository, folder / "town", ignore=shutil.ignore_patterns(".jzi*", *without))
        return folder / "town"

    def map_build(folder: Path, kind: str) -> tuple[object, ...]:
        raster = request.getfixturevalue("raster")
        return "map", "build", raster, folder / "map", "--format", kind, "--tile-px", 64, "--workers", 1

    def bare(folder: Path) -> Path:
        return copied(folder, "metadata", "streetview*")

    localize = ("localize", photos, "--model", model, "--map", repository, "--out")
    kept = ("--pixels", 32, "--val-share", 0.3, "--workers", 1, "--keep-blurred", "--keep-duplicates")
    return {
        "index": lambda folder: ("index", model, "--data", repository, "--out", folder / "i"),
        "localize": lambda folder: (*localize, folder / "f.jsonl"),
        "localize parquet": lambda folder: (*localize, folder / "f.parquet"),
        "cache": lambda folder: ("map", "cache", copied(folder), "--pixels", 16, "--workers", 1),
        "ready": lambda folder: ("data", "ready", copied(folder), "--pixels", 16, "--split", "val", "--workers", 1),
        "extract": lambda folder: ("data", "extract", repository, folder / "loose"),
        "import": lambda folder: ("photos", "import", walk, folder / "data", "--map", repository, *kept),
        "import in place": lambda folder: ("photos", "import", walk, bare(folder), "--map", bare(folder), *kept),
        "build": lambda folder: map_build(folder, "folder"),
        "build tar": lambda folder: map_build(folder, "tar"),
        "synth": lambda folder: ("data", "synth", folder / "made", *town),
        "train": lambda folder: ("train", "--data", repository, "--out", folder / "run", "--preset", "small",
                                 *(word for setting in TRAIN for word in ("--set", setting))),
    }


def started(job: Job, folder: Path) -> tuple[object, ...]:
    """The words of a job in a new folder."""
    folder.mkdir()
    return job(folder)


def left(folder: Path) -> list[str]:
    """What no job that has ended leaves."""
    ends = (".part", ".jzi-lock", ".jzi-work", ".jzi-import", ".building", ".jzi-map-build")
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith(ends)]


def names(folder: Path) -> set[str]:
    """What lies there, apart from kept indexes of shards and names with the time in them."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")
            if ".jzi-index" not in path.parts and not path.name.startswith("events.")}


FAST = ("index", "localize", "localize parquet", "cache", "ready", "extract", "import", "import in place", "build", "build tar")


@pytest.mark.parametrize("name", [*FAST, "synth", "train"])
def test_killed_at_any_moment_the_same_command_ends_the_job(name: str, jobs: dict[str, Job], jzi: Jzi, tmp_path: Path) -> None:
    job = jobs[name]
    words = started(job, tmp_path / "whole")
    shown = jzi(*started(job, tmp_path / "before")) if name in FAST else None  # indexes of shards are kept from now on
    assert shown is None or shown.code == 0, shown.err
    with killed_at(None) as count:
        assert jzi(*words).code == 0
    total, whole = len(count.kinds), names(tmp_path / "whole")
    assert total > 5
    assert not left(tmp_path / "whole")
    moments = spread(total) if name in FAST else spread(total, 1, 2, 1)
    for moment in moments:
        folder = tmp_path / str(moment)
        words = started(job, folder)
        with killed_at(moment), contextlib.suppress(Killed):
            jzi(*words)
        again = jzi(*words)
        told = f"{name} killed at {moment} of {total}, {count.kinds[max(0, moment - 2):moment + 2]}: {again.err}"
        assert again.code == 0 or (moment >= total - 2 and "the job is done" in again.err), told
        assert names(folder) == whole, told
        assert not left(folder), told
        shutil.rmtree(folder)


@pytest.mark.parametrize(("name", "code"), [*((name, errno.ENOSPC) for name in (*FAST, "train")), ("index", errno.EIO),
                                            ("localize", errno.EIO), ("build tar", errno.EIO)])
def test_a_disk_that_fails_is_told_in_words(name: str, code: int, jobs: dict[str, Job], jzi: Jzi, tmp_path: Path) -> None:
    """No traceback, the file's name and what to do; with room again, the same command ends the job."""
    job, words = jobs[name], {errno.ENOSPC: "the disk is full", errno.EIO: "the disk reports an error"}[code]
    first = started(job, tmp_path / "whole")
    with killed_at(None) as count:
        jzi(*first)
    total, refused = sum(kind in WRITES for kind in count.kinds), 0
    for moment in spread(total, 2, 2, 2) if name in FAST else spread(total, 1, 1, 0):
        folder = tmp_path / str(moment)
        asked = started(job, folder)
        with failing_at(moment, code):
            ran = jzi(*asked)
        if ran.code:
            line = ran.err.splitlines()[-1]
            assert line.startswith("error: "), ran.err
            assert words in line or "cannot be written here" in line, ran.err
            assert str(folder) in line, ran.err
            refused += 1
            assert jzi(*asked).code == 0
        assert not left(folder)
        shutil.rmtree(folder)
    assert refused
