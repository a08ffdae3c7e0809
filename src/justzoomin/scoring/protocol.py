"""Scoring a table of predictions by a protocol: gallery, distance, decision, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from justzoomin.errors import ConfigError, DataError
from justzoomin.posterior import parse_decision
from justzoomin.scoring.answers import Answers, decided, stored, top
from justzoomin.scoring.baselines import ceiling, chance
from justzoomin.scoring.distances import Distance, in_projection, on_sphere
from justzoomin.scoring.ranking import Ranking
from justzoomin.scoring.resampling import Figure, Floats, Ints, Resampling
from justzoomin.scoring.rows import DEFAULT_RADII_M, Row, Score
from justzoomin.scoring.table import PredictionTable
from justzoomin.untrusted import printable

FEWEST_DRIVES = 10
"""With fewer drives than this, intervals over drives are meaningless."""
LEAKS = ("The gallery holds only cells with photos of the evaluated split, so it reveals where test photos are. "
         "Compare such figures only with figures of the same gallery.")


@dataclass(frozen=True)
class Protocol:
    """How predictions are scored.

    Attributes:
        gallery: `all` terminal cells, or those `occupied` by photos of the table.
        distance: On the `sphere`, or in the plane of the map's `projection`.
        crs: The projection; the one in the table's metadata if None.
        decision: `stored`, or a new decision over the listed cells of the gallery: `within:METRES`, `distance`, `top`.
            None means `stored` in the gallery of all cells, else `top`.
        radii_m: Radii X of R@Xm in metres.
        areas_m2: Areas of recall against area; a series from 100 m2 up if None.
        intervals: Draw by `photo`, by `drive`, or `auto`: by drive if the table has at least `FEWEST_DRIVES` drives.
        seed: Seed of the draws.

    Raises:
        ConfigError: If a radius or an area is not finite or not above 0.
    """

    gallery: Literal["all", "occupied"] = "all"
    distance: Literal["sphere", "projection"] = "sphere"
    crs: str | None = None
    decision: str | None = None
    radii_m: tuple[float, ...] = DEFAULT_RADII_M
    areas_m2: tuple[float, ...] | None = None
    intervals: Literal["auto", "photo", "drive"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, values in (("radii_m", self.radii_m), ("areas_m2", self.areas_m2 or ())):
            if not all(0 < value < math.inf for value in values):
                raise ConfigError(name, f"{printable(list(values), 80)} holds a number that is not finite or not above 0",
                                  "Give metres and square metres above 0.")

    def measure(self, table: PredictionTable) -> Distance:
        """Return the distance function.

        Raises:
            ConfigError: If a projection is needed but unknown.
        """
        if self.distance == "sphere":
            return on_sphere
        crs = self.crs or table.info.crs
        if crs is None:
            raise ConfigError("distance projection", "the predictions do not state the map's projection",
                              "Give it with --crs, or give the map with --map.")
        return in_projection(crs)

    def areas(self, table: PredictionTable) -> tuple[float, ...]:
        """Return the areas: `areas_m2`, else 100, 400, 1 600 ... m2 from the area of a cell to that of the gallery."""
        if self.areas_m2 is not None:
            return self.areas_m2
        grid, gallery = table.grid, self.gallery_of(table)
        cell = grid.cell_size_m(grid.depth)**2
        whole = cell * (grid.actions**grid.depth if gallery is None else len(gallery))
        ladder = [100.0 * 4**k for k in range(40)]
        return (*(a for a in ladder if cell <= a * (1 + 1e-9) and a < whole * (1 - 1e-9)), whole)

    def resampling(self, *tables: PredictionTable) -> tuple[Resampling, str]:
        """Return the draws for intervals over the photos of several tables in sequence, and a description of them.

        Raises:
            DataError: If drives are needed but unknown.
        """
        names: list[str] | None = []
        for place, table in enumerate(tables):
            names = None if names is None or table.drives is None else [*names, *(f"{place} {d}" for d in table.drives)]
        drives = None if names is None else len(set(names))
        if self.intervals == "drive" and drives is None:
            raise DataError(tables[0].info.method, "the predictions do not state the drives of the photos",
                            "Draw by photo, or evaluate a dataset whose tables have a column sequence_id.")
        if names is not None and drives is not None and (
                self.intervals == "drive" or (self.intervals == "auto" and drives >= FEWEST_DRIVES)):
            return Resampling.of_drives(names, self.seed), f"95 %: bootstrap over {drives} drives"
        why = "; photos of one drive are not independent, so these are too narrow" if drives is not None else ""
        return (Resampling.of_photos(sum(map(len, tables)), self.seed),
                "95 %: photo by photo, Wilson for percentages and bootstrap for metres" + why)

    def gallery_of(self, table: PredictionTable) -> Ints | None:
        """Return the numbers of the gallery's cells; None for all cells."""
        return None if self.gallery == "all" else table.gallery


def ranking_of(table: PredictionTable, protocol: Protocol) -> Ranking:
    """Return the ranking in the protocol's gallery.

    Raises:
        DataError: If it was not stored.
    """
    if protocol.gallery == "all":
        return table.ranking
    if table.occupied is None:
        raise DataError(table.info.method, "its predictions hold no ranking among the occupied cells",
                        "Write predictions of a search that scores all cells.")
    return table.occupied


def row_of(table: PredictionTable, protocol: Protocol, name: str | None = None) -> Row:
    """Return the row of a table's photos, in their order.

    Raises:
        DataError: If the gallery's ranking was not stored.
        ConfigError: If the projection is unknown.
    """
    grid, ranking, found = table.grid, ranking_of(table, protocol), answers_of(table, protocol)
    errors = protocol.measure(table)(found.places, table.positions)
    unknown = ranking.true_rank < 0
    ranks = np.where(unknown, np.inf, ranking.true_rank)[:, None]
    listed = int(ranking.listed[unknown].min()) if unknown.any() else None
    return Row(name or table.info.method, errors[:, None], (found.cells == table.true_cells).astype(np.float64), ranks,
               grid.cell_size_m(grid.depth), listed)


def decision_of(protocol: Protocol) -> str:
    """Return the protocol's decision; by default `stored` in the gallery of all cells, else `top`."""
    return protocol.decision or ("stored" if protocol.gallery == "all" else "top")


def check_decision(decision: str) -> None:
    """Refuse text that is neither `stored` nor a decision.

    Raises:
        ConfigError: If it is neither.
    """
    if decision != "stored":
        parse_decision(decision)


def answers_of(table: PredictionTable, protocol: Protocol) -> Answers:
    """Return the answers that a protocol scores.

    Raises:
        DataError: If the gallery's ranking was not stored.
        ConfigError: If `stored` is used with a gallery other than all cells, or the decision is unknown.
    """
    ranking, decision = ranking_of(table, protocol), decision_of(protocol)
    every = protocol.gallery == "all"
    if decision == "stored":
        if not every:
            raise ConfigError("decision stored", "answers were stored only for the gallery of all cells",
                              "Choose a new decision: top, distance or within:METRES.")
        return stored(table)
    return decided(table, ranking, decision, stored(table) if every else top(table, ranking))


def baselines_of(table: PredictionTable, protocol: Protocol) -> list[Row]:
    """Return the rows chance and ceiling for the photos of a table, scored by the protocol."""
    distance = protocol.measure(table)
    return [chance(table.grid, table.positions, distance, gallery=protocol.gallery_of(table)),
            ceiling(table.grid, table.true_cells, table.positions, distance)]


def stacked(rows: Sequence[Row]) -> Row:
    """Concatenate rows of one method on the photos of several maps into one row."""
    first, ranks = rows[0], [row.ranks for row in rows if row.ranks is not None]
    known = [row.listed for row in rows if row.listed is not None]
    every = None
    if len(ranks) == len(rows):
        shared = all(r.shape == (1, ranks[0].shape[1]) and np.array_equal(r, ranks[0]) for r in ranks)
        every = ranks[0] if shared else np.concatenate(
            [np.broadcast_to(r, (len(row), r.shape[1])) for r, row in zip(ranks, rows, strict=True)])
    return Row(first.name, np.concatenate([row.errors_m for row in rows]), np.concatenate([row.correct for row in rows]), every,
               first.cell_m, min(known) if known else None)


def joined(rows: Sequence[Row], name: str) -> Row:
    """Join rows of one method, such as those of several seeds, into one whose figures are their means."""
    ranks = [row.ranks for row in rows]
    known = [row.listed for row in rows if row.listed is not None]
    return Row(name, np.concatenate([row.errors_m for row in rows], 1), np.mean([row.correct for row in rows], 0),
               None if any(r is None for r in ranks) else np.concatenate([r for r in ranks if r is not None], 1),
               rows[0].cell_m, min(known) if known else None)


def figures(score: Score) -> dict[str, Any]:
    """Return a score as plain values: each figure with value, low and high."""
    def plain(figure: Figure | None) -> dict[str, float] | None:
        return None if figure is None else asdict(figure)

    return {
        "recall_at_1": plain(score.recall_at_1),
        "recall_at_m": {f"{r:g}": plain(f) for r, f in score.recall_at_m.items()},
        "median_m": plain(score.median_m), "mean_m": plain(score.mean_m),
        "recall_at_area": {f"{a:.10g}": plain(f) for a, f in score.recall_at_area.items()},
    }


def cost_of(table: PredictionTable) -> dict[str, float | None]:
    """Return the cost of an answer: views and milliseconds per photo (means and median), and the costs in the metadata."""
    def mean(values: Floats | Ints, known: Any) -> float | None:
        return float(values[known].mean()) if known.any() else None

    timed = ~np.isnan(table.ms)
    return {"views": mean(table.views, table.views >= 0), "ms": mean(table.ms, timed),
            "ms_median": float(np.median(table.ms[timed])) if timed.any() else None, **table.info.cost}
