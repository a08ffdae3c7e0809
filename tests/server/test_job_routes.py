"""`/v1/jobs` over HTTP: the whole way, errors as problems, hostile bodies."""

import json
import threading
import time
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import fakes
from justzoomin.apps.server.job_routes import job_limits, job_routes
from justzoomin.apps.server.problems import add_problem_handlers
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.apps.server.stored_fields import FILES, asked_of
from justzoomin.data import open_dataset
from justzoomin.search import Localizer
from justzoomin.service import JobLimits, Jobs, PhotoQueue, Variants, in_queue

ROOMY = JobLimits(min_free_bytes=0)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    root = tmp_path_factory.mktemp("job_routes") / "town"
    return open_dataset(fakes.make_repository(root, pixels=32, depth=2, grid=3, train=2, val=4))


@pytest.fixture(scope="module")
def variants(town):
    return Variants(Localizer(fakes.tiny_model(grid=3), town.map))


@pytest.fixture(scope="module")
def photos(town):
    return [town.photos.read(i) for i in town.split("val").image_ids]


@contextmanager
def served(folder, variants, limits=ROOMY, localize=None, *, start=True):
    grid = variants.base.grid
    queue = PhotoQueue(batch_size=2, limit=3)
    jobs = Jobs(folder, lambda fields, files: variants.of(asked_of(fields, files, grid)), localize or in_queue(queue),
                limits=limits, files=FILES)
    app = FastAPI()
    add_problem_handlers(app)
    app.include_router(job_routes(jobs))
    if start:
        jobs.start()
    try:
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client
    finally:
        jobs.close()
        queue.close()


@pytest.fixture
def client(tmp_path, variants):
    with served(tmp_path / "jobs", variants) as client:
        yield client


def parts(photos, names):
    return [("photos", (name, photo)) for name, photo in zip(names, photos, strict=True)]


def ended(client, address):
    for _ in range(3000):
        state = client.get(address).json()
        if state["state"] not in {"waiting", "running"}:
            return state
        time.sleep(0.01)
    raise AssertionError(state)


def test_the_whole_way(client, variants, photos, tmp_path):
    """More photos than the queue takes at once, with settings: the answers of the localizer with these settings."""
    sent = [*photos, b"broken", photos[0]]
    names = ["a.jpg", "b.jpg", "a.jpg", "d.jpg", "broken.jpg", "e.jpg"]
    lat, lon = variants.base.grid.region.centre
    answer = client.post("/v1/jobs", files=parts(sent, names),
                         data={"prior_circle": f"{lat},{lon},150", "decision": "top", "search": "posterior", "heading": ""})
    assert answer.status_code == 202
    address = answer.headers["location"]
    assert address == f"/v1/jobs/{answer.json()['id']}"
    assert client.get(f"{address}/result.csv").status_code in {409, 200}
    state = ended(client, address)
    assert (state["state"], state["total"], state["done"], state["failed"]) == ("done", 6, 6, 1)
    got = client.get(f"{address}/result.jsonl")
    assert got.headers["content-type"].startswith("application/jsonl")
    rows = [json.loads(line) for line in got.text.splitlines()]
    assert [row["photo"] for row in rows] == names
    assert rows[4] == state["failures"][0] and str(tmp_path) not in rows[4]["error"]
    asked = asked_of({"prior_circle": f"{lat},{lon},150", "decision": "top", "search": "posterior"}, {}, variants.base.grid)
    for row, photo in zip(rows, sent, strict=True):
        if "error" not in row:
            alone = variants.of(asked).localize(photo).to_dict()
            assert row["sequence"] == list(alone["sequence"]) and row["lat"] == pytest.approx(alone["lat"])
            assert (row["decision"], row["prior"]) == ("top", alone["prior"]) and row["prior"]
    for extension, kind in (("csv", "text/csv"), ("geojson", "application/geo+json"), ("parquet", "application/vnd")):
        got = client.get(f"{address}/result.{extension}")
        assert got.status_code == 200 and got.headers["content-type"].startswith(kind)
    assert client.delete(address).status_code == 204 and client.get(address).status_code == 404


def test_a_raster_as_prior_is_kept_with_the_job(client, variants, photos, tmp_path):
    import io

    import numpy as np

    side = 9
    weights = np.zeros((side, side))
    weights[:, 0] = 1.0
    file = io.BytesIO()
    np.save(file, weights)
    answer = client.post("/v1/jobs", files=[*parts(photos[:1], ["a"]), ("prior_raster", ("../w.npy", file.getvalue()))])
    assert answer.status_code == 202, answer.text
    assert ended(client, answer.headers["location"])["state"] == "done"
    row = json.loads(client.get(answer.headers["location"] + "/result.jsonl").text)
    assert row["prior"] and row["lon"] < variants.base.grid.region.centre.lon


@pytest.mark.parametrize(("data", "where"), [({"prior_circle": "here"}, "prior_circle"), ({"heading": "north"}, "heading"),
                                             ({"serch": "auto"}, "serch"), ({"search": "best"}, "search"),
                                             ({"search": "x" * 50}, "search"), ({"decision": "nearest"}, "decision")])
def test_wrong_fields_are_problems(client, photos, tmp_path, data, where):
    answer = client.post("/v1/jobs", files=parts(photos[:1], ["a"]), data=data)
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert where in told["where"] and told["remedy"]
    assert {f.name for f in (tmp_path / "jobs").iterdir()} == {".jzi-lock"}


def test_limits_are_problems(tmp_path, variants, photos):
    small = JobLimits(min_free_bytes=0, max_photos=1, max_photo_bytes=100_000, max_waiting=1)
    with served(tmp_path / "jobs", variants, small, start=False) as client:
        assert client.post("/v1/jobs", files=parts(photos[:2], "ab")).status_code == 413
        assert client.post("/v1/jobs", files=parts([b"x" * 100_001], "a")).status_code == 413
        assert client.post("/v1/jobs", data={"search": "auto"}, files={"other": b"x"}).status_code == 422
        assert client.post("/v1/jobs", files=parts(photos[:1], "a")).status_code == 202
        busy = client.post("/v1/jobs", files=parts(photos[:1], "a"))
        assert busy.status_code == 503 and int(busy.headers["retry-after"]) > 0
    with served(tmp_path / "full", variants, JobLimits(min_free_bytes=1 << 62)) as client:
        assert client.post("/v1/jobs", files=parts(photos[:1], "a")).status_code == 507


def test_cancelled(tmp_path, variants, photos):
    go, going = threading.Event(), threading.Event()

    def slow(localizer, todo):
        for path in todo:
            going.set()
            go.wait(30)
            yield localizer.localize(path)

    with served(tmp_path / "jobs", variants, localize=slow) as client:
        address = client.post("/v1/jobs", files=parts(photos[:3], "abc")).headers["location"]
        assert going.wait(30) and client.get(address).json()["state"] == "running"
        assert client.get(f"{address}/result.csv").status_code == 409
        assert client.delete(address).status_code == 202
        go.set()
        assert ended(client, address)["state"] == "cancelled"
        assert client.get(f"{address}/result.csv").status_code == 409


@pytest.mark.parametrize(("kind", "body", "status"), [
    ("application/json", b"{}", 415), ("multipart/form-data", b"x", 415), ("multipart/form-data; boundary=b", b"", 400),
    ("multipart/form-data; boundary=b", b"nonsense", 400), (f"multipart/form-data; boundary={'b' * 999}", b"x", 400),
    ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n", 400),
    ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="photos"; filename="a"\r\n\r\nxx', 400),
    ("multipart/form-data; boundary=b", b"--b\r\n" + b"A: b\r\n" * 1000 + b"\r\nx\r\n--b--\r\n", 400)])
def test_bodies_that_are_not_forms(client, tmp_path, kind, body, status):
    answer = client.post("/v1/jobs", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert {f.name for f in (tmp_path / "jobs").iterdir()} == {".jzi-lock"}


@pytest.mark.parametrize("path", ["/v1/jobs/..%2f..%2fetc", "/v1/jobs/.jzi-lock", "/v1/jobs/x/result.csv",
                                  "/v1/jobs/x/result.csv%2f..%2f..%2fjob.json", "/v1/jobs/%00"])
def test_jobs_that_are_none(client, path):
    assert client.get(path).status_code == 404
    assert client.get("/v1/jobs").status_code == 405  # nobody can list the jobs of others


def test_limits_come_from_the_settings():
    limits = job_limits(ServeSettings(max_photo_mb=2, max_job_mb=3, keep_s=60))
    assert (limits.max_photo_bytes, limits.max_bytes, limits.keep_s, limits.fetched_keep_s) == (2_000_000, 3_000_000, 60, 60)


def test_the_description_names_the_fields(client):
    described = client.get("/openapi.json").json()["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    fields = described["multipart/form-data"]["schema"]["properties"]
    assert {"photos", "prior_circle", "prior_raster", "heading", "fov", "decision", "search"} <= fields.keys()
