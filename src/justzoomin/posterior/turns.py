"""Turns of a camera between two photos: motion of probability over bearings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.posterior.heading_priors import FLOOR
from justzoomin.posterior.lattices import Floats

_SAMPLES = 1024
_SIGMAS = 5.0


@dataclass(frozen=True, eq=False)
class Turn:
    """Possible turns between two photos: probabilities of offsets between bearings.

    The bearing within a bin is assumed to be uniform, so even a turn smaller than a bin may leave it.

    Attributes:
        kernel: Probabilities (K,) of the offsets 0, 1, ... K - 1 bins clockwise.
    """

    kernel: Floats

    def forward(self, masses: Floats) -> Floats:
        """Return the masses (K, ...) of the bearings after the turn."""
        return np.asarray(np.einsum("jk,k...->j...", self._matrix, masses))

    def backward(self, values: Floats) -> Floats:
        """Return the expected values (K, ...) after the turn for every bearing before it: the transpose of `forward`."""
        return np.asarray(np.einsum("jk,j...->k...", self._matrix, values))

    @property
    def _matrix(self) -> Floats:
        """Probabilities (to, from) of a turn between bearings."""
        number = np.arange(len(self.kernel))
        return np.asarray(self.kernel[(number[:, None] - number) % len(self.kernel)])


def turned(count: int, turn_deg: float, sigma_deg: float, floor: float = FLOOR) -> Turn:
    """Return a turn by a measured angle with a Gaussian error, wrapped around the circle.

    Args:
        count: Number of bearings K.
        turn_deg: Degrees clockwise.
        sigma_deg: Standard deviation in degrees; 0 for no error.
        floor: Share of turns by any angle.

    Raises:
        ConfigError: If a number is not finite or out of range.
    """
    if not (math.isfinite(turn_deg) and 0 <= sigma_deg < math.inf and 0 <= floor <= 1):
        raise ConfigError("turn", f"a number is wrong (got {turn_deg} degrees, sigma {sigma_deg}, floor {floor})",
                          "Give finite degrees, a sigma of at least 0, and a floor from 0 to 1.")
    steps = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES * 2 - 1) * _SIGMAS
    weights = np.exp(-0.5 * steps**2)
    offset = (turn_deg + steps * min(sigma_deg, 360.0)) % 360.0 * count / 360.0
    low = np.floor(offset).astype(np.int64)
    part = offset - low
    kernel = np.bincount(low % count, weights * (1 - part), count) + np.bincount((low + 1) % count, weights * part, count)
    return Turn((1.0 - floor) * kernel / weights.sum() + floor / count)
