"""Comparison of methods on the same photos: figures, and differences from a reference in the same bootstrap draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import ZoomGrid
from justzoomin.scoring.calibration import calibration_of
from justzoomin.scoring.controls import NEAREST, controls_of
from justzoomin.scoring.predictions_file import read_predictions
from justzoomin.scoring.protocol import Protocol, baselines_of, cost_of, figures, joined, ranking_of, row_of, stacked
from justzoomin.scoring.report import protocol_words
from justzoomin.scoring.resampling import Figure, Floats, Resampling, interval, two_sided_p
from justzoomin.scoring.rows import Row, Score, score_row
from justzoomin.scoring.table import PredictionTable
from justzoomin.untrusted import printable

COMPARISON_FORMAT = "justzoomin-comparison/1"
_NAMED = 3
MapKey = tuple[ZoomGrid, str | None]
"""Key of a map: the grid, and the map's hash if it is stated."""


@dataclass(frozen=True)
class Change:
    """A row's figure minus the reference's, on the same photos in the same draws.

    Attributes:
        difference: The difference with its 95 % interval: percentage points, or metres.
        p: Two-sided p of the bootstrap; see `two_sided_p`.
    """

    difference: Figure
    p: float


@dataclass(frozen=True)
class Compared:
    """A row of a comparison.

    Attributes:
        name: Name of the row.
        kind: `method` for one file or several seeds, `control` for a row that needs no model.
        row: Its answers photo by photo.
        score: Its figures.
        changes: Changes from the reference, by figure: `recall_at_1`, `recall_at_40m` ..., `median_m`, `mean_m`; empty for the
            reference itself.
        seeds: Score of each seed, if there are several.
        calibration: See `calibration_of`; None for controls, and for several seeds or maps.
        cost: See `cost_of`; means over seeds.
    """

    name: str
    kind: Literal["method", "control"]
    row: Row
    score: Score
    changes: dict[str, Change]
    seeds: tuple[Score, ...] = ()
    calibration: dict[str, Any] | None = None
    cost: dict[str, float | None] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        changes = {name: {**asdict(c.difference), "p": c.p} for name, c in self.changes.items()}
        return {"name": self.name, "kind": self.kind, **figures(self.score), "against_reference": changes,
                "seeds": [figures(score) for score in self.seeds], "calibration": self.calibration, "cost": self.cost}


@dataclass(frozen=True)
class Comparison:
    """Several methods compared on the same photos.

    Attributes:
        rows: The methods in the order of their files, then the rows that need no model.
        reference: Name of the row that the others are compared with.
        photos: Number of photos.
        split: Name of the split.
        protocol: How it was scored, in words.
        attribution: Attribution to show with the figures.
    """

    rows: tuple[Compared, ...]
    reference: str
    photos: int
    split: str
    protocol: dict[str, str]
    attribution: str = ""

    def __getitem__(self, name: str) -> Compared:
        """Return the row with a name.

        Raises:
            KeyError: If there is no such row.
        """
        return next((row for row in self.rows if row.name == name), None) or _missing(name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; see docs/scoring.md."""
        return {"format": COMPARISON_FORMAT, "split": self.split, "n": self.photos, "reference": self.reference,
                "rows": [row.to_dict() for row in self.rows], "protocol": self.protocol, "attribution": self.attribution}


def _missing(name: str) -> Compared:
    raise KeyError(name)


def compare(files: Sequence[str | Path | PredictionTable], protocol: Protocol | None = None, *,
            names: Sequence[str] | None = None, reference: str | None = None,
            train: tuple[str | Path, str] | None = None) -> Comparison:
    """Compare predictions of the same photos.

    Files with the same name and different seeds become one row; its figures are means over the seeds. Files of several maps
    (different grids of the same shape, or different map hashes) are scored as if all photos were one split; every method
    must have a file for each map.

    Args:
        files: Predictions files, or tables.
        protocol: How they are scored.
        names: Names of their rows; the methods stated in the files if None.
        reference: Name of the row to compare with; the first row if None.
        train: Folder of a dataset and its split of training photos, for the control rows that use photos but learn nothing.

    Raises:
        DataError: If a file is not a predictions file, photos differ, a method lacks a map, or what the protocol needs was
            not stored.
        ConfigError: If row names are not unique, no row has the reference's name, or the shapes of grids differ.
    """
    if not files:
        raise ConfigError("predictions", "no file is given", "Give at least one predictions file.")
    if names is not None and len(names) != len(files):
        raise ConfigError("rows", f"there are {len(names)} names for {len(files)} files",
                          "Give one name per file, in the order of the files.")
    tables = [(file if isinstance(file, PredictionTable) else read_predictions(file)).in_order() for file in files]
    tables = tables if names is None else [t.named(name) for t, name in zip(tables, names, strict=True)]
    where = [file.info.method if isinstance(file, PredictionTable) else str(file) for file in files]
    methods, protocol = _grouped(tables, where), protocol or Protocol()
    first = next(iter(methods.values()))[0]
    if len(first) > 1 and (train is not None or protocol.gallery != "all"):
        raise ConfigError("predictions", f"they belong to {len(first)} maps",
                          "Training photos and the gallery of occupied cells belong to one map: compare only its files.")
    draws, areas = protocol.resampling(*first)[0], protocol.areas(first[0])
    reference = reference or first[0].info.method
    if reference not in methods:
        raise ConfigError(f"reference {printable(reference, 80)!r}", "no file has a row with this name",
                          f"Choose one of: {printable(', '.join(methods), 400)}.")

    def scored(row: Row) -> Score:
        return score_row(row, protocol.radii_m, areas, draws)

    own = {name: [stacked([row_of(t, protocol, name) for t in maps]) for maps in seeds] for name, seeds in methods.items()}
    rows = {name: some[0] if len(some) == 1 else joined(some, name) for name, some in own.items()}
    base = _Drawn(rows[reference], protocol, draws)
    found = []
    for name, row in rows.items():
        only = methods[name][0][0] if len(methods[name]) == len(methods[name][0]) == 1 else None
        found.append(Compared(
            name, "method", row, scored(row), {} if name == reference else base.changes(_Drawn(row, protocol, draws)),
            tuple(map(scored, own[name])) if len(own[name]) > 1 else (),
            None if only is None else calibration_of(only, ranking_of(only, protocol), draws),
            _mean_cost([table for maps in methods[name] for table in maps])))
    for row in _without_model(first, protocol, train):
        if row.name in methods:
            raise ConfigError(f"row {row.name!r}", "a row that needs no model has this name",
                              "Give the file's row another name.")
        found.append(Compared(row.name, "control", row, scored(row), base.changes(_Drawn(row, protocol, draws))))
    return Comparison(tuple(found), reference, sum(map(len, first)), first[0].info.split, _words(first, protocol),
                      first[0].info.attribution)


def _without_model(maps: Sequence[PredictionTable], protocol: Protocol, train: tuple[str | Path, str] | None) -> list[Row]:
    rows = []
    for table in [] if train is None else controls_of(maps[0], open_dataset(train[0]), train[1]):
        rules = protocol
        if table.info.method == NEAREST and protocol.gallery == "all":  # its probabilities do not support a decision
            rules = replace(protocol, decision="stored")
        rows.append(row_of(table, rules))
    return [*rows, *map(stacked, zip(*(baselines_of(table, protocol) for table in maps), strict=True))]


def _words(maps: Sequence[PredictionTable], protocol: Protocol) -> dict[str, str]:
    words = protocol_words(maps[0], protocol) | {"intervals": protocol.resampling(*maps)[1]}
    if protocol.decision is None and protocol.gallery == "all":
        words["decision"] = "as stored with each method"
    return words if len(maps) == 1 else words | {"maps": f"photos of {len(maps)} maps taken together"}


def _same_photos(one: PredictionTable, other: PredictionTable, name: str, other_name: str) -> None:
    """Refuse two tables of one map whose photos differ.

    Raises:
        DataError: If photos or positions differ. It names the difference.
    """
    mine, others = set(one.photos), set(other.photos)
    if mine != others:
        parts = [f"{len(some):,} only in {printable(where, 200)} ({printable(', '.join(sorted(some)[:_NAMED]), 200)}"
                 f"{' ...' if len(some) > _NAMED else ''})"
                 for some, where in ((mine - others, name), (others - mine, other_name)) if some]
        raise DataError(other_name, f"its photos differ from those of {printable(name, 200)}: {'; '.join(parts)}",
                        "Compare predictions of the same photos.")
    moved = np.flatnonzero((one.positions != other.positions).any(1) | (one.true_cells != other.true_cells))
    if len(moved):
        raise DataError(other_name, f"the positions of {len(moved):,} photos differ from those in {printable(name, 200)}, "
                                    f"such as {printable(one.photos[moved[0]], 80)!r}",
                        "Compare predictions of the same split.")


def _grouped(tables: Sequence[PredictionTable], where: Sequence[str]) -> dict[str, list[list[PredictionTable]]]:
    """Group tables by name, then by seed, then by map; maps are in the order in which they first appear.

    Raises:
        ConfigError: If two tables share name, map and seed, or the number or size of cells differs between maps.
        DataError: If photos of a map differ, or a method lacks a map that others have.
    """
    found: dict[str, dict[int | None, dict[MapKey, tuple[PredictionTable, str]]]] = {}
    firsts: dict[MapKey, tuple[PredictionTable, str]] = {}
    for table, place, key in zip(tables, where, _map_keys(tables), strict=True):
        first, first_place = firsts.setdefault(key, (table, place))
        _same_photos(first, table, first_place, place)
        seeds = found.setdefault(table.info.method, {})
        some = seeds.setdefault(table.info.seed, {})
        if key in some or (len(seeds) > 1 and None in seeds):
            raise ConfigError(place, f"another file has the same name {printable(table.info.method, 80)!r} and no other seed",
                              "Give the rows different names with --rows.")
        some[key] = table, place
    shapes = {(grid.actions**grid.depth, grid.cell_size_m(grid.depth)) for grid, _ in firsts}
    if len(shapes) > 1:
        raise ConfigError("predictions", "the number or size of cells differs between their grids",
                          "Compare predictions of one map, or of maps with equal numbers and sizes of cells.")
    for seeds in found.values():
        for some in seeds.values():
            lacking = [place for key, (_, place) in firsts.items() if key not in some]
            if lacking:
                place = next(iter(some.values()))[1]
                raise DataError(place, f"its method has no predictions for the map of {printable(lacking[0], 200)}",
                                "Give predictions of every method for every map.")
    return {name: [[some[key][0] for key in firsts] for some in seeds.values()] for name, seeds in found.items()}


def _map_keys(tables: Sequence[PredictionTable]) -> list[MapKey]:
    """Return the map of each table: its grid and its hash. A table without a hash uses the only hash stated for its grid."""
    stated: dict[ZoomGrid, set[str]] = {}
    for table in tables:
        stated.setdefault(table.grid, set()).update(filter(None, [table.info.hashes.get("map")]))
    return [(t.grid, t.info.hashes.get("map") or (next(iter(stated[t.grid])) if len(stated[t.grid]) == 1 else None))
            for t in tables]


def _mean_cost(tables: Sequence[PredictionTable]) -> dict[str, float | None]:
    costs = [cost_of(table) for table in tables]
    found: dict[str, float | None] = {}
    for name in costs[0]:
        known = [value for cost in costs if (value := cost.get(name)) is not None]
        found[name] = float(np.mean(known)) if len(known) == len(costs) else None
    return found


class _Drawn:
    """A row's figures in every draw of photos."""

    def __init__(self, row: Row, protocol: Protocol, draws: Resampling) -> None:
        shares = {"recall_at_1": row.correct, **{f"recall_at_{r:g}m": row.within(r) for r in protocol.radii_m}}
        errors = row.errors_m.mean(1)
        means = draws.means(np.stack([*shares.values(), errors], 1))
        self.values = {**{name: 100 * float(share.mean()) for name, share in shares.items()},
                       "median_m": float(np.median(row.errors_m)), "mean_m": float(errors.mean())}
        self.draws: dict[str, Floats] = {**{name: 100 * means[:, k] for k, name in enumerate(shares)},
                                         "median_m": row.medians(draws), "mean_m": means[:, -1]}

    def changes(self, other: _Drawn) -> dict[str, Change]:
        """Return another row's figures minus these."""
        return {name: Change(interval(other.values[name] - self.values[name], other.draws[name] - draws),
                             two_sided_p(other.draws[name] - draws)) for name, draws in self.draws.items()}
