"""Photos over HTTP."""

import json

import numpy as np
import pytest

from justzoomin.apps.server.uploads import name_of


def files(photos):
    return [("photos", (name, data, "image/jpeg")) for name, data in photos]


def test_the_answer_is_that_of_the_command(ask, localizer, photos):
    rows = ask().post("/v1/localize", files=files(photos[:3])).json()
    for (name, data), row in zip(photos, rows, strict=False):
        own = json.loads(json.dumps(localizer.localize(data).to_dict()))
        assert row["photo"] == name and row.keys() == own.keys()
        assert (row["lat"], row["lon"]) == pytest.approx((own["lat"], own["lon"]), abs=1e-7)
        assert row["sequence"] == own["sequence"] and row["radius_90_m"] == pytest.approx(own["radius_90_m"], rel=1e-3)


def test_geojson_if_it_is_asked_for(ask, photos, localizer, monkeypatch):
    monkeypatch.setattr(localizer.map, "attribution", "Survey")
    answer = ask().post("/v1/localize", files=files([photos[0], ("text.jpg", b"no photo")]),
                        headers={"Accept": "application/geo+json"})
    assert answer.headers["content-type"].startswith("application/geo+json")
    kinds = [feature["properties"]["kind"] for feature in answer.json()["features"]]
    assert answer.json()["attribution"] == "Survey"
    assert kinds[0] == "position" and kinds[-1] == "error" and answer.json()["features"][-1]["geometry"] is None


def test_fields_are_used(ask, localizer, photos, tmp_path):
    client, centre = ask(), localizer.grid.region.centre
    one = files(photos[:1])
    plain = client.post("/v1/localize", files=one).json()[0]
    asked = {"prior_circle": f"{centre.lat},{centre.lon},40", "heading": "90", "heading_sigma": "5", "decision": "distance"}
    row = client.post("/v1/localize", files=one, data=asked).json()[0]
    assert plain["prior"] is None and "within 40 m" in row["prior"]
    assert row["decision"] == "distance" and "90" in row["heading_prior"]
    weights = np.zeros((16, 16))
    weights[3, 5] = 1.0
    np.save(tmp_path / "w.npy", weights)
    raster = ("prior_raster", ("w.npy", (tmp_path / "w.npy").read_bytes(), "application/octet-stream"))
    row = client.post("/v1/localize", files=[*one, raster]).json()[0]
    assert row["sequence"] == [1, 13]  # row 3 and column 5 of 16: row 0, column 1 of 4; then row 3, column 1
    ring = [[centre.lon + x, centre.lat + y] for x, y in ((-1e-4, -1e-4), (1e-4, -1e-4), (1e-4, 1e-4), (-1e-4, -1e-4))]
    polygon = json.dumps({"type": "Polygon", "coordinates": [ring]})
    row = client.post("/v1/localize", files=one, data={"prior_polygon": polygon}).json()[0]
    assert (row["lat"], row["lon"]) == pytest.approx((centre.lat, centre.lon), abs=1.5e-3) and "prior_polygon" in row["prior"]


@pytest.mark.parametrize(("field", "value", "where"), [
    ("prior_circle", "4,5", "prior_circle"), ("prior_circle", "95,5,10", "prior"), ("prior_polygon", "{}", "prior_polygon"),
    ("heading", "700", "heading"), ("heading", "nan", "heading"), ("heading_sigma", "3", "heading_sigma"),
    ("heading_from", "stars", "heading_from"), ("fov", "0", "fov"), ("decision", "best", "decision"),
    ("search", "magic", "search"),
    ("prior_circle", "10,10,5", "prior")])
def test_a_wrong_field_is_named(ask, photos, field, value, where):
    answer = ask().post("/v1/localize", files=files(photos[:1]), data={field: value})
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert where in told["where"] and told["what"] and told["remedy"] and "--" not in told["detail"], told


def test_photos_that_cannot_be_used(ask, photos):
    client = ask(max_photos=2, max_photo_mb=0.02, max_megapixels=0.02)
    alone = client.post("/v1/localize", files=files([("../../etc/pass.jpg", b"no photo")]))
    assert alone.status_code == 422 and alone.json()["where"] == "pass.jpg"
    rows = client.post("/v1/localize", files=files([photos[0], ("bad.jpg", b"no photo")])).json()
    assert "lat" in rows[0] and rows[1].keys() == {"photo", "error"} and "bad.jpg" in rows[1]["error"]
    assert client.post("/v1/localize", files=files(photos[:3])).status_code == 413
    assert client.post("/v1/localize", files=files([("big.jpg", bytes(30_000))])).status_code == 413
    import fakes

    wide = client.post("/v1/localize", files=files([("wide.png", fakes.encoded(fakes.picture(400, 100), "PNG"))]))
    assert wide.status_code in (413, 200) or wide.json()["where"] == "wide.png"
    assert client.post("/v1/localize").status_code == 422
    broken = client.post("/v1/localize", content=b"xx", headers={"Content-Type": "multipart/form-data"})
    assert broken.status_code == 400 and "boundary" in broken.json()["what"]


def test_a_full_queue_answers_503(ask, photos):
    answer = ask(max_waiting=1).post("/v1/localize", files=files(photos[:2]))
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    assert "waiting" in answer.json()["what"]


def test_map_examples_state_and_figures(ask, localizer, photos, tmp_path):
    (tmp_path / "here.jpg").write_bytes(photos[0][1])
    (tmp_path / "examples.csv").write_text("photo,lat,lon\nhere.jpg,54.5,3.0\n")
    client = ask(examples=tmp_path)
    told = client.get("/v1/map").json()
    west, south, east, north = told["bounds"]
    assert west < told["grid"]["lon"] < east and south < told["grid"]["lat"] < north
    assert told["grid"]["cell_sizes_m"] == [400.0, 100.0, 25.0] and told["map"] == localizer.map_hash
    assert told["examples"] == [{"name": "here", "file": "here.jpg", "lat": 54.5, "lon": 3.0, "photo": "/examples/here.jpg"}]
    assert client.get("/examples/here.jpg").content == photos[0][1]
    assert client.get("/examples/..%2fexamples.csv").status_code == 404
    assert client.get("/healthz").json() == {"status": "ok"}
    client.post("/v1/localize", files=files(photos[:1]))
    assert client.get("/readyz").json()["status"] == "ready"
    figures = client.get("/metrics").text
    assert 'jzi_requests_total{method="POST",route="/v1/localize",status="200"} 1.0' in figures
    for name in ("jzi_waiting_photos 0.0", 'jzi_stage_seconds_count{stage="search"} 1.0', "jzi_batch_photos_count 1.0",
                 'stage="decode"', 'stage="encode"'):
        assert name in figures
    assert "/v1/localize" in client.get("/openapi.json").json()["paths"]
    assert "swagger-ui" in client.get("/docs").text and client.get("/page/docs.js").status_code == 200


def test_names_of_files():
    class Given:
        def __init__(self, filename):
            self.filename = filename

    assert [name_of(Given(name)) for name in ("a/b.jpg", "C:\\x\\y.png", None, "", "..", "z" * 999)][:5] == [
        "b.jpg", "y.png", "photo", "photo", ".."]
    assert len(name_of(Given("z" * 999))) <= 210
