"""Figures of a method, with intervals, and the two rows that stand beside every method: chance and ceiling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.evaluation.predictions import Predictions, errors_m

DEFAULT_RADII_M = (40.0, 50.0, 100.0)
_Z95 = 1.959963984540054
_RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """Figures over N photos: percentages for recalls, metres for errors."""

    recall_at_1: Figure
    recall_at_m: dict[float, Figure]
    median_m: Figure
    mean_m: Figure


def percent(hits: npt.NDArray[np.bool_]) -> Figure:
    """Percentage of hits with its Wilson score interval at 95 %.

    Source: E. B. Wilson, Probable inference, JASA 22 (1927).
    """
    n, p = len(hits), float(np.mean(hits))
    centre = (p + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 * np.sqrt(p * (1 - p) / n + _Z95**2 / (4 * n * n)) / (1 + _Z95**2 / n)
    return Figure(100 * p, 100 * max(0.0, float(centre - half)), 100 * min(1.0, float(centre + half)))


def bootstrap(values: npt.NDArray[np.float64], function: Callable[[npt.NDArray[np.float64]], Any], seed: int = 0) -> Figure:
    """A statistic of values (N,), such as their mean, with its 95 % percentile bootstrap interval, seeded."""
    rng = np.random.default_rng(seed)
    draws = [float(function(values[rng.integers(0, len(values), len(values))])) for _ in range(_RESAMPLES)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return Figure(float(function(values)), float(low), float(high))


def score(correct: npt.NDArray[np.bool_], errors: npt.NDArray[np.float64],
          radii_m: tuple[float, ...] = DEFAULT_RADII_M) -> Score:
    """Figures from whether whole sequences (N,) are right and from errors (N,) in metres.

    Raises:
        DataError: If there is no photo.
    """
    if not len(errors):
        raise DataError("evaluation", "there is no photo to score", "Choose a split that holds photos.")
    return Score(percent(correct), {r: percent(errors <= r) for r in radii_m}, bootstrap(errors, np.median),
                 bootstrap(errors, np.mean))


def score_predictions(predictions: Predictions, radii_m: tuple[float, ...] = DEFAULT_RADII_M) -> Score:
    """Figures of predictions: R@1 asks for the whole sequence, R@Xm for the terminal cell's centre within X metres."""
    return score((predictions.predicted == predictions.true).all(1), predictions.errors_m, radii_m)


def ceiling(predictions: Predictions, radii_m: tuple[float, ...] = DEFAULT_RADII_M) -> Score:
    """The best any method can do whose answers are centres of terminal cells: always the true cell."""
    own = errors_m(predictions.grid, predictions.true, predictions.positions)
    return score(np.ones(len(predictions), bool), own, radii_m)


def chance(predictions: Predictions, radii_m: tuple[float, ...] = DEFAULT_RADII_M, draws: int = 200_000) -> Score:
    """A terminal cell drawn at random, uniformly over all of them, for photos drawn from the split (seeded)."""
    grid = predictions.grid
    cells = grid.actions**grid.depth
    rng = np.random.default_rng(0)
    which = rng.integers(0, len(predictions), draws)
    picked = grid.unflatten(rng.integers(0, cells, draws), grid.depth)
    errors = errors_m(grid, picked, predictions.positions[which])
    exact = Figure(100.0 / cells, 100.0 / cells, 100.0 / cells)
    drawn = score(np.zeros(draws, bool), errors[:20_000], radii_m)
    recalls = {r: percent(errors <= r) for r in radii_m}
    return Score(exact, recalls, drawn.median_m, drawn.mean_m)

