"""The predictions file: Parquet with one row per photo; its metadata hold what applies to all rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from justzoomin.data import read_noted_parquet
from justzoomin.errors import DataError, GeometryError, LayoutError
from justzoomin.files import atomic_file
from justzoomin.scoring.ranking import Ranking
from justzoomin.scoring.table import FORMAT, PredictionInfo, PredictionTable
from justzoomin.untrusted import printable

if TYPE_CHECKING:
    import polars as pl

KEY = "justzoomin"
MAX_BYTES = 4 << 30
MAX_LISTED = 200_000_000
"""Most cells listed in all rows together, counting the empty places after shorter lists."""
_EMPTY = (8, 1_000_000)
"""Most places in all rows together: the first number for each listed cell, plus the second; one long list widens all rows."""
_SLACK = 1e-3
_AGAIN = "Write it again with jzi evaluate --predictions."
_RANKING = ("cells", "probs", "true_log_prob", "true_rank", "mass_before")

_HEADINGS = ("heading", "answer_heading", "answer_heading_sigma")
"""True heading, heading of the answer and its spread, degrees clockwise from true north."""


def _schema() -> dict[str, Any]:
    """Return the columns and their types; those of `_OPTIONAL` may be left out."""
    import polars as pl

    ranking = {"cells": pl.List(pl.Int64), "probs": pl.List(pl.Float32), "true_log_prob": pl.Float64, "true_rank": pl.Int64,
               "mass_before": pl.Float64}
    return {
        "photo": pl.String, "drive": pl.String, "lat": pl.Float64, "lon": pl.Float64, "true_cell": pl.Int64,
        "answer_lat": pl.Float64, "answer_lon": pl.Float64, "confidence": pl.Float64, "views": pl.Int64, "ms": pl.Float64,
        **dict.fromkeys(_HEADINGS, pl.Float64),
        **ranking, **{f"occupied_{name}": kind for name, kind in ranking.items()},
    }


_OPTIONAL = frozenset({"drive", *_HEADINGS, *(f"occupied_{name}" for name in _RANKING)})
_MAY_BE_UNKNOWN = frozenset({*_HEADINGS, "confidence", "views", "ms", "true_log_prob", "true_rank", "mass_before"})


def write_predictions(path: Path, table: PredictionTable) -> Path:
    """Write predictions, completely or not at all, and return the path.

    Raises:
        OSError: If the file cannot be written.
    """
    import polars as pl

    columns: dict[str, Any] = {
        "photo": list(table.photos), "lat": table.positions[:, 0], "lon": table.positions[:, 1], "true_cell": table.true_cells,
        "answer_lat": table.answers[:, 0], "answer_lon": table.answers[:, 1], "confidence": table.confidence,
        "views": table.views, "ms": table.ms, **_ranking_columns(table.ranking, ""),
    }
    if table.drives is not None:
        columns["drive"] = list(table.drives)
    if table.true_headings is not None:
        columns["heading"] = table.true_headings
    if table.headings is not None:
        columns |= dict(zip(_HEADINGS[1:], table.headings.T, strict=True))
    if table.occupied is not None:
        columns |= _ranking_columns(table.occupied, "occupied_")
    frame = pl.DataFrame(columns, {name: kind for name, kind in _schema().items() if name in columns})
    counts = [name for name in columns if name.removeprefix("occupied_") in {"views", "true_rank"}]
    unknown = [pl.when(pl.col(name) >= 0).then(pl.col(name)) for name in counts]
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None), *unknown)
    with atomic_file(Path(path)) as file:
        frame.write_parquet(file, compression="zstd", metadata={KEY: table.info.to_json()})
    return Path(path)


def _ranking_columns(ranking: Ranking, prefix: str) -> dict[str, Any]:
    import polars as pl

    there = ranking.cells >= 0
    sizes = there.sum(1)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    flat = pl.DataFrame({"row": rows, "cells": ranking.cells[there], "probs": ranking.probs[there]})
    lists = flat.group_by("row", maintain_order=True).agg("cells", "probs")
    empty = pl.DataFrame({"row": np.arange(len(sizes))}).join(lists, on="row", how="left", maintain_order="left")
    values = {name: empty[name].fill_null([]) for name in ("cells", "probs")}
    return {prefix + name: values.get(name, getattr(ranking, name)) for name in _RANKING}


def read_predictions(path: str | Path) -> PredictionTable:
    """Read a predictions file; every value is checked.

    Raises:
        DataError: If it is not a predictions file of this format, or a value is impossible or contradicts another.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(path, f"it cannot be read ({error.strerror})", "Give a file that exists and is readable.") from error
    if not path.is_file() or size > MAX_BYTES:
        raise DataError(path, "it is not a regular file" if not path.is_file() else f"it has {size} bytes",
                        f"Predictions files of up to {MAX_BYTES} bytes are read.")
    frame, note = read_noted_parquet(path, KEY)
    info = _info(path, note)
    _check_columns(path, frame)
    if not len(frame):
        raise DataError(path, "it holds no photos", _AGAIN)
    count = info.zoom_grid.actions**info.zoom_grid.depth
    column = _columns(path, frame)
    true = column("true_cell")
    _refuse(f"{path}, column true_cell", (true < 0) | (true >= count), f"it is not in 0 .. {count - 1}")
    table = PredictionTable(
        info, tuple(frame["photo"].to_list()), np.stack([column("lat"), column("lon")], 1), true,
        np.stack([column("answer_lat"), column("answer_lon")], 1), _read_ranking(path, frame, column, "", true, count, info),
        column("confidence"), column("views"), column("ms"),
        tuple(frame["drive"].to_list()) if "drive" in frame.columns else None,
        _read_ranking(path, frame, column, "occupied_", true, count, info) if "occupied_cells" in frame.columns else None,
        np.stack([column(name) for name in _HEADINGS[1:]], 1) if _HEADINGS[1] in frame.columns else None,
        column(_HEADINGS[0]) if _HEADINGS[0] in frame.columns else None)
    _check_values(path, table)
    return table


def is_predictions_file(path: Path) -> bool:
    """Return whether a file is Parquet with the metadata of predictions; False for other and for unreadable files."""
    import polars as pl

    try:
        return path.suffix == ".parquet" and KEY in pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return False


def _info(path: Path, note: str | None) -> PredictionInfo:
    if note is None:
        raise DataError(path, f"it is not a predictions file: the Parquet metadata {KEY!r} are missing", _AGAIN)
    try:
        info = PredictionInfo.model_validate_json(note)
        info.zoom_grid  # noqa: B018 - built now, so that an error in it names the file
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "metadata"
        raise DataError(path, f"{printable(field, 80)}: {printable(first['msg'], 200)}",
                        f"Predictions files of the format {FORMAT} are read. {_AGAIN}") from error
    except (GeometryError, LayoutError) as error:
        raise DataError(path, f"{printable(error.where, 200)}: {printable(error.what, 200)}", _AGAIN) from error
    return info


def _check_columns(path: Path, frame: pl.DataFrame) -> None:
    schema = _schema()
    missing = [name for name in schema if name not in frame.columns and name not in _OPTIONAL]
    some = [name for name in _RANKING if f"occupied_{name}" in frame.columns]
    if len({name in frame.columns for name in _HEADINGS[1:]}) > 1:
        missing += [name for name in _HEADINGS[1:] if name not in frame.columns]
    if 0 < len(some) < len(_RANKING):
        missing += [f"occupied_{name}" for name in _RANKING if name not in some]
    unknown = [name for name in frame.columns if name not in schema]
    if missing or unknown:
        words = [f"no column {', '.join(missing)}"] * bool(missing) + \
            [f"a column {printable(', '.join(unknown), 200)}"] * bool(unknown)
        raise DataError(path, f"it has {' and '.join(words)}", _AGAIN)
    for name in frame.columns:
        kind = frame[name].dtype
        if kind != schema[name]:
            raise DataError(f"{path}, column {name}", f"it holds {printable(kind, 80)}, not {schema[name]}", _AGAIN)
        if name.removeprefix("occupied_") not in _MAY_BE_UNKNOWN and frame[name].null_count():
            raise DataError(f"{path}, column {name}", f"{frame[name].null_count()} values are missing", _AGAIN)


def _columns(path: Path, frame: pl.DataFrame) -> Callable[[str], npt.NDArray[Any]]:
    import polars as pl

    def column(name: str) -> npt.NDArray[Any]:
        values = frame[name]
        if values.dtype == pl.Float64 and (values.is_nan().any() or (values == np.inf).any()):
            raise DataError(f"{path}, column {name}", "a value is not a finite number", _AGAIN)
        return values.fill_null(-1 if values.dtype == pl.Int64 else np.nan).to_numpy()

    return column


def _read_ranking(path: Path, frame: pl.DataFrame, column: Callable[[str], npt.NDArray[Any]], prefix: str,
                  true: npt.NDArray[np.int64], count: int, info: PredictionInfo) -> Ranking:
    """Read the columns of a ranking as arrays.

    Raises:
        DataError: If the lengths of lists differ or are too large, or a value is not a cell or not a probability.
    """
    names = {name: f"{path}, column {prefix}{name}" for name in _RANKING}
    sizes, others = (frame[prefix + name].list.len().to_numpy().astype(np.int64) for name in ("cells", "probs"))
    width = int(sizes.max())
    _refuse(names["cells"], sizes != others, "the lengths of its lists differ from those of probs")
    _refuse(names["cells"], sizes > (count if info.listed is None else min(info.listed, count)),
            "it lists more cells than the grid has or the metadata allow")
    most = min(MAX_LISTED, _EMPTY[0] * int(sizes.sum()) + _EMPTY[1])
    if width * len(frame) > most:
        raise DataError(names["cells"], f"its longest list has {width} cells, which takes {width * len(frame)} places in "
                        f"{len(frame)} rows; up to {most} are read", "Write fewer cells per photo, or lists of equal length.")
    there = np.arange(width)[None] < sizes[:, None]
    cells, probs = np.full(there.shape, -1, np.int64), np.zeros(there.shape, np.float32)
    for name, into in (("cells", cells), ("probs", probs)):
        flat = frame[prefix + name].explode(empty_as_null=False)
        if flat.null_count():
            raise DataError(names[name], "a list has a missing value", _AGAIN)
        into[there] = flat.to_numpy()
    ordered = np.sort(cells, 1)
    _refuse(names["cells"], ((cells < 0) & there).any(1) | (cells >= count).any(1), f"a cell is not in 0 .. {count - 1}")
    _refuse(names["cells"], ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(1), "a cell is listed twice")
    with np.errstate(invalid="ignore"):
        wrong = ~((probs >= 0) & (probs <= 1 + _SLACK)).all(1) | ~(probs.sum(1, dtype=np.float64) <= 1 + _SLACK)
        _refuse(names["probs"], wrong, "the values are not probabilities with a sum of at most 1")
        _refuse(names["probs"], (probs[:, 1:] > probs[:, :-1]).any(1), "the values are not in descending order")
    rank, log_prob, mass = (column(prefix + name) for name in ("true_rank", "true_log_prob", "mass_before"))
    _refuse(names["true_rank"], (rank < -1) | (rank >= count), f"a rank is not in 0 .. {count - 1}")
    hit = cells == true[:, None]
    expected = np.where(hit.any(1), hit.argmax(1) if width else -1, -1)
    _refuse(names["true_rank"], np.where(expected >= 0, rank != expected, (rank >= 0) & (rank < sizes)),
            "it contradicts the position of the true cell in the list")
    _refuse(names["true_log_prob"], log_prob > _SLACK, "it is above 0")
    _refuse(names["mass_before"], (mass < 0) | (mass > 1 + _SLACK), "it is not in 0 .. 1")
    _refuse(names["mass_before"], (rank >= 0) & np.isnan(mass), "it is missing although the rank is known")
    return Ranking(cells, probs, log_prob, rank, mass)


def _check_values(path: Path, table: PredictionTable) -> None:
    for names, places in ((("lat", "lon"), table.positions), (("answer_lat", "answer_lon"), table.answers)):
        for name, values, most in zip(names, places.T, (90.0, 360.0), strict=True):
            _refuse(f"{path}, column {name}", ~(np.abs(values) <= most), "it is not a latitude or longitude in degrees")
    _refuse(f"{path}, column confidence", (table.confidence < 0) | (table.confidence > 1 + _SLACK), "it is not in 0 .. 1")
    for name, degrees, most in (("heading", table.true_headings, 360.0),
                                ("answer_heading", None if table.headings is None else table.headings[:, 0], 360.0),
                                ("answer_heading_sigma", None if table.headings is None else table.headings[:, 1], 180.0)):
        if degrees is not None:
            _refuse(f"{path}, column {name}", (degrees < 0) | (degrees > most), f"it is not in 0 .. {most:g} degrees")
    _refuse(f"{path}, column ms", table.ms < 0, "it is below 0")
    _refuse(f"{path}, column views", table.views < -1, "it is below 0")
    if len(set(table.photos)) < len(table):
        ordered = sorted(table.photos)
        twice = next(name for name, after in pairwise(ordered) if name == after)
        raise DataError(f"{path}, column photo", f"{printable(twice, 80)!r} is listed twice", _AGAIN)


def _refuse(where: str, wrong: npt.ArrayLike, what: str) -> None:
    """Raise an error if any row (N,) is wrong, and name the first."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise DataError(f"{where}, row {int(rows[0])}", f"{what} ({len(rows)} rows)", _AGAIN)
