"""The tables of an imported dataset: splits in the card's format, and everything known about each photo."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from justzoomin.data import hash_records
from justzoomin.files import write_bytes, write_json
from justzoomin.geometry import ZoomGrid
from justzoomin.photos.readers import PhotoRecord
from justzoomin.photos.settings import ImportSettings
from justzoomin.spelling import spelled

SPLITS = ("train", "val")
COLUMNS = ("image_id", "latitude", "longitude", "split", "sequence_id", "captured_at", "bearing_deg", "hfov_deg", "width",
           "height", "panorama_id", "camera_type", "camera_focal", "camera_k1", "camera_k2", "attribution", "license",
           "sharpness", "treatment", "source_file")
"""Columns of `streetview/metadata_satellite_covered.*`, before those that come from the source."""
_TEXT = {"image_id", "split", "sequence_id", "captured_at", "panorama_id", "camera_type", "attribution", "license", "treatment",
         "source_file"}
_WHOLE = {"width", "height"}


@dataclass(frozen=True)
class Written:
    """A photo in a shard.

    Args:
        record: The record that it came from.
        split: `train` or `val`.
        sharpness: Sharpness of the photo that it came from.
        values: Results of developing: `image_id`, `width`, `height`, `bearing_deg`, `hfov_deg`, `panorama_id`, `treatment`.
    """

    record: PhotoRecord
    split: str
    sharpness: float
    values: dict[str, Any]


def write_tables(photos: Sequence[Written], grid: ZoomGrid, out: Path, settings: ImportSettings, source_root: Path,
                 notes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Write split tables, the table of all photos, and `metadata/split.json`.

    Args:
        photos: The photos, in the order of the tables.
        grid: The zoom grid, which gives the sequences.
        out: The dataset's folder.
        settings: The settings that the splits were made with.
        source_root: Folder to which file names in the table are relative.
        notes: More counts for `split.json`.

    Returns:
        For each split its number of photos and the hash of its records.
    """
    splits: dict[str, dict[str, Any]] = {}
    tables: dict[str, bytes] = {}
    for name in SPLITS:
        rows = [p for p in photos if p.split == name]
        lat, lon = np.array([p.record.lat for p in rows]), np.array([p.record.lon for p in rows])
        ids, sequences = [str(p.values["image_id"]) for p in rows], grid.encode(lat, lon)
        table = pl.DataFrame({"image_id": ids, "latitude": lat, "longitude": lon,
                              "sequence": [str(sequence) for sequence in sequences.tolist()]})
        tables[f"large_area_{name}_map.csv"] = _csv(table)
        splits[name] = {"photos": len(rows), "sha256": hash_records(ids, lat, lon, sequences)}
    everything = _everything(photos, source_root)
    write_bytes(out / "streetview" / "metadata_satellite_covered.csv", _csv(everything))
    buffer = io.BytesIO()
    everything.write_parquet(buffer)
    write_bytes(out / "streetview" / "metadata_satellite_covered.parquet", buffer.getvalue())
    for file_name, content in tables.items():
        write_bytes(out / "metadata" / file_name, content)
    write_json({**settings.split.model_dump(), "splits": splits, **notes}, out / "metadata" / "split.json")
    return splits


def _csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()


def _everything(photos: Sequence[Written], source_root: Path) -> pl.DataFrame:
    """Return one row per photo: our columns, then the source's own, as text if their types differ between rows."""
    ours = [_row(photo, source_root) for photo in photos]
    series = [pl.Series(name, [row[name] for row in ours],
                        dtype=pl.String if name in _TEXT else pl.Int64 if name in _WHOLE else pl.Float64) for name in COLUMNS]
    for key in dict.fromkeys(k for photo in photos for k in photo.record.extra):
        values = [photo.record.extra.get(key) for photo in photos]
        name = plain_column(key)
        while name in {s.name for s in series}:
            name = f"source_{name}"
        series.append(_column(name, values))
    return pl.DataFrame(series)


def plain_column(name: str) -> str:
    """Return a column's name without characters that break a CSV header."""
    return re.sub(r"[\x00-\x1f,\"]+", " ", spelled(name)).strip()[:100] or "source"


def _column(name: str, values: list[Any]) -> pl.Series:
    values = [spelled(v) if isinstance(v, str) else v for v in values]
    kinds = {type(v) for v in values if v is not None}
    if kinds == {int, float}:
        values, kinds = [None if v is None else float(v) for v in values], {float}
    if len(kinds) > 1 or (kinds == {int} and any(abs(v) >= 2**63 for v in values if v is not None)):
        values, kinds = [None if v is None else str(v) for v in values], {str}
    dtypes: dict[type, Any] = {str: pl.String, bool: pl.Boolean, int: pl.Int64, float: pl.Float64}
    return pl.Series(name, values, dtype=dtypes[kinds.pop()] if kinds else pl.String)


def _row(photo: Written, source_root: Path) -> dict[str, Any]:
    record, camera = photo.record, photo.record.camera
    captured = record.captured_at
    if captured is not None and captured.tzinfo is not None:
        captured = captured.astimezone(UTC)
    row = {
        "latitude": record.lat, "longitude": record.lon, "split": photo.split, "sequence_id": record.sequence_id,
        "captured_at": None if captured is None else captured.isoformat().replace("+00:00", "Z"),
        "camera_type": camera.projection if camera else None, "camera_focal": camera.focal if camera else None,
        "camera_k1": camera.k1 if camera else None, "camera_k2": camera.k2 if camera else None,
        "attribution": record.attribution, "license": record.license, "sharpness": round(photo.sharpness, 4),
        "source_file": relative_name(record.path, source_root), **photo.values,
    }
    return {name: spelled(value) if isinstance(value, str) else value for name, value in row.items()}


def relative_name(path: Path, root: Path) -> str:
    """Return a file's name below a folder, or its bare name if it is elsewhere, so that nobody's folders are published."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.name
