"""Every file that the page saves is what it says."""

import csv
import json
import sqlite3
from xml.etree import ElementTree

import pytest
from PIL import Image


def saved(visitor, kind):
    with visitor.page.expect_download() as download:
        visitor[f"[data-export='{kind}']"].click()
    assert download.value.suggested_filename == f"street0.{kind}"
    return download.value.path()


def test_files_hold_the_answer(visit, photos):
    visitor = visit(accept_downloads=True).pick(photos[0]).answered()
    lat, lon = visitor.position
    visitor["#save summary"].click()

    features = json.loads(saved(visitor, "geojson").read_text())["features"]
    points = [one["geometry"]["coordinates"] for one in features if one["geometry"]["type"] == "Point"]
    assert any(point[:2] == pytest.approx((lon, lat), abs=1e-6) for point in points)

    (row,) = csv.DictReader(saved(visitor, "csv").read_text().splitlines())
    assert (float(row["lat"]), float(row["lon"])) == pytest.approx((lat, lon), abs=1e-6)

    root = ElementTree.parse(saved(visitor, "gpx")).getroot()
    assert root.tag == "{http://www.topografix.com/GPX/1/1}gpx"
    waypoints = [(float(one.get("lat")), float(one.get("lon"))) for one in root.iter() if one.get("lat")]
    assert any(one == pytest.approx((lat, lon), abs=1e-6) for one in waypoints)

    path = saved(visitor, "gpkg")
    assert path.read_bytes()[:16] == b"SQLite format 3\0"
    with sqlite3.connect(path) as package:
        assert package.execute("pragma application_id").fetchone() == (int.from_bytes(b"GPKG", "big"),)
        assert package.execute("select count(*) from gpkg_contents where data_type = 'features'").fetchone()[0] >= 1

    with Image.open(saved(visitor, "png")) as picture:
        assert picture.format == "PNG" and min(picture.size) > 200
        assert len(picture.convert("RGB").resize((64, 64)).getcolors(4096)) > 50
