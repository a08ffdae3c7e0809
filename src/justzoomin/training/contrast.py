"""The contrastive loss of the retrieval families, and the choice of the cells that a batch is compared with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.posterior import Lattice

Ints = npt.NDArray[np.int64]

NEAR_CELLS = 3
"""Largest distance of a nearby negative from the photo's cell, in rows and in columns."""


class References(NamedTuple):
    """Distinct terminal cells that the photos of a batch are compared with.

    Attributes:
        maps: Number (R,) of each cell's map.
        cells: Number (R,) of each cell among the terminal cells of its map.
        target: Index (B,) of each photo's own cell among them.
    """

    maps: Ints
    cells: Ints
    target: Ints


def choose_references(maps: Ints, cells: Ints, lattice: Lattice, negatives: int, seed: int) -> References:
    """Return the true cells of a batch and additional negatives: half of them near a photo's cell, half anywhere on its map.

    Photos show only the cells of streets, but the gallery holds roofs and fields too. The model learns about them from the
    negatives.

    Args:
        maps: Number (B,) of each photo's map.
        cells: Terminal cell (B,) of each photo.
        lattice: The cells of one map; all maps have grids of the same size.
        negatives: Number of cells to draw; repeated cells and true cells of the batch are left out.
        seed: Seed of the draws.
    """
    count, rng = len(lattice), np.random.default_rng(seed)
    true, target = np.unique(maps * count + cells, return_inverse=True)
    which, near = rng.integers(0, len(maps), negatives), np.arange(negatives) % 2 == 0
    steps = rng.integers(-NEAR_CELLS, NEAR_CELLS + 1, (2, negatives))
    row, col = (np.clip(axis[cells[which]] + step, 0, lattice.side - 1)
                for axis, step in ((lattice.row, steps[0]), (lattice.col, steps[1])))
    numbers = lattice.to_image(np.arange(count, dtype=np.float64)).astype(np.int64)
    drawn = np.where(near, numbers[row, col], rng.integers(0, count, negatives))
    other = np.setdiff1d(maps[which] * count + drawn, true)
    keys = np.concatenate([true, other])
    return References(keys // count, keys % count, target.reshape(-1))


def info_nce(logits: torch.Tensor, target: torch.Tensor, allowed: torch.Tensor, real: torch.Tensor,
             smoothing: float) -> torch.Tensor:
    """Return the symmetric InfoNCE (B,) with label smoothing: the mean loss of finding a photo's view and a view's photo.

    Two photos of one view are not each other's negatives, so a photo's view is not compared with its other photos. Photos that
    only fill up a batch and pairs that are not allowed are left out too.

    Args:
        logits: Scaled similarities (B, R) of photos and views.
        target: Index (B,) of each photo's view.
        allowed: Pairs (B, R) that may be compared; a photo's own view is always allowed.
        real: Photos (B,) that count as negatives.
        smoothing: Share of the target that is spread evenly over all compared pairs.
    """
    rows = torch.arange(len(logits), device=logits.device)
    views = allowed.clone()
    views[rows, target] = True
    own = logits[:, target].T                                                  # (B, B): photo i's view with photo k
    photos = allowed[:, target].T & (target.unsqueeze(1) != target) & real     # (B, B): may k be a negative of i's view
    photos[rows, rows] = True
    return 0.5 * (_smoothed(logits, target, views, smoothing) + _smoothed(own, rows, photos, smoothing))


def _smoothed(logits: torch.Tensor, target: torch.Tensor, among: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Return the cross-entropy (B,) of the target among some of the columns, smoothed over these columns."""
    costs = -logits.masked_fill(~among, -torch.inf).log_softmax(1)
    own = costs.gather(1, target.unsqueeze(1)).squeeze(1)
    spread = costs.masked_fill(~among, 0.0).sum(1) / among.sum(1)
    return (1.0 - smoothing) * own + smoothing * spread
