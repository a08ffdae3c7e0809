"""Motion of probability for a way that is known relative to where the camera faced: a motion for each bearing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.posterior.lattices import Floats, Lattice
from justzoomin.posterior.motion import Motion, odometry, travelled

_ANGLES = 5
"""Directions within a bin of bearings that are averaged."""


@dataclass(frozen=True, eq=False)
class PoseMotion:
    """Possible moves of a camera, for each bearing that it had before.

    Attributes:
        motions: K motions, of the bearings 0, 360 / K, ... degrees.
    """

    motions: tuple[Motion, ...]

    def forward_poses(self, masses: Floats) -> Floats:
        """Return the masses (K, side, side) of bearings and cells after the motion; bearings stay."""
        return np.stack([motion.forward(image) for motion, image in zip(self.motions, masses, strict=True)])

    def forward_places(self, masses: Floats) -> Floats:
        """Return the masses (side, side) of cells after the motion of masses (K, side, side)."""
        return np.asarray(self.forward_poses(masses).sum(0))

    def backward_poses(self, values: Floats) -> Floats:
        """Return the expected values (K, side, side) after the motion, for every pose before it."""
        return np.stack([motion.backward(image) for motion, image in zip(self.motions, values, strict=True)])

    def backward_places(self, values: Floats) -> Floats:
        """Return the expected values (K, side, side) of cells (side, side) after the motion, for every pose before it."""
        return np.stack([motion.backward(values) for motion in self.motions])

    def reach(self, side: int) -> float:
        """Return the share of a map of (side, side) cells that can be reached from a pose, averaged over all poses."""
        return float(np.mean([motion.reach(side) for motion in self.motions]))


def relative_odometry(cells: Lattice, count: int, right_m: float, ahead_m: float, sigma_m: float) -> PoseMotion:
    """Return a motion by a displacement that was measured relative to where the camera faced, with a Gaussian error.

    The bearing within a bin is assumed to be uniform.

    Args:
        cells: The lattice.
        count: Number of bearings K.
        right_m: Metres moved to the right of the camera's direction before the motion.
        ahead_m: Metres moved along that direction.
        sigma_m: Standard deviation of each in metres; 0 for no error.

    Raises:
        ConfigError: If a number is not finite, or sigma is negative.
    """
    if not (math.isfinite(right_m) and math.isfinite(ahead_m)):
        raise ConfigError("odometry", f"a number is wrong (got {right_m} m right, {ahead_m} m ahead)", "Give finite metres.")
    if count == 1:
        return PoseMotion((travelled(cells, math.hypot(right_m, ahead_m), sigma_m),))
    return PoseMotion(tuple(_averaged([_turned(cells, math.radians((k + (j + 0.5) / _ANGLES - 0.5) * 360.0 / count), right_m,
                                               ahead_m, sigma_m) for j in range(_ANGLES)]) for k in range(count)))


def _turned(cells: Lattice, heading_rad: float, right_m: float, ahead_m: float, sigma_m: float) -> Motion:
    sine, cosine = math.sin(heading_rad), math.cos(heading_rad)
    return odometry(cells, right_m * cosine + ahead_m * sine, ahead_m * cosine - right_m * sine, sigma_m)


def _averaged(motions: list[Motion]) -> Motion:
    """Return the mean of motions whose mass may leave the map."""
    radius = max(len(motion.kernel) // 2 for motion in motions)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    for motion in motions:
        own = len(motion.kernel) // 2
        kernel[radius - own:radius + own + 1, radius - own:radius + own + 1] += motion.kernel / len(motions)
    return Motion(kernel, keeps=False)
