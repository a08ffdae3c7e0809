"""Fitting a calibration by the likelihood of held-out photos' true cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.calibration import Calibration, step_by_step, step_log_probs
from justzoomin.posterior.lattices import Floats
from justzoomin.posterior.offmap import on_map_score, threshold
from justzoomin.posterior.reliability import Claims, Ints, figures

LEAST_PHOTOS = 20
_TEMPERATURES = (math.log(0.2), math.log(5.0))
_TAILS = (math.log(1e-7), math.log(0.2))
_STILL = 1e-4
"""A number is found when its logarithm moves less than this."""

Batches = Callable[[], Iterable[tuple[npt.NDArray[np.floating], Ints]]]


def fit_calibration(grid: ZoomGrid, batches: Batches, steps: int, model: str, split: str, measure: str = "entropy",
                    keep: float = 0.95) -> tuple[Calibration, Claims, Claims]:
    """Fit a calibration on photos whose true cells are known and that the model never saw.

    Temperatures and tails have the greatest likelihood of the true cells. As a cell's probability is the product of its path's
    steps, and each step has its own two numbers, steps are fitted one by one. The figures are of the same photos.

    Args:
        grid: The grid.
        batches: Gives the photos again at each call: log-probabilities (B, N) without a prior, numbers (B,) of the true cells.
        steps: Steps of the model: the grid's depth, or 1.
        model: Fingerprint of the model.
        split: Hash of the photos' records.
        measure: The score that tells photos off the map, one of `MEASURES`.
        keep: Share of these photos that count as on the map.

    Returns:
        The calibration, and the claims before and after it.

    Raises:
        DataError: If there are fewer than `LEAST_PHOTOS` photos.
    """
    along: list[list[Floats]] = [[] for _ in range(steps)]
    picked: list[Ints] = []
    before: list[Claims] = []
    for log_probs, true in batches():
        rows = np.arange(len(true))
        path = grid.unflatten(true, grid.depth) if steps > 1 else true[:, None]
        here = np.zeros(len(true), np.int64)
        for step, conditional in enumerate(step_by_step(grid, log_probs, steps)):
            along[step].append(conditional[rows, here])
            here = here * conditional.shape[2] + path[:, step]
        picked.append(path)
        before.append(Claims.of(grid, log_probs, true))
    if sum(map(len, picked)) < LEAST_PHOTOS:
        raise DataError("calibration", f"{sum(map(len, picked))} photos are too few for a calibration",
                        f"Give at least {LEAST_PHOTOS}; a thousand are better.")
    actions = np.concatenate(picked)
    fitted = [fit_step(np.concatenate(parts), actions[:, step]) for step, parts in enumerate(along)]
    draft = Calibration(model, split, len(actions), tuple(t for t, _ in fitted), tuple(t for _, t in fitted), measure, 0.0,
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
    found = Calibration(model, split, len(actions), draft.temperatures, draft.tails, measure, limit, kept, both)
    return found, Claims.joined(before), claims


def fit_step(log_probs: Floats, actions: Ints) -> tuple[float, float]:
    """Temperature and tail of one step that make the true actions most likely.

    Args:
        log_probs: Log-probabilities (B, A) along the true paths.
        actions: The true actions (B,).
    """
    rows = np.arange(len(actions))

    def cost(place: Sequence[float]) -> float:
        taken = step_log_probs(log_probs, math.exp(place[0]), math.exp(place[1]))[rows, actions]
        return float(-np.maximum(taken, -700.0).mean())  # one true action of probability 0 must not hide the others

    place = [0.0, math.log(1e-4)]
    for _ in range(6):  # of one number at a time
        for axis, (low, high) in enumerate((_TEMPERATURES, _TAILS)):
            place[axis] = _least(lambda v, axis=axis: cost([*place[:axis], v, *place[axis + 1:]]), low, high)  # type: ignore[misc]
    return math.exp(place[0]), math.exp(place[1])


def _least(cost: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one valley is least, by Brent's method."""
    from scipy.optimize import minimize_scalar

    return float(minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": _STILL}).x)
