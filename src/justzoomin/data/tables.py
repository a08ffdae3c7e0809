"""Split tables: CSV or Parquet is read into checked records, unknown columns are kept."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from justzoomin.data.tablefile import read_table
from justzoomin.errors import DataError, GeometryError
from justzoomin.geometry import ZoomGrid, parse_sequence
from justzoomin.untrusted import printable

REQUIRED = ("image_id", "sequence", "latitude", "longitude")
"""Columns of the dataset card that every split has."""

_OTHER_NAMES = {
    "image_id": ("id", "image", "photo", "photo_id", "imageid", "key"), "sequence": ("path", "actions", "sequences"),
    "latitude": ("lat", "y"), "longitude": ("lon", "lng", "long", "x"),
}
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


@dataclass(frozen=True)
class Split:
    """One split of a dataset: its name, its file and its records.

    Attributes:
        name: `train`, `val` or the name of the file.
        path: The table's file.
        table: The records with columns image_id (text), sequence (list of integers), latitude and longitude
            (float), and every further column unchanged.
    """

    name: str
    path: Path
    table: pl.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    @property
    def image_ids(self) -> list[str]:
        """The photos' ids, in the table's order."""
        ids: list[str] = self.table["image_id"].to_list()
        return ids

    @property
    def lat(self) -> npt.NDArray[np.float64]:
        """Latitudes (N,) in degrees."""
        return self.table["latitude"].to_numpy()

    @property
    def lon(self) -> npt.NDArray[np.float64]:
        """Longitudes (N,) in degrees."""
        return self.table["longitude"].to_numpy()

    def sequences(self, grid: ZoomGrid) -> npt.NDArray[np.int64]:
        """Return the action sequences (N, depth) in the table.

        Raises:
            DataError: If the length of a sequence differs from the grid's depth, or an action is not in the grid.
        """
        lengths = self.table["sequence"].list.len().to_numpy()
        if (lengths != grid.depth).any():
            row = int(np.flatnonzero(lengths != grid.depth)[0])
            raise DataError(f"{self.path}, image_id {self.image_ids[row]}",
                            f"its sequence has {lengths[row]} actions, but the grid has {grid.depth} levels",
                            "Give the grid that the split was made for with --region, or correct the row.")
        sequences = np.array(self.table["sequence"].to_list(), np.int64).reshape(len(self), grid.depth)
        wrong = ((sequences < 0) | (sequences >= grid.actions)).any(1)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(f"{self.path}, image_id {self.image_ids[row]}",
                            f"its sequence {sequences[row].tolist()} has an action outside the grid",
                            f"Use actions from 0 to {grid.actions - 1} in a {grid.grid} x {grid.grid} grid.")
        return sequences

    def at_grid(self, grid: ZoomGrid) -> npt.NDArray[np.int64]:
        """Compute the action sequences (N, depth) from the positions, for a grid other than the table's own.

        Raises:
            OffRegionError: If a photo is outside the grid's region.
        """
        return grid.encode(self.lat, self.lon)


def read_split(path: Path, name: str) -> Split:
    """Read a split from CSV or Parquet.

    Raises:
        DataError: If the file is unreadable or empty, lacks a column, a value is missing, or a sequence is invalid.
    """
    table = read_table(path, REQUIRED, ("image_id", "sequence"))
    missing = [c for c in REQUIRED if c not in table.columns]
    if missing:
        raise DataError(path, f"it has no column {', '.join(missing)} (columns: {printable(', '.join(table.columns), 200)})",
                        _nearest(missing, table.columns) + "A split needs " + ", ".join(REQUIRED) + ".")
    blank = table.select(pl.all_horizontal(pl.all().is_null()).alias("blank"))["blank"]  # empty lines of a CSV
    lines = np.flatnonzero(~blank.to_numpy()) + 2
    table = table.filter(~blank) if blank.any() else table
    if not len(table):
        raise DataError(path, "the split is empty", "Give a table with at least one photo.")
    _check_kinds(table, path)
    given = table
    table = table.with_columns(pl.col("image_id").cast(pl.String),
                               pl.col("latitude").cast(pl.Float64, strict=False),
                               pl.col("longitude").cast(pl.Float64, strict=False))
    for column in REQUIRED:
        empty = table[column].is_null()
        if column == "image_id":
            empty = empty | (table[column].str.strip_chars() == "").fill_null(False)
        if column in {"latitude", "longitude"}:
            empty = empty | ~table[column].is_finite().fill_null(False)
        if empty.any():
            row = int(np.flatnonzero(empty.to_numpy())[0])
            value = given[column][row]
            shown = f" ({str(value)[:40]!r})" if isinstance(value, str) and value else ""
            comma = bool(shown) and _DECIMAL_COMMA.fullmatch(value.strip()) is not None
            raise DataError(f"{path}, line {lines[row]}",
                            f"{column} is missing or invalid{shown} ({int(empty.sum())} rows in all)",
                            "Write numbers with a decimal point." if comma else "Correct or drop these rows.")
    if table["sequence"].dtype == pl.String:
        table = table.with_columns(_parse_sequences(table["sequence"], path, lines))
    try:
        table = table.with_columns(pl.col("sequence").cast(pl.List(pl.Int64)))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}, column sequence", "it holds numbers that are not actions", "Correct these rows.") from error
    holes = table["sequence"].list.eval(pl.element().is_null()).list.any().fill_null(False)
    if holes.any():
        row = int(np.flatnonzero(holes.to_numpy())[0])
        raise DataError(f"{path}, line {lines[row]}", "an action is missing in the sequence", "Correct or drop the row.")
    return Split(name, path, table)


def _nearest(missing: list[str], columns: list[str]) -> str:
    """Return sentences that suggest which columns to rename to the missing ones."""
    there = {c.lower().replace(" ", "_"): c for c in columns if c not in REQUIRED}
    found = []
    for column in missing:
        close = [c for c in _OTHER_NAMES[column] if c in there] or difflib.get_close_matches(column, there, 1, 0.7)
        if close:
            found.append(f"Rename '{printable(there[close[0]], 60)}' to {column}. ")
    return "".join(found)


def _check_kinds(table: pl.DataFrame, path: Path) -> None:
    """Refuse columns whose type would change the values: ids as real numbers, actions that are not whole numbers.

    Raises:
        DataError: If a column has such a type. It names the column and the type.
    """
    dtypes = {c: table[c].dtype for c in REQUIRED}
    actions = dtypes["sequence"].inner if isinstance(dtypes["sequence"], pl.List | pl.Array) else None
    good = {
        "image_id": dtypes["image_id"] == pl.String or dtypes["image_id"].is_integer(),
        "sequence": dtypes["sequence"] == pl.String or (isinstance(actions, pl.DataType) and actions.is_integer()),
        **{c: dtypes[c] == pl.String or dtypes[c].is_numeric() for c in ("latitude", "longitude")},
    }
    wanted = {"image_id": "text or whole numbers", "sequence": "text such as [7, 6, 6, 5] or lists of whole numbers"}
    for column, fits in good.items():
        if not fits:
            raise DataError(f"{path}, column {column}", f"it holds {dtypes[column]}",
                            f"Write {wanted.get(column, 'degrees as numbers')}.")


def _parse_sequences(column: pl.Series, path: Path, lines: npt.NDArray[np.int64]) -> pl.Series:
    """Parse sequences from text, all rows at once.

    Raises:
        DataError: If a text is not a sequence. It names the first such line.
    """
    body = column.str.strip_chars().str.replace(r"^\[([^\[\]]*)\]$", "${1}").str.strip_chars()
    fits = body.str.contains(r"^(\s*[+-]?[0-9]{1,9}\s*(,\s*[+-]?[0-9]{1,9}\s*)*)?$")
    for row in np.flatnonzero(~fits.to_numpy())[:1].tolist():
        try:
            parse_sequence(column[row])
        except GeometryError as error:
            raise DataError(f"{path}, line {lines[row]}", error.what + f" ({column[row][:80]!r})", error.remedy) from error
        raise DataError(f"{path}, line {lines[row]}", f"the sequence is not a list of actions ({column[row][:80]!r})",
                        "Write actions as 7,6,6,5 or [7, 6, 6, 5].")
    return body.str.extract_all(r"[+-]?[0-9]+").list.eval(pl.element().str.strip_prefix("+").cast(pl.Int64)).alias("sequence")
