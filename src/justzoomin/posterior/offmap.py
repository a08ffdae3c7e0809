"""Is a photo on the map at all? Scores, thresholds, and how well they tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.posterior.lattices import Floats

MEASURES = ("entropy", "top")
"""Negative entropy, and the log-probability of the most probable cell: the larger, the more a photo looks like one of here."""


def on_map_score(log_probs: npt.NDArray[np.floating], measure: str = "entropy") -> Floats:
    """Scores (B,) of posteriors (B, N); larger for photos that look like photos of this map.

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
    """The score that a share of photos of the map reaches.

    Raises:
        DataError: If there is no score.
    """
    if not len(scores):
        raise DataError("off_map", "no photo was given to choose a threshold from", "Give photos of the map.")
    return float(np.quantile(scores, 1.0 - keep))


def auroc(on: Floats, off: Floats) -> float:
    """Chance that a photo of the map scores above one that is not; ties count half.

    Source: the Mann-Whitney statistic over its greatest value. scipy.stats has the same value and takes a second to import.

    Raises:
        DataError: If one of the two is empty.
    """
    if not len(on) or not len(off):
        raise DataError("auroc", "photos of one kind are missing", "Give scores of both kinds.")
    ordered = np.sort(off)
    below, reached = np.searchsorted(ordered, on, "left"), np.searchsorted(ordered, on, "right")
    return float((below + reached).mean() / 2 / len(off))


def risk_coverage(scores: Floats, wrong: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Share of photos answered (B,), the surest first, and the share of wrong ones among them (B,)."""
    order = np.argsort(-scores, kind="stable")
    count = np.arange(1, len(scores) + 1)
    return count / len(scores), np.cumsum(wrong[order]) / count
