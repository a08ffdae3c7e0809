"""Many photos with progress and cancel; a drive with its slider."""

import csv
import json
import re

import pytest
from playwright.sync_api import expect

CANCELLED = "async (job) => (await (await fetch(`v1/jobs/${job}`)).json()).state === 'cancelled'"
SHAPES = "justzoomin.map.layers.drive.getSource().getFeatures().map((one) => one.getGeometry().getType())"


def chosen(visitor, button):
    visitor[button].click()
    expect(visitor["#sort"]).to_be_hidden()
    return visitor


def test_a_batch_shows_progress_and_every_answer_and_can_be_cancelled(visit, photos, server):
    visitor = visit()
    server.gate.close()
    try:
        visitor.drop(*photos[:5])
        expect(visitor["#sort"]).to_be_visible()
        expect(visitor["#sort-text"]).to_contain_text("5 photos")
        chosen(visitor, "#sort-many")
        expect(visitor["#many-list li"]).to_have_count(5)
        expect(visitor["#view-many .progress"]).to_contain_text("0 of 5 photos")
        server.gate.let(2)
        expect(visitor["#view-many .progress"]).to_contain_text(re.compile("[1-4] of 5 photos"))
        expect(visitor["#view-many progress"]).to_have_attribute("value", re.compile(r"^0\.[2468]"))
    finally:
        server.gate.let()
    expect(visitor["#many-files"]).to_be_visible()
    expect(visitor["#view-many .progress"]).to_be_hidden()
    expect(visitor["#many-list .result"]).to_have_text([re.compile(r"\d+ %")] * 5)
    expect(visitor["#many-list canvas"]).to_have_count(5)
    assert visitor.page.evaluate("justzoomin.map.layers.many.getSource().getFeatures().length") == 5
    for kind in ("csv", "jsonl", "geojson", "parquet"):
        with visitor.page.expect_download() as download:
            visitor[f"#many-files a[download='photos.{kind}']"].click()
        path = download.value.path()
        if kind == "csv":
            assert len(list(csv.DictReader(path.read_text().splitlines()))) == 5
        elif kind == "jsonl":
            names = [json.loads(line)["photo"].rpartition("/")[2] for line in path.read_text().splitlines()]
            assert names == [photo.name for photo in photos[:5]]
        elif kind == "geojson":
            shapes = [one["geometry"]["type"] for one in json.loads(path.read_text())["features"]]
            assert shapes.count("Point") == 5
        else:
            assert path.read_bytes()[:4] == path.read_bytes()[-4:] == b"PAR1"
    visitor["[data-photo='3'] .photo-row"].click()
    shown = visitor.page.evaluate("[justzoomin.map.middle.lat, justzoomin.map.middle.lon]")
    visitor["[data-photo='3'] .closer"].click()
    visitor.answered()
    assert shown == pytest.approx(visitor.position, abs=1e-5)
    expect(visitor["#photo .name"]).to_have_text(photos[3].name)
    expect(visitor["#view-many"]).to_be_hidden()

    server.gate.close()
    try:
        visitor["#mode-many"].click()
        with visitor.page.expect_response(lambda answer: answer.request.method == "POST") as posted:
            visitor.pick(*photos[:5], where="#many-input")
        job = posted.value.json()["id"]
        expect(visitor["#view-many .progress"]).to_contain_text("0 of 5 photos")
        with visitor.page.expect_response(lambda one: one.request.method == "DELETE" and one.url.endswith(job)) as removed:
            visitor["#many-cancel"].click()
        assert removed.value.status in (202, 204)
        expect(visitor["#toast"]).to_contain_text("Cancelled")
        expect(visitor["#many-choose"]).to_be_visible()
    finally:
        server.gate.let()
    visitor.page.wait_for_function(CANCELLED, arg=job)


def test_a_drive_has_a_slider_through_time(visit, photos, tmp_path):
    times = tmp_path / "times.csv"
    rows = [f"{photo.name},2024-05-01T10:00:{5 * k:02d}Z\n" for k, photo in enumerate(photos[:4])]
    times.write_text("photo,time\n" + "".join(rows))
    visitor = visit()
    visitor["#mode-drive"].click()
    visitor.pick(*photos[:4], times, where="#drive-input")
    expect(visitor["#time"]).to_be_visible()
    expect(visitor["#drive-table"]).to_contain_text("times.csv")
    facts = visitor["#view-drive .now .facts"]
    expect(facts).to_contain_text("1 of 4")
    expect(facts).to_contain_text("10:00:00")
    visitor["#time"].focus()
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.keyboard.press("ArrowRight")
    expect(facts).to_contain_text("3 of 4")
    expect(facts).to_contain_text("10:00:10")
    expect(visitor["#time"]).to_have_attribute("aria-valuetext", "10:00:10, photo 3 of 4")
    expect(visitor["#view-drive .now img"]).to_have_attribute("alt", f"Photo {photos[2].name}")
    shapes = visitor.page.evaluate(SHAPES)
    assert sorted(shapes) == ["LineString", *["Point"] * 4, *["Polygon"] * 4]
    visitor["#drive-play"].click()
    expect(facts).to_contain_text("4 of 4")
    for ending, mark in (("geojson", '"FeatureCollection"'), ("gpx", "<gpx"), ("json", '"lat"')):
        with visitor.page.expect_download() as download:
            visitor[f"[data-drive-export='{ending}']"].click()
        assert mark in download.value.path().read_text() and download.value.suggested_filename == f"drive.{ending}"
