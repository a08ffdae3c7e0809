"""`/v1/track`: the same as the command, in three formats, and errors in the client's words."""

import json
import threading
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

import fakes
from justzoomin.apps.main import main
from justzoomin.apps.server.problems import add_problem_handlers
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.apps.server.track_routes import track_routes
from justzoomin.search import Localizer
from justzoomin.service import JobLimits, Jobs, PhotoQueue, Variants

GPX = "{http://www.topografix.com/GPX/1/1}"
NAMES = [f"{letter}.jpg" for letter in "ebacd"]


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return fakes.make_repository(tmp_path_factory.mktemp("track_routes") / "town", train=2, val=2, pixels=32)


@pytest.fixture(scope="module")
def model(town, tmp_path_factory):
    return fakes.tiny_model().save_pretrained(tmp_path_factory.mktemp("track_routes") / "model", fakes.grid_of(town))


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """Five photos with EXIF times, their names not in the order of the times."""
    folder = tmp_path_factory.mktemp("drive_sent")
    for k, name in enumerate(NAMES):
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0x9003: f"2024:05:01 10:00:{2 * k:02d}", 0x9011: "+02:00"})
        (folder / name).write_bytes(fakes.encoded(fakes.picture(160, 90, k), exif=exif))
    return folder


@contextmanager
def served(folder, localizer):
    queue, variants = PhotoQueue(batch_size=2, limit=3), Variants(localizer)
    jobs = Jobs(folder, lambda fields, files: localizer, limits=JobLimits(min_free_bytes=0))
    app = FastAPI()
    add_problem_handlers(app)
    app.include_router(track_routes(jobs, queue, variants, ServeSettings(max_photo_mb=0.1)))
    try:
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client
    finally:
        jobs.close()
        queue.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory, model, town):
    folder = tmp_path_factory.mktemp("track_jobs")
    with served(folder, Localizer.load(model, town, device="cpu")) as client:
        client.folder = folder
        yield client
    assert not list(folder.iterdir())  # nothing is left of any drive, refused or not


def sent(drive, *more, names=NAMES):
    return [*(("photos", (name, (drive / name).read_bytes())) for name in names), *more]


def commanded(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([str(word) for word in ("track", *words, "--json")])
    rows = json.loads(capsys.readouterr().out)
    return [{**row, "photo": Path(row["photo"]).name} for row in rows]


def close(rows):
    return [{k: pytest.approx(v, rel=1e-3, abs=1e-4) if isinstance(v, float) else v for k, v in row.items()} for row in rows]


TABLES = {
    "exif": (None, {}, ()),
    "forward": (None, {"smooth": "false", "speed": "3", "tempering": "1"}, ("--forward", "--speed", 3, "--tempering", 1)),
    "odometry": ("photo,time,east_m,north_m\n" + "".join(
        f"{n},2024-05-01 10:00:{k:02d},{'' if k == 0 else 7},{'' if k == 0 else 0}\n" for k, n in enumerate(NAMES)),
        {"time_zone": "Europe/Stockholm", "drift": "0.2"}, ("--time-zone", "Europe/Stockholm", "--drift", 0.2))}


@pytest.mark.parametrize("case", TABLES)
def test_the_answers_are_those_of_the_command(client, drive, model, town, capsys, tmp_path, case):
    table, data, options = TABLES[case]
    files = sent(drive)
    if table is not None:
        (tmp_path / "times.csv").write_text(table)
        files.append(("times", ("my times.csv", table.encode())))
        options = (*options, "--times", tmp_path / "times.csv")
    answer = client.post("/v1/track", files=files, data=data)
    assert answer.status_code == 200, answer.text
    rows = answer.json()
    assert rows == close(commanded(capsys, drive, "--model", model, "--map", town, *options))
    assert all(row["radius_m"] <= row["radius_90_m"] for row in rows) and [row["photo"] for row in rows] == NAMES


def test_geojson_and_gpx(client, drive):
    rows = client.post("/v1/track", files=sent(drive)).json()
    got = client.post("/v1/track", files=sent(drive), headers={"accept": "application/geo+json"})
    assert got.headers["content-type"] == "application/geo+json"
    line = got.json()["features"][0]["geometry"]
    assert line["type"] == "LineString"
    assert line["coordinates"] == [[pytest.approx(row["lon"]), pytest.approx(row["lat"])] for row in rows]
    got = client.post("/v1/track", files=sent(drive), headers={"accept": "application/gpx+xml"})
    assert got.headers["content-type"] == "application/gpx+xml"
    placed = ElementTree.fromstring(got.content).findall(f"{GPX}trk/{GPX}trkseg/{GPX}trkpt")
    assert [p.findtext(f"{GPX}name") for p in placed] == NAMES
    assert placed[0].findtext(f"{GPX}time") == "2024-05-01T08:00:00Z"


def test_photos_that_cannot_be_used_come_last(client, drive, tmp_path):
    whole = (drive / "a.jpg").read_bytes()
    files = sent(drive, ("photos", ("../x/broken.jpg", whole[:1200])), ("photos", ("none.png", fakes.encoded(
        fakes.picture(40, 40), "PNG"))))
    times = "photo,time\n" + "".join(f"{n},2024-05-01T10:00:{k:02d}\n" for k, n in enumerate([*NAMES, "broken.jpg"]))
    rows = client.post("/v1/track", files=[*files, ("times", ("t.csv", times.encode()))]).json()
    assert [row["photo"] for row in rows] == [*NAMES, "none.png", "broken.jpg"]
    assert "has no row for this photo" in rows[5]["error"] and rows[6]["error"].startswith("broken.jpg: ")
    assert not any(str(client.folder) in row["error"] or "--" in row["error"] for row in rows[5:])
    got = client.post("/v1/track", files=[*files, ("times", ("t.csv", times.encode()))],
                      headers={"accept": "application/gpx+xml"})
    assert "no times" in got.headers["remark"] and b"<time>" not in got.content
    points = client.post("/v1/track", files=files, headers={"accept": "application/geo+json"}).json()["features"]
    assert [f["properties"]["photo"] for f in points if f["properties"]["kind"] == "error"] == ["none.png", "broken.jpg"]


def test_turns_and_headings_that_the_model_cannot_use_are_told(client, drive):
    times = "photo,time,turn_deg\n" + "".join(f"{n},2024-05-01T10:00:{k:02d},3\n" for k, n in enumerate(NAMES))
    answer = client.post("/v1/track", files=sent(drive, ("times", ("t.csv", times.encode()))))
    assert answer.status_code == 200 and "does not say which way" in answer.headers["remark"]
    assert "--" not in answer.headers["remark"]


def test_a_model_that_knows_headings_uses_them(tmp_path, town, drive):
    from justzoomin.data import open_dataset

    localizer = Localizer(fakes.tiny_matching_model(), open_dataset(town).map)
    times = "photo,time,heading,heading_sigma\n" + "".join(f"{n},2024-05-01T10:00:0{k}Z,90,5\n" for k, n in enumerate(NAMES))
    with served(tmp_path / "jobs", localizer) as client:
        rows = client.post("/v1/track", files=sent(drive, ("times", ("t.csv", times.encode())))).json()
        assert all(abs(row["heading_deg"] - 90) < 60 for row in rows) and all(row["heading_sigma_deg"] for row in rows)


@pytest.mark.parametrize(("files", "data", "where", "what"), [
    ([], {"speed": "0"}, "speed 0", "out of range"), ([], {"speed": "nan"}, "speed nan", "out of range"),
    ([], {"sped": "3"}, "sped", "unknown"), ([], {"time_zone": "Mars/Base"}, "time_zone", "Mars"),
    ([], {"heading_from": "track"}, "heading_from track", "no way is known"),
    ([], {"heading_from": "compass"}, "heading_from compass", "unknown source"),
    ([("times", ("t.csv", b"photo\na.jpg\n"))], {}, "times", "columns"),
    ([("times", ("t.csv", b"photo,time\na.jpg,soon\n"))], {}, "times, row 2", "soon"),
    ([("times", ("t.csv", b"\0" * 50))], {}, "times", "zero bytes"),
    ([("photos", ("a.jpg", b"x")), ("times", ("t.csv", b"photo,time\na.jpg,2024-05-01T10:00:00Z\n"))], {}, "times, row 2",
     "several")])
def test_what_makes_no_sense_is_refused_in_words_of_the_client(client, drive, files, data, where, what):
    answer = client.post("/v1/track", files=sent(drive, *files), data=data)
    told = answer.json()
    assert (answer.status_code, told["where"]) == (422, where)
    assert what in told["what"] and "--" not in told["detail"] and str(client.folder) not in answer.text


def test_refusals_of_photos(client, drive, monkeypatch):
    assert client.post("/v1/track", files=[("times", ("t.csv", b"x"))]).status_code == 422
    assert client.post("/v1/track", files=[("photos", ("a.jpg", b"x"))]).status_code == 422
    assert client.post("/v1/track", files=[("photos", ("a.jpg", b"x" * 100_001))]).status_code == 413
    assert client.post("/v1/track", files=[("photos", (f"{k}", b"x")) for k in range(501)]).status_code == 413


def test_too_many_drives(client, drive, monkeypatch):
    from justzoomin.apps.server import track_routes as module

    go, going = threading.Event(), threading.Semaphore(0)

    def slow(*_):
        going.release()
        go.wait(30)
        raise AssertionError

    monkeypatch.setattr(module, "_tracked", slow)
    threads = [threading.Thread(target=client.post, args=("/v1/track",), kwargs={"files": sent(drive)}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert going.acquire(timeout=30)
    answer = client.post("/v1/track", files=sent(drive))
    assert answer.status_code == 503 and answer.headers["retry-after"]
    go.set()
    for thread in threads:
        thread.join()
    monkeypatch.undo()
    assert client.post("/v1/track", files=sent(drive)).status_code == 200
