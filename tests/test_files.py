"""Files are whole or not there; what a killed job left is replaced, what a living one holds stays; no link is followed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from diskfaults import Killed, failing_at, killed_at
from justzoomin import files
from justzoomin.errors import DataError, DiskError


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("moment", range(6))
def test_a_killed_write_leaves_the_old_file_and_the_next_one_sweeps(tmp_path: Path, moment: int) -> None:
    path = files.write_bytes(tmp_path / "a.json", b"old")
    with killed_at(moment), pytest.raises(Killed):
        files.write_bytes(path, b"new")
        raise Killed  # the write has fewer changes than that
    assert path.read_bytes() in {b"old", b"new"}
    assert set(listed(tmp_path)) <= {"a.json", ".a.json.part"}
    files.write_bytes(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert listed(tmp_path) == ["a.json"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with files.atomic_file(path) as one:
        one.write(b"one")
        with files.atomic_file(path) as other:
            other.write(b"other")
            assert len(listed(tmp_path)) == 2
        files.sweep(tmp_path)  # what a living writer holds stays
        assert ".a.part" in listed(tmp_path)
    assert path.read_bytes() == b"one"
    assert listed(tmp_path) == ["a"]


def test_names_as_long_as_a_name_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("ö" * 125 + ".json")
    files.write_bytes(path, b"x")
    assert listed(tmp_path) == [path.name]


def test_no_link_is_written_through(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "mine").write_bytes(b"mine")
    (inside / "file").symlink_to(outside / "mine")
    (inside / "folder").symlink_to(outside)
    (inside / ".jzi-lock").symlink_to(outside / "new")
    (inside / ".named.part").symlink_to(outside / "mine")
    for mode in ("wb", "ab", "r+b"):
        with pytest.raises(DataError, match=r"inside/file: it is a link, which may lead out of the folder"):
            files.open_to_write(inside / "file", mode)
    with pytest.raises(DataError, match="it is a link"), files.folder_lock(inside, "test"):
        pass
    with pytest.raises(DataError, match="it is a link"):
        files.write_bytes(inside / "folder" / "new", b"x", inside)
    with pytest.raises(DataError, match="it is a link"):
        files.open_for_rows(inside / "file")
    files.write_bytes(inside / "named", b"x")
    files.write_bytes(inside / "file", b"x")  # a file that is replaced is not written through
    assert listed(outside) == ["mine"]
    assert (outside / "mine").read_bytes() == b"mine"
    assert not (inside / "file").is_symlink()
    files.write_bytes(tmp_path / "inside" / "folder" / "new", b"x")  # a link that the user named himself


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((DataError, OSError)):
        files.open_to_write(tmp_path / "pipe")


@pytest.mark.parametrize(("code", "words"), [
    (errno.ENOSPC, "the disk is full. Free some room and run the same command again."),
    (errno.EDQUOT, "your disk quota is used up. Free some room and run the same command again."),
    (errno.EIO, "the disk reports an error. Check the disk and run the same command again."),
    (errno.EFBIG, "files cannot become this large here. Write to another disk, or raise the limit (ulimit -f), and run the "
                  "same command again."),
])
@pytest.mark.parametrize("write", [0, 1])
def test_a_disk_that_fails_is_named(tmp_path: Path, code: int, words: str, write: int) -> None:
    with failing_at(write, code), pytest.raises(DiskError) as told:
        files.write_bytes(tmp_path / "a.json", b"x" * 100)
    assert str(told.value) == f"{tmp_path / 'a.json'}: {words}"
    assert isinstance(told.value, OSError) and told.value.errno == code
    again = pickle.loads(pickle.dumps(told.value))
    assert (str(again), again.errno) == (str(told.value), code)
    assert listed(tmp_path) == []


def _hold(folder: Path, news: Any) -> None:
    with files.folder_lock(folder, "test"):
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,), daemon=True)
        worker.start()
        news.put(worker.pid)
        time.sleep(30)


def test_a_worker_that_outlives_a_killed_job_does_not_hold_its_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    news = context.Queue()
    job = context.Process(target=_hold, args=(tmp_path, news))
    job.start()
    worker = news.get(timeout=20)
    try:
        with pytest.raises(DataError, match="another test is running here"), files.folder_lock(tmp_path, "test"):
            pass
        job.kill()
        job.join()
        with files.folder_lock(tmp_path, "test"):
            pass
    finally:
        os.kill(worker, 9)
    assert listed(tmp_path) == []
