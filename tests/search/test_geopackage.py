"""Answers as a GeoPackage, read back by the database and by GDAL."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
import subprocess

import pytest
import shapely

from justzoomin.geometry import Region, ZoomGrid
from justzoomin.search import Fix, geopackage_bytes

GRID = ZoomGrid(Region(54.5, 3.0, (-200.0, 200.0), (-200.0, 200.0)), 4, 2)
DATELINE = ZoomGrid(Region(10.0, 180.0, (-200.0, 200.0), (-200.0, 200.0)), 3, 1)


def fix_on(grid: ZoomGrid, sequence: tuple[int, ...], **more: object) -> Fix:
    centre = grid.cell(sequence).centre
    return Fix(centre.lat, centre.lon, sequence, (0.5,) * len(sequence), 100.0, 20.0, (0.0,) * len(sequence), 0.1,
               "a \udce9.jpg", "m" * 8, "n" * 8, grid, region_90=(3, 2), heading_deg=90.0, heading_sigma_deg=10.0, on_map=True,
               **more)


@pytest.fixture
def package(tmp_path):
    fixes = [fix_on(GRID, (5, 3)), dataclasses.replace(fix_on(GRID, (0, 0)), heading_deg=None), fix_on(DATELINE, (4,))]
    path = tmp_path / "answers.gpkg"
    path.write_bytes(geopackage_bytes((one for fix in fixes for one in fix.to_geojson()), "© A & B"))
    return path, fixes


def test_every_answer_is_there(package):
    path, fixes = package
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    rows = database.execute("SELECT geom, lat, lon, photo, on_map, heading_deg FROM answers").fetchall()
    for (geometry, lat, lon, photo, here, heading), fix in zip(rows, fixes, strict=True):
        assert geometry[:4] == b"GP\0\1" and shapely.from_wkb(geometry[8:]).coords[0] == (fix.lon, fix.lat)
        assert (lat, lon, here, heading) == (fix.lat, fix.lon, 1, fix.heading_deg) and photo == "a \\xe9.jpg"
    counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("cells", "regions", "headings")}
    assert counts == {"cells": 3, "regions": 3, "headings": 2}
    for geometry, percent, area in database.execute("SELECT geom, percent, area_m2 FROM regions"):
        assert shapely.from_wkb(geometry[40:]).geom_type == "MultiPolygon" and percent == 90 and area > 0
    assert json.loads(database.execute("SELECT metadata FROM gpkg_metadata").fetchone()[0])["rights"] == "© A & B"


def test_an_empty_package_has_its_layers(tmp_path):
    path = tmp_path / "none.gpkg"
    path.write_bytes(geopackage_bytes([]))
    database = sqlite3.connect(path)
    names = {row[0] for row in database.execute("SELECT table_name FROM gpkg_contents")}
    assert names == {"answers", "cells", "regions", "headings"}
    assert database.execute("SELECT count(*) FROM answers").fetchone() == (0,)


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="ogrinfo of GDAL is not installed (Debian: gdal-bin)")
def test_gdal_reads_it_without_a_warning(package):
    path, fixes = package
    run = subprocess.run(["ogrinfo", "-ro", "-al", "-so", str(path)], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    for words in ("Layer name: answers", "Geometry: Point", "Layer name: regions", "Geometry: Multi Polygon", "WGS 84",
                  "Feature Count: 3", "on_map: Integer(Boolean)", "© A & B"):
        assert words in run.stdout
    west = min(fix.lon for fix in fixes)
    assert f"Extent: ({west:.6f}" in run.stdout
