"""Answers as a GeoPackage, read back by the database and by GDAL."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
import subprocess
from xml.etree import ElementTree

import pytest
import shapely
from shapely.geometry import shape

from justzoomin.geometry import Region, ZoomGrid
from justzoomin.search import ANSWER_LAYERS, TRACK_LAYERS, Fix, geopackage_bytes

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
    names = {row[0] for row in database.execute("SELECT table_name FROM gpkg_contents WHERE data_type = 'features'")}
    assert names == {"answers", "cells", "regions", "headings"}
    assert database.execute("SELECT count(*) FROM answers").fetchone() == (0,)


def test_every_layer_has_a_style_that_draws_its_geometry(tmp_path):
    """A symbol for each value that features have, of the kind that QGIS wants for the layer's geometry."""
    for layers in (ANSWER_LAYERS, TRACK_LAYERS):
        path = tmp_path / f"{len(layers)}-{next(iter(layers))}-{'cells' in layers}.gpkg"
        path.write_bytes(geopackage_bytes([], layers=layers))
        database = sqlite3.connect(path)
        kinds = dict(database.execute("SELECT table_name, geometry_type_name FROM gpkg_geometry_columns"))
        styles = database.execute("SELECT f_table_name, f_geometry_column, styleQML FROM layer_styles WHERE useAsDefault "
                                  "AND f_table_catalog = '' AND f_table_schema = ''").fetchall()
        assert {name for name, *_ in styles} == kinds.keys() and len(styles) == len(kinds)
        for name, column, style in styles:
            renderer = ElementTree.fromstring(style).find("renderer-v2")
            drawn = {symbol.get("name"): symbol.get("type") for symbol in renderer.findall("symbols/symbol")}
            wanted = {"POINT": "marker", "LINESTRING": "line", "MULTIPOLYGON": "fill"}[kinds[name]]
            assert column == "geom" and set(drawn.values()) == {wanted}
            if name == "regions":
                assert renderer.get("attr") == "percent"
                values = {one.get("value"): one.get("symbol") for one in renderer.findall("categories/category")}
                assert values.keys() == {"50", "90", "95"} and set(values.values()) == drawn.keys()
            else:
                assert drawn.keys() == {"0"}


def test_geopandas_reads_every_layer(package):
    pyogrio, geopandas = pytest.importorskip("pyogrio"), pytest.importorskip("geopandas")
    path, fixes = package
    assert dict(pyogrio.list_layers(path)) == {
        "answers": "Point", "layer_styles": None, **dict.fromkeys(("cells", "regions", "headings"), "MultiPolygon")}
    answers = geopandas.read_file(path, layer="answers")
    assert answers.crs == "EPSG:4326" and list(answers.geometry.x) == [fix.lon for fix in fixes]
    regions = geopandas.read_file(path, layer="regions")
    wanted = [shape(feature["geometry"]).area for fix in fixes for feature in fix.to_geojson() if
              feature["properties"]["kind"] == "region_90"]
    assert regions.geometry.is_valid.all() and shapely.area(regions.geometry.values).tolist() == pytest.approx(wanted)


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="ogrinfo of GDAL is not installed (Debian: gdal-bin)")
def test_gdal_reads_it_without_a_warning(package):
    path, fixes = package
    run = subprocess.run(["ogrinfo", "-ro", "-al", "-so", str(path)], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert "layer_styles" in run.stdout
    for words in ("Layer name: answers", "Geometry: Point", "Layer name: regions", "Geometry: Multi Polygon", "WGS 84",
                  "Feature Count: 3", "on_map: Integer(Boolean)", "© A & B"):
        assert words in run.stdout
    west = min(fix.lon for fix in fixes)
    assert f"Extent: ({west:.6f}" in run.stdout
