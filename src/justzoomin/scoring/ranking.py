"""Cells in the order of their probability, and the rank of the true cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.posterior import log_normalized
from justzoomin.scoring.resampling import Floats, Ints

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Ranking:
    """The most probable cells of a gallery for N photos, and the rank of the true cell.

    Attributes:
        cells: Numbers (N, K) of terminal cells, most probable first; -1 after the last.
        probs: Their probabilities (N, K); 0 after the last.
        true_log_prob: Log-probability (N,) of the true cell; NaN if unknown, -inf if the cell was ruled out.
        true_rank: Number (N,) of cells before the true one; -1 if unknown.
        mass_before: Sum (N,) of the probabilities of the cells before the true one; NaN if unknown.
    """

    cells: Ints
    probs: Floats32
    true_log_prob: Floats
    true_rank: Ints
    mass_before: Floats

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def listed(self) -> Ints:
        """Number (N,) of listed cells."""
        return np.asarray((self.cells >= 0).sum(1))

    def take(self, photos: Ints) -> Ranking:
        """Return the ranking of the photos with given row numbers (M,)."""
        return Ranking(self.cells[photos], self.probs[photos], self.true_log_prob[photos], self.true_rank[photos],
                       self.mass_before[photos])


@lru_cache(maxsize=8)
def tie_order(count: int) -> Ints:
    """Return a fixed random order (N,) of cells. It ranks equal probabilities, so that no part of the map is favoured."""
    return np.random.default_rng(count).permutation(count)


def log_normalize(scores: npt.ArrayLike) -> Floats:
    """Return log-probabilities (B, N) from scores (B, N) that equal them up to a constant for each photo.

    Raises:
        DataError: If a score is NaN or infinite, or all cells of a photo are ruled out.
    """
    values = np.asarray(scores, np.float64)
    top = values.max(1, keepdims=True)
    if not np.isfinite(top).all():
        bad = int(np.flatnonzero(~np.isfinite(top[:, 0]))[0])
        raise DataError(f"scores of photo {bad}", f"the largest is {top[bad, 0]}",
                        "Give a finite score for at least one cell, and no NaN.")
    return log_normalized(values - top)


def rank_scores(log_probs: Floats, true: Ints, listed: int | None, gallery: Ints | None = None) -> Ranking:
    """Rank all cells, or those of a gallery.

    Args:
        log_probs: Log-probabilities (B, N) of all terminal cells, in the order of `ZoomGrid.flatten`.
        true: The true cells (B,); they must be in the gallery.
        listed: Number of cells to list for each photo; all if None. Cells that are ruled out are not listed.
        gallery: Numbers (G,) of the cells to rank, ascending; their probabilities are normalized. All cells if None.
    """
    tie, numbers, log_mass = tie_order(log_probs.shape[1]), np.arange(log_probs.shape[1]), log_probs
    if gallery is not None:
        log_probs, tie, numbers = _none_ruled_out(log_probs[:, gallery]), tie[gallery], gallery
        log_mass = log_normalize(log_probs)  # kept separate, because its rounding could make ties
    place = np.searchsorted(numbers, true)
    rows = np.arange(len(true))
    own, own_tie = log_probs[rows, place][:, None], tie[place][:, None]
    before = (log_probs > own) | ((log_probs == own) & (tie < own_tie))
    mass = np.where(before, np.exp(log_mass), 0.0).sum(1)
    size = len(numbers) if listed is None else min(listed, len(numbers))
    cells, probs = np.full((len(true), size), -1, np.int64), np.zeros((len(true), size), np.float32)
    for row, values in enumerate(log_probs):
        best = _best(values, tie, size)
        cells[row, :len(best)] = numbers[best]
        probs[row, :len(best)] = np.exp(log_mass[row, best])
    return Ranking(cells, probs, log_mass[rows, place], before.sum(1), np.minimum(mass, 1.0))


def _none_ruled_out(log_probs: Floats) -> Floats:
    """Make all cells of a gallery equally probable for photos for which the method rules out every one of them."""
    out = (log_probs == -np.inf).all(1, keepdims=True)
    return np.where(out, 0.0, log_probs)


def _best(values: Floats, tie: Ints, size: int) -> Ints:
    """Return indices (K,) of the largest values (N,), largest first; values of -inf are left out."""
    if size < len(values):
        least = np.partition(values, len(values) - size)[len(values) - size]
        among = np.flatnonzero(values >= max(least, np.finfo(np.float64).min))
    else:
        among = np.flatnonzero(values > -np.inf)
    order = np.lexsort((tie[among], -values[among]))
    return among[order[:size]]


def rank_listed(cells: Ints, log_probs: Floats, true: Ints) -> Ranking:
    """Rank the cells that a search along paths found, most probable first; other cells have no rank.

    Args:
        cells: Numbers (N, K) of the cells.
        log_probs: Log-probabilities (N, K) of the cells, in descending order.
        true: The true cells (N,).
    """
    probs = np.exp(log_probs)
    hit = cells == true[:, None]
    found = hit.any(1)
    rank = np.where(found, hit.argmax(1), -1)
    rows = np.arange(len(true))
    own = np.where(found, log_probs[rows, rank], np.nan)
    before = np.concatenate([np.zeros((len(true), 1)), np.cumsum(probs, 1)], 1)[rows, rank]
    return Ranking(cells, probs.astype(np.float32), np.asarray(own, np.float64), rank.astype(np.int64),
                   np.where(found, np.minimum(before, 1.0), np.nan))


def join(parts: Sequence[Ranking]) -> Ranking:
    """Join the rankings of several batches into one."""
    width = max(part.cells.shape[1] for part in parts)

    def wide(values: npt.NDArray[np.generic], empty: float) -> npt.NDArray[np.generic]:
        return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=empty)

    return Ranking(
        np.concatenate([wide(p.cells, -1) for p in parts]).astype(np.int64),
        np.concatenate([wide(p.probs, 0) for p in parts]).astype(np.float32),
        np.concatenate([p.true_log_prob for p in parts]), np.concatenate([p.true_rank for p in parts]),
        np.concatenate([p.mass_before for p in parts]))
