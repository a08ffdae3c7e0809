"""Photo metadata in tables beside the splits: `streetview/metadata*.csv` and `.parquet`, joined by `image_id`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from justzoomin.data.parquet import read_parquet
from justzoomin.data.repository import Dataset
from justzoomin.data.tables import Split
from justzoomin.errors import DataError
from justzoomin.untrusted import files_in

IN_SPLITS = {"image_id", "sequence", "latitude", "longitude"}
"""Columns of a split table that are not metadata or differ from the same name elsewhere: `sequence` holds zoom actions."""


@dataclass(frozen=True)
class PhotoColumn:
    """Values of one column by photo.

    Args:
        name: The column.
        where: Paths of the tables below the dataset's folder, joined with commas.
        values: The value for each photo id; photos without a value are left out.
    """

    name: str
    where: str
    values: Mapping[str, Any]


def side_tables(root: Path) -> dict[str, pl.DataFrame]:
    """Read the tables of photo metadata in a repository, by their path below it.

    Raises:
        DataError: If a table cannot be read.
    """
    found: dict[str, pl.DataFrame] = {}
    for path in files_in(root / "streetview", "metadata*"):
        if path.suffix not in {".csv", ".parquet"}:
            continue
        try:
            table = read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False, glob=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(path, f"it cannot be read as a table ({reason})", "Correct or remove it.") from error
        table = table.rename({name: name.removeprefix("\ufeff").strip() for name in table.columns})
        found[str(path.relative_to(root))] = table
    return found


def photo_tables(dataset: Dataset, splits: Iterable[Split]) -> dict[str, pl.DataFrame]:
    """Return all tables with photo metadata, by their path: the splits without their zoom columns, then the others."""
    tables = {}
    for split in splits:
        columns = [c for c in split.table.columns if c == "image_id" or c not in IN_SPLITS]
        tables[str(split.path.relative_to(dataset.root))] = split.table.select(columns)
    for name, table in side_tables(dataset.root).items():
        if "image_id" in table.columns:
            tables[name] = table.with_columns(pl.col("image_id").cast(pl.String))
    return tables


def photo_column(tables: Mapping[str, pl.DataFrame], names: Sequence[str]) -> PhotoColumn | None:
    """Return the first of the named columns with a value in any table; if several tables have it, the earlier one wins.

    Names are compared without regard to case: `licence` also finds `Licence`.
    """
    for wanted in names:
        values: dict[str, Any] = {}
        where, spelt = [], wanted
        for name, table in tables.items():
            match = next((c for c in table.columns if re.fullmatch(re.escape(wanted), c, re.IGNORECASE)), None)
            if match is None or match == "image_id":
                continue
            pairs = zip(table["image_id"].to_list(), table[match].to_list(), strict=True)
            given = {i: v for i, v in pairs if i is not None and v is not None and str(v).strip() not in {"", "null", "nan"}}
            if given:
                values = {**given, **values}
                where.append(name)
                spelt = match
        if values:
            return PhotoColumn(spelt, ", ".join(where), values)
    return None
