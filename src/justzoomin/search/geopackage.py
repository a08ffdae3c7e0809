"""Answers as a GeoPackage: an SQLite database that GIS open, with layers for positions, cells, regions, headings and a track.

Source: OGC 12-128r18, GeoPackage encoding standard 1.3.1: tables of clause 2, geometry of clause 2.1.3, metadata of annex F.8.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from justzoomin.errors import DiskError
from justzoomin.files import disk_words
from justzoomin.search.geopackage_style import add_styles
from justzoomin.spelling import spelled

_APPLICATION_ID, _VERSION = 0x47504B47, 10301
_WGS84 = 4326
_WKT = ('GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
        'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,'
        'AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]')
_TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
    description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), min_x DOUBLE,
    min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name), CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
    scope TEXT NOT NULL, CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL, md_scope TEXT NOT NULL DEFAULT 'dataset',
    md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT, row_id_value INTEGER,
    timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), md_file_id INTEGER NOT NULL,
    md_parent_id INTEGER, CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
    CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id));
"""
_METADATA = "http://www.geopackage.org/spec/#extension_metadata"
_PURL = "http://purl.org/dc/terms/"


class _Layer(NamedTuple):
    """A layer: what it holds, its kind of geometry, and the columns that are taken from features' properties."""

    words: str
    geometry: str
    columns: Mapping[str, str]


_REGIONS = _Layer("Smallest regions that hold a share of the probability", "MULTIPOLYGON", {
    "photo": "TEXT", "percent": "INTEGER", "area_m2": "DOUBLE"})
_HEADINGS = _Layer("Directions that the photos face, one spread to each side", "MULTIPOLYGON", {
    "photo": "TEXT", "heading_deg": "DOUBLE", "heading_sigma_deg": "DOUBLE"})
Layers = Mapping[str, _Layer]
ANSWER_LAYERS: Layers = {
    "regions": _REGIONS,
    "cells": _Layer("Terminal cells of the answers", "MULTIPOLYGON", {"photo": "TEXT"}),
    "headings": _HEADINGS,
    "answers": _Layer("Positions of photos", "POINT", {
        "photo": "TEXT", "lat": "DOUBLE", "lon": "DOUBLE", "sequence": "TEXT", "credible_radius_m": "DOUBLE",
        "radius_90_m": "DOUBLE", "expected": "DOUBLE", "decision": "TEXT", "searched": "TEXT", "calibrated": "BOOLEAN",
        "not_calibrated": "TEXT", "on_map": "BOOLEAN", "heading_deg": "DOUBLE", "heading_sigma_deg": "DOUBLE",
        "entropy_bits": "DOUBLE", "prior": "TEXT", "heading_prior": "TEXT", "camera": "TEXT", "map": "TEXT", "model": "TEXT"})}
"""Layers of photos that were localized one by one."""
TRACK_LAYERS: Layers = {
    "regions": _REGIONS,
    "headings": _HEADINGS,
    "track": _Layer("The way from photo to photo", "LINESTRING", {}),
    "answers": _Layer("Positions of the photos of a drive", "POINT", {
        "photo": "TEXT", "time": "DATETIME", "lat": "DOUBLE", "lon": "DOUBLE", "radius_m": "DOUBLE", "radius_90_m": "DOUBLE",
        "on_map": "BOOLEAN", "heading_deg": "DOUBLE", "heading_sigma_deg": "DOUBLE"})}
"""Layers of the photos of a drive."""
_KINDS = {"position": "answers", "photo": "answers", "cell": "cells", "heading": "headings", "track": "track"}


def geopackage_bytes(features: Iterable[Mapping[str, Any]], attribution: str | None = None,
                     layers: Layers = ANSWER_LAYERS) -> bytes:
    """Return a GeoPackage of the features of fixes, or of a drive.

    Args:
        features: GeoJSON features with a `kind`, as `Fix.to_geojson` returns them: `position`, `cell`, `region_90` (or another
            per cent) and `heading`; of a drive: `photo`, `track`, regions and headings. Others are left out.
        attribution: Whom to credit for the map, for the metadata.
        layers: `ANSWER_LAYERS` or `TRACK_LAYERS`.

    Returns:
        The bytes of the file. All layers are there, even those without a feature, each with a default style for QGIS.
        Positions are in WGS 84.
    """
    connection = sqlite3.connect(":memory:")
    try:
        _fill(connection, features, attribution, layers)
        return connection.serialize()
    finally:
        connection.close()


def write_geopackage(features: Iterable[Mapping[str, Any]], file: IO[bytes], attribution: str | None = None,
                     layers: Layers = ANSWER_LAYERS) -> None:
    """Write what `geopackage_bytes` returns into a file, with one feature in memory at a time.

    Raises:
        OSError: If it cannot be written.
    """
    with tempfile.NamedTemporaryFile(suffix=".gpkg") as made:
        connection = sqlite3.connect(made.name)
        try:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            _fill(connection, features, attribution, layers)
        except sqlite3.OperationalError as error:  # full or broken: all else about this database is known
            raise DiskError(made.name, OSError(str(error))) from error
        finally:
            connection.close()
        with disk_words(Path(made.name)):
            shutil.copyfileobj(made, file)


def _fill(connection: sqlite3.Connection, features: Iterable[Mapping[str, Any]], attribution: str | None,
          layers: Layers) -> None:
    """Write everything into an empty database."""
    _begin(connection, attribution, layers)
    boxes: dict[str, list[float]] = {}
    for feature in features:
        name = _layer_of(str(feature["properties"].get("kind", "")))
        if name in layers and feature["geometry"] is not None:
            box = _add(connection, name, layers[name].columns, feature)
            west, south, east, north = boxes.setdefault(name, box)
            boxes[name] = [min(west, box[0]), min(south, box[1]), max(east, box[2]), max(north, box[3])]
    for name, box in boxes.items():
        connection.execute("UPDATE gpkg_contents SET min_x=?, min_y=?, max_x=?, max_y=? WHERE table_name=?", (*box, name))
    connection.commit()


def _layer_of(kind: str) -> str:
    return "regions" if kind.startswith("region_") else _KINDS.get(kind, "")


def _begin(connection: sqlite3.Connection, attribution: str | None, layers: Layers) -> None:
    """Write the tables that describe the file, and empty layers with their styles."""
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.executescript(_TABLES)
    connection.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", [
        ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian coordinate reference system"),
        ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic coordinate reference system"),
        ("WGS 84 geodetic", _WGS84, "EPSG", _WGS84, _WKT, "longitude and latitude in degrees")])
    connection.executemany("INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_metadata', ?, 'read-write')",
                           [("gpkg_metadata", _METADATA), ("gpkg_metadata_reference", _METADATA)])
    for name, layer in layers.items():
        columns = "".join(f', "{column}" {kind}' for column, kind in layer.columns.items())
        connection.execute(f'CREATE TABLE "{name}" (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, '
                           f'geom {layer.geometry}{columns})')
        connection.execute("INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
                           "VALUES (?, 'features', ?, ?, ?)", (name, name, layer.words, _WGS84))
        connection.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, ?, 0, 0)", (name, layer.geometry, _WGS84))
    add_styles(connection, layers)
    metadata = {"creator": "justzoomin", **({} if attribution is None else {"rights": spelled(attribution)})}
    connection.execute("INSERT INTO gpkg_metadata VALUES (1, 'dataset', ?, 'application/json', ?)",
                       (_PURL, json.dumps(metadata, ensure_ascii=False)))
    connection.execute("INSERT INTO gpkg_metadata_reference (reference_scope, md_file_id) VALUES ('geopackage', 1)")


def _add(connection: sqlite3.Connection, name: str, columns: Mapping[str, str], feature: Mapping[str, Any]) -> list[float]:
    """Write a feature and return its west, south, east and north."""
    from shapely import MultiPolygon, Polygon, to_wkb
    from shapely.geometry import shape

    geometry = shape(feature["geometry"])
    if isinstance(geometry, Polygon):
        geometry = MultiPolygon([geometry])
    west, south, east, north = geometry.bounds
    point = name == "answers"
    head = struct.pack("<2sBBi", b"GP", 0, 0b001 if point else 0b011, _WGS84)
    envelope = b"" if point else struct.pack("<4d", west, east, south, north)
    properties = dict(feature["properties"])
    if name == "answers":
        properties["lon"], properties["lat"] = feature["geometry"]["coordinates"]
    elif name == "regions":
        properties["percent"] = int(properties["kind"].removeprefix("region_"))
    marks, names = ", ".join("?" * (len(columns) + 1)), ", ".join(["geom", *(f'"{column}"' for column in columns)])
    connection.execute(f'INSERT INTO "{name}" ({names}) VALUES ({marks})', (
        head + envelope + to_wkb(geometry, byte_order=1), *(_plain(properties.get(column)) for column in columns)))
    return [west, south, east, north]


def _plain(value: Any) -> Any:
    """Return a value that a column holds."""
    if isinstance(value, str):
        return spelled(value)
    return ",".join(map(str, value)) if isinstance(value, Sequence) else value
