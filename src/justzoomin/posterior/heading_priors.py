"""Prior knowledge about which way a photo faces, such as from a compass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError
from justzoomin.posterior.lattices import Floats
from justzoomin.posterior.normalizing import log_normalized, log_sum
from justzoomin.posterior.posterior import Posterior

DEFAULT_SIGMA_DEG = 20.0
"""Spread of a heading whose source does not state its own."""
FLOOR = 0.05
"""Share of the probability that is even over all bearings, because compasses can be wrong by any angle."""
LEAST_SIGMA_DEG = 1.0
_SAMPLES = 4096
_BLOCK = 1 << 18
"""Cells that are changed at once."""


@dataclass(frozen=True)
class HeadingPrior:
    """A heading that is known in part: a von Mises distribution around it, and an even share over all bearings.

    Args:
        heading_deg: The heading in degrees clockwise from true north.
        sigma_deg: Its circular spread in degrees, from 1 to 180: sqrt(-2 ln R), as in `Heading`.
        floor: Share of the probability that is even over all bearings, from 0 to 1; with 1 the prior changes nothing.
        origin: Where the heading comes from, in words, for the fix.

    Raises:
        ConfigError: If a number is not finite or out of range.
    """

    heading_deg: float
    sigma_deg: float = DEFAULT_SIGMA_DEG
    floor: float = FLOOR
    origin: str = "given"

    def __post_init__(self) -> None:
        if not math.isfinite(self.heading_deg):
            raise ConfigError("heading", f"{self.heading_deg} is not an angle", "Give degrees clockwise from true north.")
        if not LEAST_SIGMA_DEG <= self.sigma_deg <= 180.0:
            raise ConfigError("heading sigma", f"{self.sigma_deg:g} degrees is out of range",
                              f"Give {LEAST_SIGMA_DEG:g} to 180 degrees.")
        if not 0.0 <= self.floor <= 1.0:
            raise ConfigError("heading floor", f"{self.floor:g} is not a share", "Give a number from 0 to 1.")

    def log_weights(self, count: int) -> Floats:
        """Return log-probabilities (K,) of bearings: of the density within each bin, so that no bin is missed."""
        if self.floor == 1.0:
            return np.full(count, -math.log(count))
        each = _SAMPLES // count
        offset = ((np.arange(each) + 0.5) / each - 0.5) * 360.0 / count
        angles = np.radians(np.arange(count)[:, None] * 360.0 / count + offset - self.heading_deg)
        masses = np.exp(_kappa(self.sigma_deg) * (np.cos(angles) - 1.0)).sum(1)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log((1.0 - self.floor) * masses / masses.sum() + self.floor / count))

    def __str__(self) -> str:
        return f"{self.heading_deg % 360.0:.4g} degrees, sigma {self.sigma_deg:g}, floor {self.floor:g}, {self.origin}"


@lru_cache(maxsize=256)
def _kappa(sigma_deg: float) -> float:
    """Return the concentration of the von Mises distribution with a spread: I1(kappa) / I0(kappa) = exp(-sigma^2 / 2)."""
    from scipy.optimize import brentq
    from scipy.special import i0e, i1e

    length = math.exp(-0.5 * math.radians(sigma_deg) ** 2)
    return float(brentq(lambda kappa: i1e(kappa) / i0e(kappa) - length, 1e-9, 1e5))


def weigh_headings(log_probs: Floats, headings: npt.NDArray[np.float32],
                   log_weights: Floats) -> tuple[Floats, npt.NDArray[np.float32]]:
    """Multiply the joint distribution of cell and bearing by weights of the bearings; even weights change nothing at all.

    p(c, k) is p(c) p(k | c) w(k), normalized.

    Args:
        log_probs: Log-probabilities (N,) of the cells.
        headings: Log-probabilities (N, K) of the bearings in each cell.
        log_weights: Log-weights (K,) of the bearings.

    Returns:
        The new log-probabilities of cells and of bearings.
    """
    if np.ptp(log_weights) == 0.0:
        return log_probs, headings
    cells, bearings = np.empty(len(log_probs)), np.empty_like(headings)
    for start in range(0, len(cells), _BLOCK):
        part = slice(start, start + _BLOCK)
        joint = headings[part] + log_weights
        cells[part] = log_sum(joint)
        bearings[part] = joint - cells[part, None]
    return log_normalized(log_probs + cells), bearings


def apply_heading(posterior: Posterior, prior: HeadingPrior) -> Posterior:
    """Multiply a posterior by what is known of the heading.

    Raises:
        ConfigError: If the posterior has no headings.
    """
    if posterior.headings is None:
        raise ConfigError("heading", "this model does not say which way a photo faces, so a heading cannot be used",
                          "Leave the heading out, or use a model with a ray matcher, such as the preset best.")
    weights = prior.log_weights(posterior.headings.shape[1])
    return Posterior(posterior.grid, *weigh_headings(posterior.log_probs, posterior.headings, weights))
