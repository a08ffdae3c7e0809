"""Which way a photo faces: a distribution over bearings, its circular mean and its circular spread."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.posterior.lattices import Floats

UNKNOWN_DEG = 180.0
"""Largest spread that is reported: with this, nothing is known of the heading."""


class Heading(NamedTuple):
    """The heading of a photo: degrees clockwise from true north.

    Attributes:
        deg: Circular mean, at least 0 and below 360.
        sigma_deg: Circular spread: sqrt(-2 ln R) in degrees, where R is the length of the mean of the unit vectors. For a
            narrow distribution it equals the standard deviation. At most `UNKNOWN_DEG`.
        probs: Probabilities (K,) of the bearings; bin k is centred on 360 k / K degrees.
    """

    deg: float
    sigma_deg: float
    probs: tuple[float, ...]


def heading_of(masses: npt.ArrayLike) -> Heading:
    """Return the heading of a photo from masses (K,) of its bearings, with the mass spread evenly within each bin.

    The width of a bin adds to the spread: with all mass in one of 16 bins it is 6.5 degrees.

    Args:
        masses: At least 0, with a positive sum.

    Source: K. V. Mardia and P. E. Jupp, Directional statistics (2000), section 2.3.
    """
    values = np.asarray(masses, np.float64)
    probs = values / values.sum()
    count = len(probs)
    mean = complex((probs * np.exp(2j * math.pi * np.arange(count) / count)).sum()) * float(np.sinc(1 / count))
    length = min(abs(mean), 1.0)
    spread = math.degrees(math.sqrt(-2 * math.log(length))) if length > 0 else UNKNOWN_DEG
    towards = math.degrees(math.atan2(mean.imag, mean.real)) % 360.0
    return Heading(towards % 360.0, min(spread, UNKNOWN_DEG), tuple(probs.tolist()))


def turned_deg(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Return the angles in degrees between bearings, from 0 to 180; NaN where one is NaN."""
    return np.abs((np.subtract(first, second) + 180.0) % 360.0 - 180.0)
