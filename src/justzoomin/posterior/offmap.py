"""Detecting photos that are not on the map: scores, thresholds, and their quality."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.posterior.lattices import Floats

MEASURES = ("entropy", "top")
"""Negative entropy, and the log-probability of the most probable cell: larger if a photo looks like photos of this map."""


def on_map_score(log_probs: npt.NDArray[np.floating], measure: str = "entropy") -> Floats:
    """Return scores (B,) of posteriors (B, N); they are larger for photos that look like photos of this map.

    Raises:
        DataError: If the measure is unknown.
    """
    values = log_probs.astype(np.float64)
    if measure == "top":
        return np.asarray(values.max(1))
    if measure == "entropy":
        return np.asarray((np.exp(values) * np.where(np.isfinite(values), values, 0.0)).sum(1))
    raise DataError("off_map", f"unknown measure {measure!r}", f"Choose one of {', '.join(MEASURES)}.")


def threshold(scores: Floats, keep: float = 0.95) -> float:
    """Return the score that a share `keep` of the map's photos reaches.

    Raises:
        DataError: If there are no scores.
    """
    if not len(scores):
        raise DataError("off_map", "there are no photos to choose a threshold from", "Give photos of the map.")
    return float(np.quantile(scores, 1.0 - keep))


def auroc(on: Floats, off: Floats) -> float:
    """Return the probability that a photo of the map scores above a photo of another place; ties count half.

    Source: the Mann-Whitney statistic divided by its maximum. scipy.stats has the same value but takes a second to import.

    Raises:
        DataError: If one of the two is empty.
    """
    if not len(on) or not len(off):
        raise DataError("auroc", "photos of one kind are missing", "Give scores of both kinds.")
    ordered = np.sort(off)
    below, reached = np.searchsorted(ordered, on, "left"), np.searchsorted(ordered, on, "right")
    return float((below + reached).mean() / 2 / len(off))


def risk_coverage(scores: Floats, wrong: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the share of photos answered (B,), the most certain first, and the share of wrong ones among them (B,)."""
    order = np.argsort(-scores, kind="stable")
    count = np.arange(1, len(scores) + 1)
    return count / len(scores), np.cumsum(wrong[order]) / count
