"""Answers of any other method: a table of photos and positions that is scored like the project's own predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import polars as pl

from justzoomin.data import Dataset, drives_of, read_table
from justzoomin.errors import DataError
from justzoomin.geometry import grid_to_dict
from justzoomin.scoring.ranking import Ranking
from justzoomin.scoring.resampling import Floats, Ints
from justzoomin.scoring.table import PredictionInfo, PredictionTable
from justzoomin.untrusted import printable

COLUMNS = {
    "photo": ("photo", "image_id", "image", "file", "id"), "lat": ("lat", "latitude"), "lon": ("lon", "lng", "longitude"),
    "heading": ("heading", "heading_deg", "bearing", "bearing_deg"), "probability": ("probability", "confidence"),
}
"""The meanings of columns, and the names for each; case does not matter."""
OPTIONAL = ("heading", "probability")
CLAIM = "within:40"
"""What a column `probability` claims: that the photo is within 40 m of the answer."""
_UNDISTORTED = "_undistorted"
_NAMED = 3
_HOW = ("Write a row for each photo of the split with the columns photo, lat, lon (degrees, WGS 84) and, if known, heading and "
        "probability.")


def read_answers(path: str | Path, dataset: Dataset, split: str, *, method: str | None = None) -> PredictionTable:
    """Read the answers of any method for the photos of a split.

    The table is CSV or Parquet with the columns `photo, lat, lon[, heading][, probability]`. A photo is named by its id or its
    file name. `probability` claims that the photo is within 40 m of the answer. Headings, degrees clockwise from true
    north, are scored if the dataset states those of its photos. Answers may be outside the region.

    Args:
        path: The table.
        dataset: The dataset with the photos' true positions.
        split: Name of the split.
        method: Name of the method; the file's name without its suffix if None.

    Raises:
        DataError: If a column is missing, latitude and longitude are swapped, photos are missing, unknown or listed twice, or
            a value is impossible.
    """
    path = Path(path)
    columns = _columns(path, read_table(path, [name for names in COLUMNS.values() for name in names], COLUMNS["photo"]))
    dataset.check(split, photos=False)
    records = dataset.split(split)
    rows = _rows_of(path, columns["photo"].cast(pl.String).to_list(), records.image_ids)
    numbers = {role: _numbers(path, role, values) for role, values in columns.items() if role != "photo"}
    answers = np.stack([numbers["lat"], numbers["lon"]], 1)[rows]
    _refuse_swapped(path, dataset, answers)
    _check(path, numbers)
    count = len(records)
    claimed = numbers["probability"][rows] if "probability" in numbers else np.full(count, np.nan)
    info = PredictionInfo(
        method=method or printable(path.stem, 100), split=split, grid=grid_to_dict(dataset.grid), search="not known",
        decision="position", confidence=CLAIM if "probability" in numbers else None, listed=None,
        crs=dataset.map.layout.crs, attribution=dataset.attribution(),
        hashes={"map": dataset.map.fingerprint(), "split": dataset.split_hash(split)})
    unknown = np.full(count, np.nan)
    ranking = Ranking(np.empty((count, 0), np.int64), np.empty((count, 0), np.float32), unknown, np.full(count, -1), unknown)
    drives = drives_of(dataset, split)
    headings = None
    if "heading" in numbers:
        headings = np.stack([numbers["heading"][rows] % 360.0, unknown], 1)
    return PredictionTable(
        info, tuple(records.image_ids), np.stack([records.lat, records.lon], 1),
        dataset.grid.flatten(dataset.sequences(split)), answers, ranking, claimed, np.full(count, -1), unknown,
        None if drives is None else tuple(drives)).with_headings(headings, dataset.bearings(split))


def _columns(path: Path, table: pl.DataFrame) -> dict[str, pl.Series]:
    """Return the table's columns by their meaning."""
    found = {}
    for role, names in COLUMNS.items():
        candidates = [c for c in table.columns if c.lower() in names]
        if len(candidates) > 1:
            raise DataError(path, f"the columns {', '.join(candidates)} could all be {role}", "Keep one of them.")
        if candidates:
            found[role] = table[candidates[0]]
    missing = [role for role in COLUMNS if role not in found and role not in OPTIONAL]
    if missing:
        raise DataError(path, f"it has no column {', '.join(missing)} (columns: {printable(', '.join(table.columns), 200)})",
                        _HOW)
    return found


def _rows_of(path: Path, names: Sequence[str | None], ids: Sequence[str]) -> Ints:
    """Return the row (N,) of each photo of the split."""
    known = set(ids)
    rows: dict[str, int] = {}
    foreign = []
    for number, name in enumerate(names):
        photo = _photo_id(name or "", known)
        if photo is None:
            foreign.append(name or "")
        elif rows.setdefault(photo, number) != number:
            raise DataError(f"{path}, row {number + 1}", f"the photo {printable(photo, 80)} is listed twice",
                            "Give one answer for each photo.")
    missing = [photo for photo in ids if photo not in rows]
    for some, what in ((foreign, "are not in the split"), (missing, "of the split have no answer")):
        if some:
            named = printable(", ".join(some[:_NAMED]), 200) + (" ..." if len(some) > _NAMED else "")
            raise DataError(path, f"{len(some):,} photos {what}: {named}", _HOW)
    return np.array([rows[photo] for photo in ids])


def _photo_id(name: str, known: set[str]) -> str | None:
    """Return the id that a name means: the id itself, or a file name with or without the dataset's suffix."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return next((text for text in (name.strip(), stem, stem.removesuffix(_UNDISTORTED)) if text in known), None)


def _numbers(path: Path, role: str, values: pl.Series) -> Floats:
    """Return a column as numbers (N,); only headings and probabilities may be missing."""
    found = values.cast(pl.Float64, strict=False)
    wrong = (found.is_null() | ~found.is_finite().fill_null(False)) & (values.is_not_null() | (role not in OPTIONAL))
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        raise DataError(f"{path}, row {row + 1}, {role}", f"{printable(values[row], 40)!r} is not a number", _HOW)
    return found.fill_null(np.nan).to_numpy()


def _refuse_swapped(path: Path, dataset: Dataset, answers: Floats) -> None:
    """Refuse answers that are all outside the region if some are inside it with latitude and longitude exchanged."""
    def inside(lat: Floats, lon: Floats) -> npt.NDArray[np.bool_]:
        possible = (np.abs(lat) <= 90) & (np.abs(lon) <= 360)
        return np.asarray(dataset.grid.encode_masked(np.where(possible, lat, 0), np.where(possible, lon, 0))[1] & possible)

    if not inside(*answers.T).any() and inside(*answers.T[::-1]).any():
        raise DataError(path, "all answers are outside the region, but inside it with latitude and longitude exchanged",
                        "Exchange the names of the columns lat and lon: they look swapped.")


def _check(path: Path, numbers: Mapping[str, Floats]) -> None:
    for role, least, most in (("lat", -90, 90), ("lon", -360, 360), ("heading", -360, 360), ("probability", 0, 1)):
        values = numbers.get(role, np.empty(0))
        wrong = np.flatnonzero((values < least) | (values > most))
        if len(wrong):
            raise DataError(f"{path}, row {int(wrong[0]) + 1}, {role}",
                            f"{values[wrong[0]]:g} is not in {least} .. {most}", _HOW)
