"""Files of many fixes: Parquet, JSON lines, GeoJSON, CSV and GeoPackage, written in one piece from a stream of rows."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from justzoomin.errors import ConfigError
from justzoomin.files import atomic_file, disk_words
from justzoomin.geometry import ZoomGrid
from justzoomin.search.answers import PERCENTS
from justzoomin.search.fix import Fix
from justzoomin.search.geopackage import ANSWER_LAYERS, write_geopackage
from justzoomin.search.geoparquet import GEOMETRY, Points
from justzoomin.spelling import SPELLED, spelled

Row = dict[str, Any]
_LISTS = ("sequence", "probabilities", "no_data", "region_90", "heading_probs")
_NESTED = ("top_cells", "regions", "covariance_m2")


def check_suffix(path: Path) -> None:
    """Refuse a file with an unsupported extension.

    Raises:
        ConfigError: If so. The message lists the supported extensions.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(path, f"unsupported file extension {path.suffix!r}", f"Use one of {', '.join(FORMATS)}.")


def write_fixes(rows: Iterable[Row], grid: ZoomGrid, path: Path, attribution: str | None = None) -> Path:
    """Write fixes in the format of the file's extension, with one row in memory at a time.

    Args:
        rows: The fixes, as in `Fix.to_dict`.
        grid: The grid on which they were found.
        path: The file.
        attribution: Whom to credit for the map. JSON lines and CSV have no place for it.

    Raises:
        OSError: If the file cannot be written.
    """
    named = ({**row, "photo": spelled(row["photo"])} for row in rows)
    with atomic_file(path) as file:
        FORMATS[path.suffix.lower()](named, grid, file, attribution)
    return path


def fixes_bytes(rows: Iterable[Row], grid: ZoomGrid, suffix: str, attribution: str | None = None) -> bytes:
    """Return what `write_fixes` would write into a file with an extension, for few fixes."""
    file = io.BytesIO()
    FORMATS[suffix](({**row, "photo": spelled(row["photo"])} for row in rows), grid, file, attribution)
    return file.getvalue()


def write_failures(rows: Iterable[Row], path: Path) -> Path:
    """Write photos and their errors as CSV."""
    with atomic_file(path) as file, _text(file) as text:
        writer = csv.writer(text)
        writer.writerow(["photo", "error"])
        writer.writerows([row["photo"], row["error"]] for row in rows)
    return path


def _text(file: IO[bytes]) -> io.TextIOWrapper:
    return _Kept(file, encoding="utf-8", errors=SPELLED, newline="")


class _Kept(io.TextIOWrapper):
    """Text writer on a binary file that leaves the file open."""

    def __exit__(self, *_: object) -> None:
        self.detach()


def _jsonl(rows: Iterable[Row], grid: ZoomGrid, file: IO[bytes], attribution: str | None = None) -> None:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")


def _csv(rows: Iterable[Row], grid: ZoomGrid, file: IO[bytes], attribution: str | None = None) -> None:
    with _text(file) as text:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            flat = {**row, **{key: " ".join(map(str, row[key] or ())) for key in _LISTS},
                    **{key: "" if row[key] is None else json.dumps(row[key]) for key in _NESTED}}
            if writer is None:
                writer = csv.DictWriter(text, list(flat))
                writer.writeheader()
            writer.writerow(flat)


def _geojson(rows: Iterable[Row], grid: ZoomGrid, file: IO[bytes], attribution: str | None = None) -> None:
    """Write the features of each photo, as in `Fix.to_geojson`."""
    file.write(b'{"type": "FeatureCollection", "features": [')
    between = b"\n"
    for row in rows:
        for feature in Fix.from_dict(row, grid).to_geojson():
            file.write(between + json.dumps(feature, ensure_ascii=True).encode())
            between = b",\n"
    credit = "" if attribution is None else f', "attribution": {json.dumps(spelled(attribution))}'
    file.write(f"\n]{credit}}}\n".encode())


def _parquet(rows: Iterable[Row], grid: ZoomGrid, file: IO[bytes], attribution: str | None = None) -> None:
    """Write one row per photo, lists as lists, as GeoParquet; JSON lines on the disk in between keep memory bounded."""
    import polars as pl

    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "photo": pl.String, "lat": pl.Float64, "lon": pl.Float64, "sequence": pl.List(pl.Int64),
        "probabilities": pl.List(pl.Float64), "cell_size_m": pl.Float64, "credible_radius_m": pl.Float64,
        "radius_90_m": pl.Float64,
        "no_data": pl.List(pl.Float64), "seconds": pl.Float64, "map": pl.String, "model": pl.String,
        "searched": pl.String, "decision": pl.String, "calibrated": pl.Boolean, "not_calibrated": pl.String,
        "camera": pl.String, "prior": pl.String,
        "on_map": pl.Boolean,
        "expected": pl.Float64, "top_cells": pl.List(pl.Struct({"sequence": pl.List(pl.Int64), "probability": pl.Float64})),
        "regions": pl.Struct({str(percent): pl.Float64 for percent in PERCENTS}), "region_90": pl.List(pl.Int64),
        "covariance_m2": pl.List(pl.List(pl.Float64)), "entropy_bits": pl.Float64,
        "heading_deg": pl.Float64, "heading_sigma_deg": pl.Float64, "heading_probs": pl.List(pl.Float64),
        "heading_prior": pl.String, GEOMETRY: pl.String,
    }
    points = Points()
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as lines:
        with disk_words(Path(lines.name)):
            _jsonl(points.added(rows), grid, lines)
            lines.flush()
        table = pl.scan_ndjson(lines.name, schema=schema).with_columns(pl.col(GEOMETRY).str.decode("hex"))
        table.sink_parquet(file, metadata=points.metadata(attribution))


def _geopackage(rows: Iterable[Row], grid: ZoomGrid, file: IO[bytes], attribution: str | None = None) -> None:
    """Write the features of each photo with all regions that its row knows."""
    features = (feature for row in rows for feature in Fix.from_dict(row, grid).to_geojson(PERCENTS))
    write_geopackage(features, file, attribution, ANSWER_LAYERS)


FORMATS: dict[str, Callable[[Iterable[Row], ZoomGrid, IO[bytes], str | None], None]] = {
    ".parquet": _parquet, ".jsonl": _jsonl, ".geojson": _geojson, ".csv": _csv, ".gpkg": _geopackage}
"""Writers of the formats, by file extension."""
