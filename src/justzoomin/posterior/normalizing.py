"""Normalizing scores to log-probabilities, for all rooms.

`scipy.special` has the same functions, but rounds the last bits differently and takes longer to import than this entire room.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def log_sum(values: Floats) -> Floats:
    """Return the logarithm (...,) of the sum of exp(values) over the last axis (..., N); -inf where all are -inf."""
    top = finite(values.max(-1))
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(np.exp(values - top[..., None]).sum(-1)))


def log_normalized(scores: Floats) -> Floats:
    """Return normalized log-probabilities (..., N) from scores that equal them up to a constant.

    Args:
        scores: Scores (..., N) without NaN, at least one of each line finite; -inf rules a cell out.
    """
    return np.asarray(scores - log_sum(scores)[..., None])


def finite(values: Floats) -> Floats:
    """Return the values, with 0 for those that are not finite."""
    return np.where(np.isfinite(values), values, 0.0)
