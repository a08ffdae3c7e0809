"""Fitting the calibration of one map by the likelihood of the true cells of held-out photos."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.lattices import Floats
from justzoomin.posterior.offmap import on_map_score, threshold
from justzoomin.posterior.one_map import OneMapCalibration, step_by_step, step_log_probs
from justzoomin.posterior.reliability import Claims, Ints, figures

LEAST_PHOTOS = 20
_TEMPERATURES = (math.log(0.2), math.log(5.0))
_TAILS = (math.log(1e-7), math.log(0.2))
_STILL = 1e-4
"""A number counts as found when its logarithm changes by less than this."""

Batches = Callable[[], Iterable[tuple[npt.NDArray[np.floating], Ints]]]


def fit_calibration(grid: ZoomGrid, batches: Batches, steps: int, split: str, measure: str = "entropy",
                    keep: float = 0.95) -> tuple[OneMapCalibration, Claims, Claims]:
    """Fit the calibration of one map on photos whose true cells are known and that the model never saw.

    Temperatures and tails maximize the likelihood of the true cells. A cell's probability is the product of its path's steps,
    and each step has its own two numbers, so steps are fitted one by one. The figures are computed on the same photos.

    Args:
        grid: The grid.
        batches: Yields all photos at each call: log-probabilities (B, N) without a prior, numbers (B,) of the true cells.
        steps: Number of steps of the model: the grid's depth, or 1.
        split: Hash of the photos' records.
        measure: The score that detects photos off the map, one of `MEASURES`.
        keep: Share of these photos that must count as on the map.

    Returns:
        The calibration, and the claims before and after it.

    Raises:
        DataError: If there are fewer than `LEAST_PHOTOS` photos.
    """
    along: list[list[Floats]] = []
    picked: list[Ints] = []
    before: list[Claims] = []
    for log_probs, true in batches():
        path, conditional = along_true_path(grid, log_probs, true, steps)
        picked.append(path)
        along.append(conditional)
        before.append(Claims.of(grid, log_probs, true))
    if sum(map(len, picked)) < LEAST_PHOTOS:
        raise DataError("calibration", f"{sum(map(len, picked))} photos are too few for a calibration",
                        f"Give at least {LEAST_PHOTOS}; a thousand are better.")
    actions = np.concatenate(picked)
    fitted = [fit_step(np.concatenate(parts), actions[:, step]) for step, parts in enumerate(zip(*along, strict=True))]
    draft = OneMapCalibration(split, len(actions), tuple(t for t, _ in fitted), tuple(t for _, t in fitted), measure, 0.0,
                        keep, {})
    after: list[Claims] = []
    scores: list[Floats] = []
    for log_probs, true in batches():
        calibrated = draft.apply(grid, log_probs)
        after.append(Claims.of(grid, calibrated, true))
        scores.append(on_map_score(calibrated, measure))
    claims = Claims.joined(after)
    limit = threshold(np.concatenate(scores), keep)
    both = {"before": figures(Claims.joined(before)), "after": figures(claims)}
    kept = float((np.concatenate(scores) >= limit).mean())
    found = OneMapCalibration(split, len(actions), draft.temperatures, draft.tails, measure, limit, kept, both)
    return found, Claims.joined(before), claims


def along_true_path(grid: ZoomGrid, log_probs: npt.NDArray[np.floating], true: Ints, steps: int) -> tuple[Ints, list[Floats]]:
    """Return the true actions (B, steps), and per step the log-probabilities (B, A) of all actions after the true ones before.

    Args:
        grid: The grid.
        log_probs: Log-probabilities (B, N), up to a constant.
        true: Numbers (B,) of the true cells.
        steps: Number of steps: the grid's depth, or 1 for all cells at once.

    Raises:
        ModelError: If the number of steps is neither 1 nor the grid's depth.
    """
    path = grid.unflatten(true, grid.depth) if steps > 1 else true[:, None]
    rows, here, found = np.arange(len(true)), np.zeros(len(true), np.int64), []
    for step, conditional in enumerate(step_by_step(grid, log_probs, steps)):
        found.append(conditional[rows, here])
        here = here * conditional.shape[2] + path[:, step]
    return path, found


def fit_step(log_probs: Floats, actions: Ints) -> tuple[float, float]:
    """Find the temperature and tail of one step that make the true actions most likely.

    Args:
        log_probs: Log-probabilities (B, A) along the true paths.
        actions: The true actions (B,).
    """
    rows = np.arange(len(actions))

    def cost(place: Sequence[float]) -> float:
        taken = step_log_probs(log_probs, math.exp(place[0]), math.exp(place[1]))[rows, actions]
        return float(-np.maximum(taken, -700.0).mean())  # one true action of probability 0 must not hide the others

    place = [0.0, math.log(1e-4)]
    for _ in range(6):  # each pass fits one number, then the other
        for axis, (low, high) in enumerate((_TEMPERATURES, _TAILS)):
            place[axis] = _least(lambda v, axis=axis: cost([*place[:axis], v, *place[axis + 1:]]), low, high)  # type: ignore[misc]
    return math.exp(place[0]), math.exp(place[1])


def _least(cost: Callable[[float], float], low: float, high: float) -> float:
    """Find the minimum of a function with only one, by Brent's method."""
    from scipy.optimize import minimize_scalar

    return float(minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": _STILL}).x)
