"""Answers from cells with probabilities: decided when a table is made, or again from the listed cells of a stored table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from justzoomin.errors import DataError
from justzoomin.geometry import ZoomGrid, from_local
from justzoomin.posterior import Decision, TopCell, Within, decide, lattice, parse_decision
from justzoomin.scoring.ranking import Ranking
from justzoomin.scoring.resampling import Floats, Ints
from justzoomin.scoring.table import Decide, PredictionTable

LEAST_MASS = 0.9
"""Probability mass that the listed cells of a photo must hold for a new decision; with less, too much would be guessed."""
_BLOCK_VALUES = 1 << 22


def claim_of(decision: str) -> str | None:
    """Return what the confidence of an answer claims, as in `PredictionInfo.confidence`; None if it claims nothing."""
    rule = parse_decision(decision)
    return "cell" if isinstance(rule, TopCell) else str(rule) if isinstance(rule, Within) else None


def decider(grid: ZoomGrid, decision: str) -> Decide | None:
    """Return a decision for `Tabulator`, giving answers and the mass claimed for each; None for the most probable cell.

    Raises:
        ConfigError: If the decision is unknown.
        GeometryError: If the grid has too many cells.
    """
    rule = parse_decision(decision)
    if isinstance(rule, TopCell):
        return None
    cells = lattice(grid)

    def answer(log_probs: Floats) -> tuple[Floats, Floats]:
        probs = np.exp(log_probs)
        points = rule.points(cells, probs)
        places = np.stack(from_local(*grid.region.centre, points[:, 0], points[:, 1]), 1)
        if not isinstance(rule, Within):
            return places, np.full(len(probs), np.nan)
        return places, np.clip(rule.expected(cells, probs, points), 0.0, 1.0)

    return answer


@dataclass(frozen=True)
class Answers:
    """Answers to N photos.

    Attributes:
        places: Latitudes and longitudes (N, 2).
        cells: Terminal cells (N,) of the places; -1 outside the region.
        kept: Number of photos that kept their previous answer, because their listed cells hold too little mass.
    """

    places: Floats
    cells: Ints
    kept: int = 0


def stored(table: PredictionTable) -> Answers:
    """Return the answers that a table holds."""
    return Answers(table.answers, table.answer_cells)


def top(table: PredictionTable, ranking: Ranking) -> Answers:
    """Return the centres of the most probable cells.

    Raises:
        DataError: If a photo has no listed cell.
    """
    if not ranking.listed.all():
        raise DataError(table.info.method, "its predictions list no cells to choose from", "Use the stored answers.")
    grid, cells = table.grid, ranking.cells[:, 0]
    return Answers(np.stack(grid.centres(grid.unflatten(cells, grid.depth)), 1), cells)


def decided(table: PredictionTable, ranking: Ranking, decision: str, otherwise: Answers) -> Answers:
    """Decide over the listed cells; the mass that they lack is spread evenly over the other cells.

    Args:
        table: The table.
        ranking: Its ranking in the gallery that is scored.
        decision: `within:METRES`, `distance` or `top`.
        otherwise: Answers of the photos whose listed cells hold less than `LEAST_MASS`.

    Raises:
        ConfigError: If the decision is unknown.
    """
    rule: Decision = parse_decision(decision)
    if isinstance(rule, TopCell):
        return top(table, ranking)
    grid = table.grid
    count = len(lattice(grid))
    enough = np.flatnonzero(ranking.probs.sum(1, dtype=np.float64) >= LEAST_MASS)
    places, cells = otherwise.places.copy(), otherwise.cells.copy()
    step = max(1, _BLOCK_VALUES // count)
    for start in range(0, len(enough), step):
        some = enough[start:start + step]
        places[some] = np.stack(decide(grid, spread(ranking.take(some), count), rule), 1)
    sequences, inside = grid.encode_masked(places[enough, 0], places[enough, 1])
    cells[enough] = np.where(inside, grid.flatten(np.where(inside[:, None], sequences, 0)), -1)
    return Answers(places, cells, len(table) - len(enough))


def spread(ranking: Ranking, count: int) -> Floats:
    """Return log-probabilities (N, count) of all cells: the listed ones, and the remaining mass evenly over the others."""
    there = ranking.cells >= 0
    listed = there.sum(1)
    mass = ranking.probs.sum(1, dtype=np.float64)
    rest = np.maximum(1.0 - mass, 0.0) / np.maximum(count - listed, 1)
    dense = np.repeat(rest[:, None], count, 1)
    rows = np.repeat(np.arange(len(listed)), listed)
    dense[rows, ranking.cells[there]] = ranking.probs[there]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(dense / dense.sum(1, keepdims=True)))
