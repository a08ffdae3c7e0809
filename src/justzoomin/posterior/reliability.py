"""Whether claims hold: what a posterior said about each photo's true cell, and how often it was right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.lattices import Floats, lattice
from justzoomin.posterior.posterior import CREDIBLE_LEVELS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BINS = 15
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Claims:
    """What posteriors of B photos claim, and what is true.

    Attributes:
        log_prob: Log-probability (B,) of the true cell.
        above: Mass (B,) of all cells that are more probable than the true one: it lies in the smallest region that holds a
            mass exactly where this is less.
        top: Probability (B,) of the most probable cell.
        top_right: Whether (B,) it is the true one.
        near: Mass (B,) within the radius of the most probable cell's centre.
        near_right: Whether (B,) the true cell's centre lies there.
        entropy: Entropy (B,) in nats.
    """

    log_prob: Floats
    above: Floats
    top: Floats
    top_right: Bools
    near: Floats
    near_right: Bools
    entropy: Floats

    @classmethod
    def of(cls, grid: ZoomGrid, log_probs: npt.NDArray[np.floating], true: Ints, radius_m: float = 40.0) -> Claims:
        """Claims of log-probabilities (B, N), with the numbers (B,) of the true cells."""
        cells, rows = lattice(grid), np.arange(len(true))
        p = np.exp(log_probs.astype(np.float64))
        own = p[rows, true]
        best = p.argmax(1)
        off = np.stack([cells.east_m, cells.north_m])
        near = np.array([p[k] @ (np.hypot(*(off - off[:, [b]])) <= radius_m) for k, b in enumerate(best.tolist())])
        return cls(log_probs[rows, true].astype(np.float64), (p * (p > own[:, None])).sum(1), p[rows, best], best == true,
                   np.minimum(near, 1.0), np.hypot(*(off[:, best] - off[:, true])) <= radius_m,
                   -(p * np.where(p > 0, log_probs, 0.0)).sum(1))

    @classmethod
    def joined(cls, parts: list[Claims]) -> Claims:
        """The claims of several batches together."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


@dataclass(frozen=True)
class Curve:
    """Claimed confidence against what happened, in bins of one width; empty bins are left out.

    Attributes:
        claimed: Mean confidence (b,).
        happened: Share (b,) of right claims.
        photos: Number (b,) of photos.
        error: Expected calibration error: mean distance of the two over all photos.

    Source: C. Guo et al., On calibration of modern neural networks, ICML 2017.
    """

    claimed: Floats
    happened: Floats
    photos: Ints
    error: float


def curve(confidence: Floats, right: Bools) -> Curve:
    """The reliability curve of confidences (B,) in 0 .. 1 of claims that were right or not (B,)."""
    which = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    photos = np.bincount(which, minlength=BINS)
    there = photos > 0
    claimed = np.bincount(which, confidence, BINS)[there] / photos[there]
    happened = np.bincount(which, right, BINS)[there] / photos[there]
    return Curve(claimed, happened, photos[there], float((np.abs(claimed - happened) * photos[there]).sum() / len(right)))


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of a count; scipy.stats has the same and takes a second to import.

    Source: E. B. Wilson, JASA 22 (1927).
    """
    centre = (share + _Z95**2 / (2 * count)) / (1 + _Z95**2 / count)
    half = _Z95 * math.sqrt(share * (1 - share) / count + _Z95**2 / (4 * count**2)) / (1 + _Z95**2 / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def figures(claims: Claims) -> dict[str, Any]:
    """Negative log-likelihood in nats, expected calibration errors, and the coverage of regions with 95 % intervals."""
    count = len(claims.top)
    coverage = {}
    for level in CREDIBLE_LEVELS:
        share = float((claims.above < level).mean())
        coverage[f"{100 * level:g}"] = [share, *wilson(share, count)]
    return {"photos": count, "nll": float(-claims.log_prob.mean()), "ece_top_cell": curve(claims.top, claims.top_right).error,
            "ece_within_40m": curve(claims.near, claims.near_right).error, "coverage": coverage}
