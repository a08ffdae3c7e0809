"""Split tables: CSV or Parquet in, checked records out, unknown columns carried along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from justzoomin.errors import DataError, GeometryError
from justzoomin.geometry import ZoomGrid, haversine_m, parse_sequence, to_local

REQUIRED = ("image_id", "sequence", "latitude", "longitude")
"""Columns of the dataset card that every split has."""

BORDER_M = 1.0
"""A position this near to the stated cell counts as inside: six decimals of a degree are up to 0.1 m off."""


@dataclass(frozen=True)
class Split:
    """One split of a dataset: a name, where it came from, and its records.

    Attributes:
        name: `train`, `val` or whatever the file is called.
        path: The table's file.
        table: The records with columns image_id (text), sequence (list of integers), latitude and longitude
            (float), and every further column as it was.
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
        """Action sequences (N, depth), as the table states them.

        Raises:
            DataError: If a sequence has another length than the grid's depth, or an action the grid has not.
        """
        lengths = self.table["sequence"].list.len().to_numpy()
        if (lengths != grid.depth).any():
            row = int(np.flatnonzero(lengths != grid.depth)[0])
            raise DataError(f"{self.path}, image_id {self.image_ids[row]}",
                            f"its sequence has {lengths[row]} actions and the grid is {grid.depth} levels deep",
                            "Give the grid that the split was made for with --region, or correct the row.")
        sequences = np.array(self.table["sequence"].to_list(), np.int64).reshape(len(self), grid.depth)
        wrong = ((sequences < 0) | (sequences >= grid.actions)).any(1)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(f"{self.path}, image_id {self.image_ids[row]}", f"its sequence is {sequences[row].tolist()}",
                            f"Actions of a {grid.grid} x {grid.grid} grid lie in 0 .. {grid.actions - 1}.")
        return sequences

    def at_grid(self, grid: ZoomGrid) -> npt.NDArray[np.int64]:
        """Action sequences (N, depth) computed from the positions, for a grid other than the table's own.

        Raises:
            OffRegionError: If a photo stands outside the grid's region.
        """
        return grid.encode(self.lat, self.lon)


def read_split(path: Path, name: str) -> Split:
    """Read a split from CSV or Parquet.

    Raises:
        DataError: If the file is unreadable or empty, lacks a column, or a value is missing or no sequence.
    """
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        else:
            header = pl.read_csv(path, n_rows=0, infer_schema=False).columns
            text = {c: pl.String for c in header if _plain(c) in {"image_id", "sequence"}}
            table = pl.read_csv(path, schema_overrides=text, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(path, f"it cannot be read as a table ({reason})",
                        "Give a CSV or Parquet file with the columns " + ", ".join(REQUIRED) + ".") from error
    names = [_plain(c) for c in table.columns]
    twice = sorted({c for c in names if names.count(c) > 1})
    if twice:
        raise DataError(path, f"it has several columns {', '.join(twice)}", "Keep one of each.")
    table = table.rename(dict(zip(table.columns, names, strict=True)))
    missing = [c for c in REQUIRED if c not in table.columns]
    if missing:
        raise DataError(path, f"it has no column {', '.join(missing)} (columns: {', '.join(table.columns)[:200]})",
                        "A split has " + ", ".join(REQUIRED) + ".")
    if not len(table):
        raise DataError(path, "the split is empty", "Give a table with at least one photo.")
    _check_kinds(table, path)
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
            raise DataError(f"{path}, line {row + 2}", f"{column} is missing or no value"
                            f" ({int(empty.sum())} rows in all)", "Correct or drop these rows.")
    if table["sequence"].dtype == pl.String:
        table = table.with_columns(_parse_sequences(table, path))
    table = table.with_columns(pl.col("sequence").cast(pl.List(pl.Int64)))
    holes = table["sequence"].list.eval(pl.element().is_null()).list.any().fill_null(False)
    if holes.any():
        row = int(np.flatnonzero(holes.to_numpy())[0])
        raise DataError(f"{path}, line {row + 2}", "an action of the sequence is missing", "Correct or drop the row.")
    return Split(name, path, table)


def _plain(column: str) -> str:
    return column.removeprefix("\ufeff").strip()


def _check_kinds(table: pl.DataFrame, path: Path) -> None:
    """Refuse columns whose kind would be bent in reading: ids as real numbers, actions that are no whole numbers.

    Raises:
        DataError: Naming the column and its kind.
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


def _parse_sequences(table: pl.DataFrame, path: Path) -> pl.Series:
    parsed = []
    for row, text in enumerate(table["sequence"].to_list()):
        try:
            parsed.append(list(parse_sequence(text)))
        except GeometryError as error:
            raise DataError(f"{path}, line {row + 2}", error.what + f" ({text!r})", error.remedy) from error
    return pl.Series("sequence", parsed, dtype=pl.List(pl.Int64))


@dataclass(frozen=True)
class RecordProblem:
    """A record that cannot be used, and why."""

    image_id: str
    kind: str
    detail: str


def check_records(split: Split, grid: ZoomGrid, *, own_grid: bool = True) -> list[RecordProblem]:
    """Find duplicates, positions off the region and sequences that contradict their position.

    A sequence contradicts when its position lies more than `BORDER_M` outside the cell it leads to. Where the grid is
    not the one that the table was written for (`own_grid` false), the stated sequences are not looked at.
    """
    problems = []
    ids = np.array(split.image_ids, dtype=object)
    duplicated = split.table["image_id"].is_duplicated().to_numpy()
    problems += [RecordProblem(i, "duplicate", f"the id {i} stands in several rows of {split.path.name}")
                 for i in sorted(set(ids[duplicated]))]
    bad = (np.abs(split.lat) > 90) | (np.abs(split.lon) > 360)
    problems += [RecordProblem(ids[k], "position", f"{split.lat[k]}, {split.lon[k]} is no position")
                 for k in np.flatnonzero(bad)]
    lat, lon = np.where(bad, 0.0, split.lat), np.where(bad, 0.0, split.lon)
    _, inside = grid.encode_masked(lat, lon)
    problems += [RecordProblem(ids[k], "off_region", f"{lat[k]:.6f}, {lon[k]:.6f} lies outside the region")
                 for k in np.flatnonzero(~inside & ~bad)]
    if not own_grid:
        return problems
    lengths = split.table["sequence"].list.len().to_numpy()
    stated = split.table["sequence"].to_list()
    well_formed = np.array([n == grid.depth and all(0 <= a < grid.actions for a in s)
                            for n, s in zip(lengths, stated, strict=True)], dtype=bool)
    problems += [RecordProblem(ids[k], "sequence", f"{stated[k]} is no path of {grid.depth} actions below "
                               f"{grid.actions}") for k in np.flatnonzero(~well_formed)]
    usable = np.flatnonzero(well_formed & inside & ~bad)
    if len(usable):
        sequences = np.array([stated[k] for k in usable], np.int64)
        lat_c, lon_c = grid.centres(sequences)
        east, north = to_local(lat_c, lon_c, lat[usable], lon[usable])
        reach = grid.cell_size_m(grid.depth) / 2 + max(BORDER_M, grid.sliver_m)
        for j in np.flatnonzero(np.maximum(np.abs(east), np.abs(north)) > reach):
            away = float(haversine_m(lat_c[j], lon_c[j], lat[usable[j]], lon[usable[j]]))
            problems.append(RecordProblem(ids[usable[j]], "contradiction",
                                          f"its sequence {stated[usable[j]]} leads {away:.0f} m away from its position"))
    return problems
