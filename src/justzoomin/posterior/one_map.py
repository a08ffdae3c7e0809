"""Calibration for one map: a temperature and a tail for each step, fitted on held-out photos of that map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.lattices import Floats
from justzoomin.posterior.normalizing import finite, log_sum
from justzoomin.posterior.offmap import on_map_score


@dataclass(frozen=True)
class OneMapCalibration:
    """Parameters that turn a model's posterior into a calibrated one on one map.

    Attributes:
        split: Hash of the held-out photos (`hash_records`).
        photos: Number of held-out photos.
        temperatures: Divisors of each step's log-probabilities; only one for a family that scores cells without paths.
        tails: One probability per step. Actions with less than it are made still less probable, because training with
            smoothed labels gives every action a small probability that no photo supports. See `step_log_probs`.
        off_map_measure: The measure of `on_map`, one of `MEASURES`.
        off_map_threshold: The least value of a photo that counts as on the map.
        off_map_kept: Share of the held-out photos that reach the threshold.
        figures: Likelihood, calibration errors and coverage on the held-out photos, `before` and `after`.
        look: Appearance of the region of these photos (`region_look`); None if it was not recorded. The calibration is valid
            only for photos of that map; on another map every photo may look foreign.
        map: Fingerprint of that map; None if it was not recorded.
    """

    split: str
    photos: int
    temperatures: tuple[float, ...]
    tails: tuple[float, ...]
    off_map_measure: str
    off_map_threshold: float
    off_map_kept: float
    figures: dict[str, Any]
    look: str | None = None
    map: str | None = None

    def apply(self, grid: ZoomGrid, log_probs: npt.NDArray[np.floating]) -> Floats:
        """Return calibrated log-probabilities (B, N) from the model's own (B, N), before any prior.

        Raises:
            ModelError: If the numbers of steps of grid and calibration differ.
        """
        conditional = step_by_step(grid, log_probs, len(self.temperatures))
        total: Floats = np.zeros((len(log_probs), 1))
        for step, temperature, tail in zip(conditional, self.temperatures, self.tails, strict=True):
            total = (total[..., None] + step_log_probs(step, temperature, tail)).reshape(len(log_probs), -1)
        return total

    def temperatures_of(self, grid: ZoomGrid, log_probs: npt.NDArray[np.floating]) -> Floats:
        """Return the temperature (B, steps) of each step for photos with the model's own log-probabilities (B, N)."""
        return np.tile(np.asarray(self.temperatures, np.float64), (len(log_probs), 1))

    def on_map(self, log_probs: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Return whether (B,) photos with calibrated posteriors (B, N), without a prior, look like photos of the map."""
        return np.asarray(on_map_score(log_probs, self.off_map_measure) >= self.off_map_threshold)


def step_by_step(grid: ZoomGrid, log_probs: npt.NDArray[np.floating], steps: int) -> list[Floats]:
    """Split a posterior into the log-probabilities of each step given the steps before it.

    Args:
        grid: The grid.
        log_probs: Log-probabilities (B, N) of the terminal cells.
        steps: Number of steps: the grid's depth, or 1 for all cells at once.

    Returns:
        Per step (B, cells before it, actions); -inf for actions without probability.

    Raises:
        ModelError: If the number of steps is neither 1 nor the grid's depth.
    """
    if steps not in (1, grid.depth):
        raise ModelError("calibration", f"it has {steps} steps, but the grid has {grid.depth}",
                         "Calibrate the model on a dataset of this grid.")
    actions = grid.actions if steps == grid.depth else grid.actions**grid.depth
    level = log_probs.astype(np.float64)
    found: list[Floats] = []
    for _ in range(steps):
        children = level.reshape(len(log_probs), -1, actions)
        level = log_sum(children)
        found.append(children - np.where(np.isfinite(level), level, 0.0)[..., None])
    return found[::-1]


def step_log_probs(log_probs: Floats, temperature: float | Floats, tail: float) -> Floats:
    """Return the calibrated log-probabilities (..., A) of one step; the temperature may differ from photo to photo.

    p becomes p^(1 / temperature) =: q, normalized; then q * q / (q + tail), normalized. Probabilities far above the tail stay
    almost unchanged; those far below it shrink with their square.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = log_probs / temperature
        values = values - finite(log_sum(values))[..., None]
        if tail:
            values = np.where(np.isfinite(values), values - np.logaddexp(0.0, math.log(tail) - values), -np.inf)
            values = values - finite(log_sum(values))[..., None]
    return np.asarray(values)
