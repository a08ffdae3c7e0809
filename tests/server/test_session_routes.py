"""Sessions over HTTP: from a dropped photo to corrections, pictures, files and a link."""

from __future__ import annotations

import io
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from justzoomin.apps.server.problems import add_problem_handlers
from justzoomin.apps.server.session_routes import new_sessions, session_routes
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.service import PhotoQueue, Variants


@pytest.fixture(scope="module")
def client(localizer):
    queue, settings = PhotoQueue(), ServeSettings()
    app = FastAPI()
    add_problem_handlers(app)
    app.include_router(session_routes(new_sessions(queue, localizer, settings), queue, Variants(localizer), settings))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    queue.close()


def begin(client, photos, **fields):
    return client.post("/v1/sessions", files={"photo": photos[0]}, data=fields)


@pytest.fixture
def state(client, photos):
    answer = begin(client, photos)
    assert answer.status_code == 201
    return answer.json()


def correct(client, state, **value):
    return client.post(f"/v1/sessions/{state['id']}/corrections", json=value)


def same(state):
    return {**state, "id": "", "version": 0, "fix": {**state["fix"], "seconds": 0}}


def test_from_a_photo_to_corrections_and_back(client, localizer, photos, state):
    fix = localizer.localize(photos[0][1]).to_dict()
    assert state["fix"] == {**fix, "photo": photos[0][0], "seconds": state["fix"]["seconds"]}
    assert set(state) == {"id", "photo", "version", "fix", "levels", "top", "corrections", "can_undo", "can_redo", "link"}
    path = f"/v1/sessions/{state['id']}"
    found = client.get(path)
    assert found.json() == state and found.headers["cache-control"] == "no-store"
    moved = correct(client, state, kind="cell", sequence=state["levels"][0]["sequence"], here=False).json()
    assert moved["levels"][0]["sequence"] != state["levels"][0]["sequence"] and moved["can_undo"]
    assert client.post(f"{path}/redo").status_code == 409
    undone = client.post(f"{path}/undo").json()
    assert same(undone) == {**same(state), "can_redo": True} and undone["version"] > moved["version"]
    assert same(client.post(f"{path}/redo").json()) == same(moved)
    assert client.delete(path).status_code == 204
    gone = client.get(path)
    assert gone.status_code == 404 and gone.json()["remedy"] == "Drop the photo again."
    assert client.delete(path).status_code == 404


def test_a_link_and_a_list_restore_the_corrections(client, photos, state):
    lat, lon = state["fix"]["lat"], state["fix"]["lon"]
    correct(client, state, kind="circle", lat=lat, lon=lon, radius_m=40.0, here=False)
    told = correct(client, state, kind="heading", deg=90.0, sigma_deg=30.0).json()
    assert told["link"].replace("-", "").replace("_", "").isalnum()
    for text in (told["link"], json.dumps(told["corrections"])):
        assert same(begin(client, photos, corrections=text).json()) == same(told)
    for wrong in ("{}", "[1]", "not a link!", told["link"][:-9], "[" * 10_000):
        answer = begin(client, photos, corrections=wrong)
        assert answer.status_code == 422 and answer.json()["where"].startswith("corrections")


def test_a_session_does_not_begin_with_corrections_that_leave_nothing(client, photos):
    both = json.dumps([{"kind": "cell", "sequence": [5], "here": here} for here in (True, False)])
    answer = begin(client, photos, corrections=both)
    assert answer.status_code == 409 and "rule out every place" in answer.json()["what"]


def test_the_fields_of_a_photo_are_used(client, localizer, photos):
    lat, lon = localizer.grid.region.centre
    found = begin(client, photos, prior_circle=f"{lat},{lon},60", heading="90", decision="distance").json()["fix"]
    assert found["prior"].startswith("within 60 m") and found["decision"] == "distance" and found["heading_prior"]
    wrong = begin(client, photos, prior_circle="1,2")
    assert wrong.status_code == 422 and wrong.json()["where"].startswith("prior_circle")
    assert client.post("/v1/sessions", files={"photo": ("x.jpg", b"no photo")}).json()["where"] == "x.jpg"


@pytest.mark.parametrize("wrong", [
    {}, [], {"kind": "cell"}, {"kind": "moon"}, {"kind": "cell", "sequence": [0], "lat": 1.0, "here": True},
    {"kind": "cell", "sequence": [], "here": False}, {"kind": "cell", "sequence": [99], "here": False},
    {"kind": "circle", "lat": 91, "lon": 0, "radius_m": 5, "here": True},
    {"kind": "circle", "lat": 54.5, "lon": 3, "radius_m": 0, "here": True},
    {"kind": "circle", "lat": 54.5, "lon": 3, "radius_m": 5, "here": True, "soft": 3},
    {"kind": "polygon", "geometry": {"type": "Point", "coordinates": [0, 0]}, "here": True},
    {"kind": "polygon", "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "here": True},
    {"kind": "heading", "deg": 400}, {"kind": "heading", "deg": 10, "sigma_deg": 0}, {"kind": "camera", "fov_deg": 200},
    {"kind": "camera", "fov_deg": 60}])
def test_wrong_corrections_are_refused_and_change_nothing(client, state, wrong):
    answer = client.post(f"/v1/sessions/{state['id']}/corrections", json=wrong)
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["remedy"]
    assert client.get(f"/v1/sessions/{state['id']}").json() == state


def test_bodies_that_are_not_json(client, state):
    for body in (b"{", b'{"kind": "circle", "lat": NaN, "lon": 1, "radius_m": 2, "here": true}', b"[" * 100_000, b"\xff"):
        answer = client.post(f"/v1/sessions/{state['id']}/corrections", content=body,
                             headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422} and "what" in answer.json()


def test_what_contradicts_is_a_conflict(client, state):
    first = correct(client, state, kind="cell", sequence=[3], here=True).json()
    answer = correct(client, state, kind="cell", sequence=[3], here=False)
    assert answer.status_code == 409 and "rule out every place" in answer.json()["what"]
    assert client.get(f"/v1/sessions/{state['id']}").json() == first


def test_pictures(client, localizer, state):
    path = f"/v1/sessions/{state['id']}"
    photo = client.get(f"{path}/photo.jpg")
    assert photo.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(photo.content)).size == (state["photo"]["width"], state["photo"]["height"])
    z = 18
    lat, lon = np.radians(state["fix"]["lat"]), state["fix"]["lon"]
    x, y = int((lon + 180) / 360 * 2**z), int((1 - np.arcsinh(np.tan(lat)) / np.pi) / 2 * 2**z)
    tile = client.get(f"{path}/heat/2/{z}/{x}/{y}.png?v={state['version']}")
    assert tile.status_code == 200 and "immutable" in tile.headers["cache-control"]
    assert np.asarray(Image.open(io.BytesIO(tile.content)).convert("RGBA"))[..., 3].any()
    same = {"if-none-match": tile.headers["etag"]}
    assert client.get(f"{path}/heat/2/{z}/{x}/{y}.png", headers=same).status_code == 304
    far = client.get(f"{path}/heat/2/{z}/{x + 5000}/{y}.png")
    assert far.status_code == 200 and not np.asarray(Image.open(io.BytesIO(far.content)).convert("RGBA"))[..., 3].any()
    correct(client, state, kind="circle", lat=state["fix"]["lat"], lon=lon, radius_m=30.0, here=False)
    moved = client.get(f"{path}/heat/2/{z}/{x}/{y}.png?v={state['version']}", headers=same)
    assert moved.status_code == 200 and moved.headers["cache-control"] == "private, no-cache"
    assert moved.content != tile.content
    assert client.get(f"{path}/heat/9/{z}/{x}/{y}.png").status_code == 422
    for query in ("sequence=&pixels=64", "sequence=3,7&pixels=64", f"lat={state['fix']['lat']}&lon={lon}&size_m=50&pixels=64"):
        view = client.get(f"/v1/views?{query}")
        assert view.status_code == 200 and Image.open(io.BytesIO(view.content)).size == (64, 64)
    for query in ("", "sequence=99", "sequence=a", "sequence=3&pixels=9999", "lat=1&lon=2", "sequence=1&lat=1",
                  "lat=0&lon=0&size_m=50", f"lat={state['fix']['lat']}&lon={lon}&size_m=1e6"):
        assert client.get(f"/v1/views?{query}").status_code == 422


def test_regions(client, state):
    answer = client.get(f"/v1/sessions/{state['id']}/region.geojson")
    assert answer.headers["content-type"] == "application/geo+json"
    features = {one["properties"]["kind"]: one for one in answer.json()["features"]}
    assert list(features) == ["region_95", "region_90", "region_50", "heading"]
    areas = [features[f"region_{percent}"]["properties"]["area_m2"] for percent in (50, 90, 95)]
    assert areas == [state["fix"]["regions"][str(percent)] for percent in (50, 90, 95)]


def test_files(client, state, tmp_path):
    moved = correct(client, state, kind="cell", sequence=[0], here=False).json()
    path, fix = f"/v1/sessions/{state['id']}/export", moved["fix"]
    collection = client.get(f"{path}.geojson").json()
    assert collection["features"][0]["geometry"]["coordinates"] == [fix["lon"], fix["lat"]]
    assert collection["features"][0]["properties"]["corrections"] == [{"kind": "cell", "sequence": [0], "here": False}]
    point = ElementTree.fromstring(client.get(f"{path}.gpx").content)[0]
    assert point.tag.endswith("wpt") and float(point.get("lat")) == pytest.approx(fix["lat"], abs=1e-7)
    assert point[0].tag.endswith("name") and point[0].text == fix["photo"]
    lines = client.get(f"{path}.csv").text.splitlines()
    assert len(lines) == 2 and lines[0].startswith("photo,lat,lon,sequence")
    picture = client.get(f"{path}.png")
    assert min(Image.open(io.BytesIO(picture.content)).size) > 800
    assert "attachment" in picture.headers["content-disposition"]
    assert client.get(f"{path}.exe").status_code == 422
    package = tmp_path / "answer.gpkg"
    package.write_bytes(client.get(f"{path}.gpkg").content)
    rows = sqlite3.connect(package).execute("SELECT lat, lon, photo, sequence FROM answers").fetchall()
    assert rows == [(fix["lat"], fix["lon"], fix["photo"], ",".join(map(str, fix["sequence"])))]


def test_a_full_queue_says_when_to_come_again(localizer, photos):
    queue, settings = PhotoQueue(limit=0), ServeSettings()
    app = FastAPI()
    add_problem_handlers(app)
    app.include_router(session_routes(new_sessions(queue, localizer, settings), queue, Variants(localizer), settings))
    with TestClient(app) as full:
        answer = begin(full, photos)
    queue.close()
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1


def test_clients_that_correct_one_photo_at_once(client, state):
    def work(k):
        return correct(client, state, kind="circle", lat=state["fix"]["lat"], lon=state["fix"]["lon"] + k * 1e-4, radius_m=2.0,
                       here=False).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(12))) == [200] * 12
    assert len(client.get(f"/v1/sessions/{state['id']}").json()["corrections"]) == 12
