"""Whether a method holds what it claims: coverage of its regions, and its confidence against what happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.scoring.ranking import Ranking
from justzoomin.scoring.resampling import Figure, Floats, Resampling
from justzoomin.scoring.rows import share_figure
from justzoomin.scoring.table import PredictionTable

LEVELS = (0.5, 0.9, 0.95)
BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Claimed confidence against what happened, in bins of one width.

    Attributes:
        claimed: Mean confidence (b,) of the photos of each bin that has any.
        happened: Share (b,) of them for which the claim was right.
        photos: Number (b,) of them.
        error: Expected calibration error: mean distance of the two over all photos.
    """

    claimed: Floats
    happened: Floats
    photos: npt.NDArray[np.int64]
    error: float


def reliability(confidence: Floats, right: npt.NDArray[np.bool_]) -> Reliability:
    """Confidence (N,) in 0 .. 1 against whether each claim was right (N,).

    Source: C. Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    which = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    photos = np.bincount(which, minlength=BINS)
    there = photos > 0
    claimed = np.bincount(which, confidence, BINS)[there] / photos[there]
    happened = np.bincount(which, right, BINS)[there] / photos[there]
    error = float((np.abs(claimed - happened) * photos[there]).sum() / len(confidence))
    return Reliability(claimed, happened, photos[there], error)


def covered(ranking: Ranking, level: float) -> npt.NDArray[np.bool_] | None:
    """Whether (N,) the smallest set of cells that holds `level` of the mass holds the true cell; None where that is not known.

    The set takes cells in the order of their probability until they hold the level; so the true cell is in it exactly if the
    cells before it hold less.
    """
    listed = ranking.probs.sum(1, dtype=np.float64)
    at_least = np.where(np.isnan(ranking.mass_before), listed, ranking.mass_before)
    if (np.isnan(ranking.mass_before) & (listed < level)).any():
        return None
    return np.asarray(at_least < level)


def region_cells(ranking: Ranking, level: float) -> Floats:
    """Number (N,) of cells in that set; infinite where the listed cells do not reach the level."""
    held = np.cumsum(ranking.probs, 1, dtype=np.float64)
    reached = held >= level
    return np.where(reached.any(1), reached.argmax(1) + 1.0, np.inf)


def claims(table: PredictionTable) -> npt.NDArray[np.bool_] | None:
    """Whether (N,) what the stored confidence claims came true; None where nothing is claimed of every photo."""
    kind = table.info.confidence
    if kind is None or np.isnan(table.confidence).any():
        return None
    if kind == "cell":
        return np.asarray(table.answer_cells == table.true_cells)
    return np.asarray(table.errors_m <= float(kind.removeprefix("within:")))


def calibration_of(table: PredictionTable, ranking: Ranking, resampling: Resampling) -> dict[str, Any]:
    """Coverage and size of regions, likelihood of the true cell, expected calibration error of the stored confidence.

    Args:
        table: Predictions in the order of `resampling`.
        ranking: Its ranking in the gallery that counts.
        resampling: The draws.
    """
    area = table.grid.cell_size_m(table.grid.depth)**2
    regions = {}
    for level in LEVELS:
        hits = covered(ranking, level)
        cells = float(np.median(region_cells(ranking, level)))
        figure: Figure | None = None if hits is None else share_figure(hits, resampling)
        regions[f"{100 * level:g}"] = {"coverage": None if figure is None else asdict(figure),
                                       "median_m2": cells * area if np.isfinite(cells) else None}
    known = np.isfinite(ranking.true_log_prob)
    right = claims(table)
    curve = None if right is None else reliability(table.confidence, right)
    return {
        "regions": regions,
        "true_log_prob": float(ranking.true_log_prob.mean()) if known.all() else None,
        "ruled_out": int((ranking.true_log_prob == -np.inf).sum()),
        "confidence": None if curve is None else {
            "claims": table.info.confidence, "ece": 100 * curve.error, "claimed": curve.claimed.tolist(),
            "happened": curve.happened.tolist(), "photos": curve.photos.tolist()},
    }
