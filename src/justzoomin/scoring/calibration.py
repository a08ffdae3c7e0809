"""Whether a method's claims are true: coverage of its regions, and its confidence compared with the outcome."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.posterior import CREDIBLE_LEVELS, curve
from justzoomin.scoring.ranking import Ranking
from justzoomin.scoring.resampling import Figure, Floats, Resampling
from justzoomin.scoring.rows import share_figure
from justzoomin.scoring.table import PredictionTable


def covered(ranking: Ranking, mass: float) -> npt.NDArray[np.bool_] | None:
    """Return whether (N,) the smallest set of cells with a given mass holds the true cell; None if it is unknown.

    Cells are added to the set in the order of their probability until they hold the mass. So the true cell is in the set
    exactly if the cells before it hold less.
    """
    listed = ranking.probs.sum(1, dtype=np.float64)
    at_least = np.where(np.isnan(ranking.mass_before), listed, ranking.mass_before)
    if (np.isnan(ranking.mass_before) & (listed < mass)).any():
        return None
    return np.asarray(at_least < mass)


def region_cells(ranking: Ranking, mass: float) -> Floats:
    """Return the number (N,) of cells in that set; infinite if the listed cells do not reach the mass."""
    held = np.cumsum(ranking.probs, 1, dtype=np.float64)
    below = (held < mass).sum(1)
    return np.where(below < held.shape[1], below + 1.0, np.inf)


def claims(table: PredictionTable) -> npt.NDArray[np.bool_] | None:
    """Return whether (N,) the claim of the stored confidence is true; None if a photo has no claim."""
    kind = table.info.confidence
    if kind is None or np.isnan(table.confidence).any():
        return None
    if kind == "cell":
        return np.asarray(table.answer_cells == table.true_cells)
    return np.asarray(table.errors_m <= float(kind.removeprefix("within:")))


def calibration_of(table: PredictionTable, ranking: Ranking, resampling: Resampling) -> dict[str, Any]:
    """Return coverage and size of regions, likelihood of the true cell, and calibration error of the stored confidence.

    The confidence was stored for the gallery of all cells, and is ignored in any other gallery.

    Args:
        table: Predictions in the order of `resampling`.
        ranking: Its ranking in the gallery that is scored.
        resampling: The draws.
    """
    area = table.grid.cell_size_m(table.grid.depth)**2
    regions = {}
    for level in CREDIBLE_LEVELS:
        hits, cells = covered(ranking, level), float(np.median(region_cells(ranking, level)))
        figure: Figure | None = None if hits is None else share_figure(hits, resampling)
        regions[f"{100 * level:g}"] = {"coverage": None if figure is None else asdict(figure),
                                       "median_m2": cells * area if np.isfinite(cells) else None}
    known = np.isfinite(ranking.true_log_prob)
    right = claims(table) if ranking is table.ranking else None
    shape = None if right is None else curve(table.confidence, right)
    return {
        "regions": regions,
        "true_log_prob": float(ranking.true_log_prob.mean()) if known.all() else None,
        "ruled_out": int((ranking.true_log_prob == -np.inf).sum()),
        "confidence": None if shape is None else {
            "claims": table.info.confidence, "ece": 100 * shape.error, "claimed": shape.claimed.tolist(),
            "happened": shape.happened.tolist(), "photos": shape.photos.tolist()},
    }
