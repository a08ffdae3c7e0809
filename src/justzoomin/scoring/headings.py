"""Scores of headings: the error, and recalls that need both the place and the heading to be right."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from justzoomin.scoring.protocol import Protocol, row_of
from justzoomin.scoring.resampling import Resampling, interval
from justzoomin.scoring.rows import share_figure
from justzoomin.scoring.table import PredictionTable

POSES = ((10.0, 10.0), (40.0, 20.0))
"""Metres and degrees of the recalls of poses."""


def headings_of(table: PredictionTable, protocol: Protocol) -> dict[str, Any] | None:
    """Return the scores of a table's headings over the photos whose own heading is known; None without headings.

    A photo whose answer has no heading counts as a miss of every recall, and not in the median error.

    Args:
        table: The predictions.
        protocol: Distance and draws.
    """
    turned, true = table.turned_deg, table.true_headings
    if turned is None or true is None:
        return None
    known = np.flatnonzero(np.isfinite(true))
    table, turned = table.take(known), turned[known]
    draws, _ = protocol.resampling(table)
    errors, answered = row_of(table, protocol).errors_m[:, 0], np.flatnonzero(np.isfinite(turned))
    median = None
    if len(answered):
        groups = np.unique(draws.groups[answered], return_inverse=True)[1].reshape(-1)
        some = Resampling(groups.astype(np.int64), protocol.seed)
        median = asdict(interval(float(np.median(turned[answered])), some.medians(turned[answered])))
    with np.errstate(invalid="ignore"):
        recalls = {pose_name(metres, degrees): asdict(share_figure((errors <= metres) & (turned <= degrees), draws))
                   for metres, degrees in POSES}
    return {"n": len(known), "answered": len(answered), "median_deg": median, "recall_at_pose": recalls}


def pose_name(metres: float, degrees: float) -> str:
    """Return the name of a recall of poses: `10m_10deg`."""
    return f"{metres:g}m_{degrees:g}deg"
