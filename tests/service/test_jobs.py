"""Jobs: what they answer, what a kill leaves, cancelling, removing, names that are attacks, full disks."""

import contextlib
import csv
import errno
import json
import os
import signal
import stat
import threading
import time
from dataclasses import replace

import polars as pl
import pytest

import fakes
from diskfaults import Killed, failing_at, killed_at, spread
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, DataError, DiskError, PhotoError
from justzoomin.search import Fix, Localizer
from justzoomin.service import (
    JobLimits,
    Jobs,
    NoRoomError,
    NoSuchJobError,
    NotDoneError,
    TooLargeError,
    TooManyJobsError,
)

ROOMY = JobLimits(min_free_bytes=0)
NAMES = ["a.jpg", "../../etc/passwd", "a.jpg", "not a photo\n.jpg", "=cmd().jpg", "e\u202e.jpg", "x" * 3000]
TOLD = ["a.jpg", "passwd", "a.jpg", "not a photo.jpg", "=cmd().jpg", "e\\u202e.jpg", "x" * 200]


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    root = tmp_path_factory.mktemp("jobs") / "town"
    return open_dataset(fakes.make_repository(root, pixels=32, depth=2, grid=3, train=2, val=4))


@pytest.fixture(scope="module")
def localizer(town):
    return Localizer(fakes.tiny_model(grid=3), town.map, search="posterior")


@pytest.fixture(scope="module")
def photos(town):
    data = [town.photos.read(i) for i in town.split("val").image_ids]
    return [*data[:3], b"no photo", data[3], data[0], data[1]]


@pytest.fixture
def opened(tmp_path, localizer):
    """Open the jobs of a folder; all are closed at the end."""
    every = []

    def opening(localize=None, *, start=True, folder=tmp_path / "jobs", **options):
        jobs = Jobs(folder, lambda fields, files: localizer, localize, **{"limits": ROOMY, **options})
        every.append(jobs)
        if start:
            jobs.start()
        return jobs

    yield opening
    for jobs in every:
        jobs.close()


def sent(jobs, photos, names=NAMES, fields=()):
    with jobs.upload() as upload:
        for name, photo in zip(names, photos, strict=False):
            upload.begin("photos", name)
            upload.write(photo[:10])
            upload.write(photo[10:])
            upload.end()
        for key, text in fields:
            upload.begin(key, None)
            upload.write(text)
            upload.end()
        return jobs.submit(upload)["id"]


def ended(jobs, job_id):
    """The state of a job once it has ended."""
    for _ in range(3000):
        state = jobs.state(job_id)
        if state["state"] not in {"waiting", "running"}:
            return state
        time.sleep(0.01)
    raise AssertionError(state)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def close(value):
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-4, abs=1e-5)
    if isinstance(value, dict):
        return {k: close(v) for k, v in value.items()}
    return [close(v) for v in value] if isinstance(value, list) else value


def test_answers_are_those_of_the_command_with_the_names_of_the_client(opened, localizer, photos, tmp_path):
    jobs = opened()
    job = sent(jobs, photos)
    state = ended(jobs, job)
    assert (state["state"], state["total"], state["done"], state["failed"], state["error"]) == ("done", 7, 7, 1, None)
    paths = []
    for k, photo in enumerate(photos):
        paths.append(tmp_path / f"{k}")
        paths[-1].write_bytes(photo)
    wanted = list(localizer.localize_many(paths))
    rows = rows_of(jobs.result(job, "jsonl"))
    for name, path, row, result in zip(TOLD, paths, rows, wanted, strict=True):
        if isinstance(result, Fix):
            assert {**row, "seconds": 0.0} == close(replace(result, photo=name, seconds=0.0).to_dict())
        else:
            assert row == {"photo": name, "error": str(result).replace(str(path), name)}
            assert state["failures"] == [row]
    for extension in ("geojson", "csv", "parquet", "jsonl"):
        assert str(tmp_path).encode() not in jobs.result(job, extension).read_bytes()
    good = [name for k, name in enumerate(TOLD) if k != 3]
    assert pl.read_parquet(jobs.result(job, "parquet"))["photo"].to_list() == good
    with jobs.result(job, "csv").open(newline="") as file:
        assert [row["photo"] for row in csv.DictReader(file)] == good
    features = json.loads(jobs.result(job, "geojson").read_text())["features"]
    assert [f["properties"]["photo"] for f in features if f["properties"]["kind"] == "position"] == good


def test_nothing_is_left_of_the_photos_and_nobody_else_may_read(opened, photos, tmp_path):
    jobs = opened(start=False)
    job = sent(jobs, photos)
    folder = tmp_path / "jobs" / job
    assert {stat.S_IMODE(f.stat().st_mode) for f in (folder, folder.parent, folder / "photos")} == {0o700}
    assert len(list((folder / "photos").iterdir())) == 7
    jobs.start()
    ended(jobs, job)
    assert sorted(f.name for f in folder.iterdir()) == ["job.json", "result.jsonl", "state.json"]
    assert [f.name for f in folder.parent.iterdir()] == [job] or {f.name for f in folder.parent.iterdir()} == {job, ".jzi-lock"}


def test_all_photos_failed(opened):
    jobs = opened()
    job = sent(jobs, [b"x", b"y"])
    assert ended(jobs, job)["failed"] == 2
    assert [row["photo"] for row in rows_of(jobs.result(job, "jsonl"))] == TOLD[:2]
    assert json.loads(jobs.result(job, "geojson").read_text())["features"] == []
    assert pl.read_parquet(jobs.result(job, "parquet")).height == 0
    assert jobs.result(job, "csv").read_bytes() == b""


def test_a_killed_server_goes_on_and_localizes_no_photo_twice(opened, localizer, photos, tmp_path):
    """A child process is killed while it localizes; what it had localized is not asked for again."""
    asked = tmp_path / "asked"
    known = {}

    def localize(_, todo, stop=None):
        for path in todo:
            with asked.open("a") as file:
                file.write(f"{path.name}\n")
            if stop is not None and path.name == stop:
                os.kill(os.getpid(), signal.SIGKILL)
            yield replace(known[path.read_bytes()], photo=str(path))

    good = [*photos[:3], *photos[4:]]
    known.update({photo: localizer.localize(photo) for photo in good})
    _ = localizer.model_hash, localizer.map_hash, localizer.asked()
    child = os.fork()
    if child == 0:
        try:
            jobs = Jobs(tmp_path / "jobs", lambda *_: localizer, lambda *a: localize(*a, stop="000003"), limits=ROOMY)
            sent(jobs, good)
            sent(jobs, good[:1])
            jobs.start()
            time.sleep(60)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    before = asked.read_text().split()
    assert before == ["000000", "000001", "000002", "000003"]
    (tmp_path / "jobs" / f".{'0' * 32}.part" / "photos").mkdir(parents=True)  # what a killed upload leaves
    jobs = opened(localize)
    first, second = (ended(jobs, job.name) for job in sorted((tmp_path / "jobs").iterdir(), key=number) if job.name[0] != ".")
    assert [(s["state"], s["done"], s["failed"]) for s in (first, second)] == [("done", 6, 0), ("done", 1, 0)]
    assert asked.read_text().split()[4:] == ["000003", "000004", "000005", "000000"]
    assert [row["photo"] for row in rows_of(jobs.result(first["id"], "jsonl"))] == TOLD[:6]
    assert {f.name for f in (tmp_path / "jobs").iterdir()} == {first["id"], second["id"], ".jzi-lock"}


def number(folder):
    return json.loads((folder / "job.json").read_text())["number"] if folder.name[0] != "." else 0


def test_a_server_that_ends_goes_on_later(opened, localizer, photos):
    begun, calls = threading.Event(), []

    def slow(one, todo):
        for path in todo:
            calls.append(path.name)
            yield one.localize(path)
            begun.set()
            closing.wait(30) if len(calls) == 2 else None

    closing = threading.Event()
    jobs = opened(slow)
    job = sent(jobs, [photos[0], photos[1], photos[2]])
    begun.wait(30)
    with pytest.raises(DataError, match=r"another server is running here.*--jobs"):
        opened()
    jobs._closing.set()
    closing.set()
    jobs.close()
    again = opened(slow)
    assert ended(again, job)["state"] == "done"
    assert calls[0] == "000000" and calls.count("000000") == 1 and sorted(set(calls)) == ["000000", "000001", "000002"]


def test_cancelled_while_it_waits_and_while_it_runs(opened, localizer, photos, tmp_path):
    going, go = threading.Event(), threading.Event()

    def slow(one, todo):
        for path in todo:
            going.set()
            go.wait(30)
            yield one.localize(path)

    jobs = opened(slow)
    running, waiting = sent(jobs, photos[:3]), sent(jobs, photos[:3])
    assert going.wait(30)
    assert jobs.delete(waiting)["state"] == "cancelled" and jobs.state(waiting)["state"] == "cancelled"
    assert jobs.delete(running)["state"] == "running"
    with pytest.raises(NotDoneError, match="running"):
        jobs.result(running, "csv")
    go.set()
    state = ended(jobs, running)
    assert state["state"] == "cancelled" and state["done"] < 3
    with pytest.raises(NotDoneError, match="cancelled"):
        jobs.result(running, "csv")
    for job in (running, waiting):
        assert sorted(f.name for f in (tmp_path / "jobs" / job).iterdir()) == ["job.json", "state.json"]
        assert jobs.delete(job) is None and not (tmp_path / "jobs" / job).exists()
        with pytest.raises(NoSuchJobError):
            jobs.delete(job)


def test_results_are_removed_after_they_were_fetched_and_after_a_day(opened, photos, tmp_path):
    now = [1e9]
    jobs = opened(clock=lambda: now[0])
    fetched, left, late = (sent(jobs, photos[:1]) for _ in range(3))
    for job in (fetched, left, late):
        ended(jobs, job)
    jobs.fetched(fetched)
    now[0] += 3599
    jobs.fetched(fetched)  # again: the first time counts
    jobs.sweep()
    assert jobs.state(fetched)["state"] == "done"
    now[0] += 1
    jobs.sweep()
    with pytest.raises(NoSuchJobError):
        jobs.result(fetched, "jsonl")
    assert {f.name for f in (tmp_path / "jobs").iterdir()} >= {left, late}
    jobs.close()
    now[0] += 86400
    again = opened(clock=lambda: now[0])
    with pytest.raises(NoSuchJobError):
        again.state(left)
    assert {f.name for f in (tmp_path / "jobs").iterdir()} == {".jzi-lock"}


@pytest.mark.parametrize("job_id", ["", ".", "..", "../jobs", ".jzi-lock", "0" * 32, "/etc", "a\0b"])
def test_ids_that_are_none(opened, photos, job_id):
    jobs = opened(start=False)
    sent(jobs, photos[:1])
    for ask in (jobs.state, jobs.delete, lambda name: jobs.result(name, "csv")):
        with pytest.raises(NoSuchJobError):
            ask(job_id)
    with pytest.raises(NoSuchJobError):
        jobs.result("x", "../job.json")


def test_ids_cannot_be_guessed_and_folders_of_others_are_left_alone(opened, photos, tmp_path):
    other = tmp_path / "jobs" / "notes"
    other.mkdir(parents=True)
    (other / "job.json").write_text("{}")
    jobs = opened(start=False)
    ids = {sent(jobs, photos[:1]) for _ in range(3)}
    assert len(ids) == 3 and all(len(job) == 32 and set(job) <= set("0123456789abcdef") for job in ids)
    with pytest.raises(NoSuchJobError):
        jobs.state("notes")
    assert other.is_dir()


def test_limits(opened, photos, tmp_path):
    small = JobLimits(min_free_bytes=0, max_photos=2, max_photo_bytes=5000, max_bytes=8000, max_waiting=2)
    jobs = opened(start=False, limits=small)
    for wrong, words in (([b"x"] * 3, "more than 2 photos"), ([b"x" * 5001], "a photo has more"), ([b"x" * 4001] * 2, "8,000")):
        with pytest.raises(TooLargeError, match=words):
            sent(jobs, wrong)
    with pytest.raises(ConfigError, match="no photo"):
        sent(jobs, [])
    with pytest.raises(ConfigError, match="sent twice"):
        sent(jobs, [b"x"], fields=[("search", b"a"), ("search", b"b")])
    with pytest.raises(ConfigError, match="UTF-8"):
        sent(jobs, [b"x"], fields=[("search", b"\xff")])
    with pytest.raises(TooLargeError):
        sent(jobs, [b"x"], fields=[("search", b"x" * (4 << 20) + b"x")])
    with pytest.raises(TooLargeError):
        sent(jobs, [b"x"], fields=[(f"f{k}", b"x") for k in range(51)])
    with pytest.raises(NoRoomError):
        sent(opened(start=False, folder=tmp_path / "full", limits=JobLimits(min_free_bytes=1 << 62)), [b"x"])
    assert {f.name for f in (tmp_path / "jobs").iterdir()} == {".jzi-lock"}  # nothing is left of them
    sent(jobs, [b"x"])
    with jobs.upload(), pytest.raises(TooManyJobsError), jobs.upload():
        pass
    sent(jobs, [b"x"])
    with pytest.raises(TooManyJobsError):
        sent(jobs, [b"x"])


def test_wrong_fields_are_refused_before_the_job(tmp_path, photos):
    def localizer_for(fields, files):
        raise ConfigError("search", "unknown", "Choose.")

    jobs = Jobs(tmp_path / "jobs", localizer_for, limits=ROOMY)
    try:
        with pytest.raises(ConfigError, match="unknown"):
            sent(jobs, photos[:1])
        assert jobs.waiting == 0 and {f.name for f in (tmp_path / "jobs").iterdir()} == {".jzi-lock"}
    finally:
        jobs.close()


def test_files_of_fields_keep_their_kind_and_nothing_else_of_their_names(tmp_path, localizer, photos):
    seen = []

    def localizer_for(fields, files):
        seen.append(({**fields}, {key: path.read_bytes() for key, path in files.items()}, [p.suffix for p in files.values()]))
        return localizer

    jobs = Jobs(tmp_path / "jobs", localizer_for, limits=ROOMY, files=["prior_raster"])
    try:
        with jobs.upload() as upload:
            for part, name, data in (("photos", "p", photos[0]), ("prior_raster", "../../x/y.TIF", b"tif"),
                                     ("search", None, b"s")):
                upload.begin(part, name)
                upload.write(data)
                upload.end()
            job = jobs.submit(upload)["id"]
        jobs.start()
        assert ended(jobs, job)["state"] == "done"
        assert seen == [({"search": "s"}, {"prior_raster": b"tif"}, [".tif"])] * 2
        assert not [f for f in (tmp_path / "jobs" / job).iterdir() if f.suffix == ".tif"]
    finally:
        jobs.close()


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_full_disk_while_photos_come_in(opened, photos, tmp_path, at):
    jobs = opened(start=False)
    with failing_at(at, errno.ENOSPC), pytest.raises(DiskError, match="the disk is full"):
        sent(jobs, photos[:3])
    assert {f.name for f in (tmp_path / "jobs").iterdir()} == {".jzi-lock"} and jobs.waiting == 0


def test_a_full_disk_while_it_works(opened, localizer, photos, tmp_path):
    jobs = opened(lambda one, todo: (one.localize(p) if k < 1 else stop(tmp_path) for k, p in enumerate(todo)))
    job = sent(jobs, photos[:3])
    state = ended(jobs, job)
    assert state["state"] == "failed" and "the disk is full" in state["error"] and state["results"] == []
    assert not (tmp_path / "jobs" / job / "photos").exists()
    good = sent(jobs, photos[:1])  # the next job is done
    assert ended(jobs, good)["state"] == "done"


def stop(folder):
    raise DiskError(folder / "x", OSError(errno.ENOSPC, "No space left on device"))


def test_an_unexpected_error_ends_only_its_job(opened, photos):
    def broken(one, todo):
        raise ValueError("secret")

    jobs = opened(broken)
    states = [ended(jobs, sent(jobs, photos[:1])) for _ in range(2)]
    assert [s["state"] for s in states] == ["failed"] * 2 and "secret" not in states[0]["error"]


def test_killed_at_any_change_of_the_disk(opened, localizer, photos, tmp_path):
    """Whatever a kill leaves, the next server ends the job with the same rows and nothing of the photos."""
    known = {photo: localizer.localize(photo) for photo in photos[:3]}

    def localize(_, todo):
        for path in todo:
            data = path.read_bytes()
            yield replace(known[data], photo=str(path)) if data in known else PhotoError(path, "it is broken", "Repair it.")

    def run(moment, folder):
        jobs = opened(localize, start=False, folder=folder)
        job = sent(jobs, photos[:4])
        with killed_at(moment) as count, contextlib.suppress(Killed):
            jobs._do(jobs._jobs[job])
        jobs.close()
        again = opened(localize, folder=folder)
        assert (ended(again, job)["state"], again.state(job)["failed"]) == ("done", 1), moment
        assert sorted(f.name for f in (folder / job).iterdir()) == ["job.json", "result.jsonl", "state.json"], moment
        return len(count.kinds), again.result(job, "jsonl").read_bytes()

    total, wanted = run(None, tmp_path / "whole")
    assert total > 20
    for moment in spread(total, 2, 14, 6):
        assert run(moment, tmp_path / f"{moment}")[1] == wanted, moment
