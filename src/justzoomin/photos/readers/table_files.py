"""Read files of tables as columns and rows: CSV from any spreadsheet, Parquet, GeoJSON."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl

from justzoomin.data import read_parquet as read_foreign_parquet
from justzoomin.errors import DataError
from justzoomin.photos.readers.json_input import decoded, json_values, point, read_bytes
from justzoomin.untrusted import printable

MAX_ROWS = 20_000_000
"""Maximum rows of a table or GeoJSON file, because rows are stored as Python values."""

_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d{0,17})(\.\d{0,30})?([eE][+-]?\d{1,2})?")
_WGS84 = ("urn:ogc:def:crs:ogc:1.3:crs84", "urn:ogc:def:crs:ogc::crs84", "http://www.opengis.net/def/crs/ogc/1.3/crs84",
          "urn:ogc:def:crs:epsg::4326", "epsg:4326", "crs84", "ogc:crs84", "wgs84", "wgs 84",
          "http://www.opengis.net/def/crs/epsg/0/4326")


def read_csv(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Read a CSV: comma, semicolon or tab; UTF-8 or UTF-16; a byte order mark, CRLF. Values are text.

    Raises:
        DataError: If it is not such a table.
    """
    text = decoded(read_bytes(path), path, "Save it as CSV in UTF-8.")
    if "\0" in text:
        raise DataError(path, "the file contains zero bytes, so it is not text", "Save it as CSV in UTF-8.")
    declared = re.match(r"sep=([,;\t])\r?\n", text)  # spreadsheets write this first to state their separator
    text = text[declared.end():] if declared else text
    head = text.lstrip("\r\n").splitlines()[:1]
    if not head:
        raise DataError(path, "the table is empty", "Give a table with a line of column names and a row per photo.")
    separator = declared[1] if declared else max(",;\t", key=head[0].count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        columns: list[str] = []
        rows: list[dict[str, Any]] = []
        for cells in lines:
            if not any(c.strip() for c in cells):
                continue
            if not columns:
                columns = _columns(cells, path)
            elif len(cells) != len(columns):
                raise DataError(f"{path}, line {lines.line_num}", f"{len(cells)} values for {len(columns)} columns",
                                "Quote values that contain the separator.")
            else:
                rows.append({c: v if v.strip() else None for c, v in zip(columns, cells, strict=True)})
    except csv.Error as error:
        raise DataError(f"{path}, line {lines.line_num}", f"invalid CSV ({error})", "Save it as CSV again.") from error
    return columns, _checked_rows(rows, path)


def read_parquet(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Read a Parquet file; binary columns are left out, times and lists become text.

    Raises:
        DataError: If it cannot be read or has too many rows.
    """
    frame = read_foreign_parquet(path)
    frame = frame.drop([c for c, kind in frame.schema.items() if kind in (pl.Binary, pl.Object)])
    columns = _columns(frame.columns, path)
    try:
        rows = [{c: _value(v) for c, v in zip(columns, row, strict=True)} for row in frame.iter_rows()]
    except (ValueError, OverflowError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(path, f"a value is invalid ({printable(error, 200)})", "Write the table again.") from error
    return columns, _checked_rows(rows, path)


def read_geojson(path: Path) -> tuple[list[str], list[dict[str, Any]], list[str], list[tuple[float, float] | str]]:
    """Read columns, rows, row names and positions (lat, lon) of a GeoJSON FeatureCollection, or of a feature per line.

    Raises:
        DataError: If it is not GeoJSON of points in WGS 84.
    """
    features: list[tuple[str, Mapping[str, Any]]] = []
    for where, value in json_values(path):
        if not isinstance(value, dict) or value.get("type") not in {"FeatureCollection", "Feature"}:
            raise DataError(where, "not a GeoJSON FeatureCollection", "Give a FeatureCollection of Points, one per photo.")
        _check_crs(value, where)
        inside = value.get("features") if value["type"] == "FeatureCollection" else [value]
        if not isinstance(inside, list):
            raise DataError(where, "its features are not a list", "Give a FeatureCollection of Points, one per photo.")
        for feature in inside:
            name = f"feature {len(features) + 1}"
            if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
                raise DataError(f"{path}, {name}", "not a feature", "Give a FeatureCollection of Points, one per photo.")
            features.append((name, feature))
    rows: list[dict[str, Any]] = []
    positions: list[tuple[float, float] | str] = []
    columns: dict[str, None] = {}
    for _, feature in features:
        row = dict(feature.get("properties") or {})
        where_at = point(feature.get("geometry"))
        positions.append(where_at if isinstance(where_at, str) else where_at[:2])
        if not isinstance(where_at, str) and where_at[2] is not None:
            row.setdefault("altitude_m", where_at[2])
        columns.update(dict.fromkeys(row))
        rows.append(row)
    return _columns(list(columns), path), _checked_rows(rows, path), [n for n, _ in features], positions


def _check_crs(value: Mapping[str, Any], where: str) -> None:
    """Raise an error for other reference systems. Source: GeoJSON 2008, `crs`; RFC 7946, section 4, allows only WGS 84."""
    crs = value.get("crs")
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str) or name.strip().lower() not in _WGS84:
        raise DataError(where, f"its crs is {printable(name if name is not None else crs, 60)}, not WGS 84",
                        "Export it with longitudes and latitudes in WGS 84 (EPSG:4326).")


def _columns(names: Sequence[str], path: Path) -> list[str]:
    columns = [n.strip() for n in names]
    lowered = [c.lower() for c in columns]
    twice = sorted({c for c in columns if c and lowered.count(c.lower()) > 1}) if len(set(lowered)) < len(lowered) else []
    if twice:
        raise DataError(path, f"repeated columns: {', '.join(printable(c, 40) for c in twice[:5])}", "Keep one of each.")
    return [c or f"column_{k}" for k, c in enumerate(columns, 1)]


def _checked_rows(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    if not rows:
        raise DataError(path, "the table has no rows", "Give a table with a row per photo.")
    if len(rows) > MAX_ROWS:
        raise DataError(path, f"the table has {len(rows)} rows", f"Give a table of at most {MAX_ROWS} rows.")
    return rows


def number(value: object) -> float | None:
    """Return the finite number of a table's cell, with a decimal point or comma; None if it is not a number."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip()
        if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", value):
            value = value.replace(",", ".")
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", value):
            return None
    try:
        result = float(cast("Any", value))
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def numbers_where_all_are(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Turn text columns into numbers if every value is one; `007` keeps a column text."""
    for column in columns:
        values = [r[column] for r in rows if r.get(column) is not None]
        if not all(isinstance(v, str) and _NUMBER.fullmatch(v.strip()) for v in values):
            continue
        kind = int if all(_WHOLE.fullmatch(v.strip()) for v in values) else float
        for row in rows:
            if row.get(column) is not None:
                row[column] = kind(row[column])


def whole_where_all_are(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Remove the `.0` from id columns if every value has it, as pandas writes integers beside empty cells."""
    for column in columns:
        values = [r[column] for r in rows if r.get(column) is not None]
        if all(isinstance(v, str) and re.fullmatch(r"\s*[0-9]+\.0\s*", v) for v in values):
            for row in rows:
                if row.get(column) is not None:
                    row[column] = row[column].strip()[:-2]


def _value(value: object) -> object:
    if isinstance(value, dt.date | dt.time) and not isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value
