"""The two rows that need neither a model nor training photos: chance and the ceiling that the cells' size sets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid, haversine_m
from justzoomin.scoring.resampling import Floats
from justzoomin.scoring.rows import Row

MOST_DISTANCES = 1 << 23
"""Distances of chance that are worked out; beyond it cells are drawn, the same number of them for every photo."""
_FEWEST_CELLS = 256


def cell_errors_m(grid: ZoomGrid, cells: npt.NDArray[np.int64], positions: Floats) -> Floats:
    """Great-circle distances (N,) in metres between the centres of terminal cells (N,) and positions (N, 2)."""
    lat, lon = grid.centres(grid.unflatten(cells, grid.depth))
    return haversine_m(lat, lon, positions[:, 0], positions[:, 1])


def chance(grid: ZoomGrid, positions: Floats, seed: int = 0) -> Row:
    """A terminal cell at random, uniformly over all of them: exact, or over cells drawn for each photo where they are many."""
    cells, photos = grid.actions**grid.depth, len(positions)
    rng = np.random.default_rng(seed)
    taken = min(cells, max(_FEWEST_CELLS, MOST_DISTANCES // max(photos, 1)))
    whole = taken == cells
    every = grid.centres(grid.unflatten(np.arange(cells), grid.depth)) if whole else None
    errors = np.empty((photos, taken))
    for photo, (lat, lon) in enumerate(positions):
        places = every or grid.centres(grid.unflatten(rng.integers(0, cells, taken), grid.depth))
        errors[photo] = haversine_m(*places, lat, lon)
    ranks = (np.arange(cells) if whole else np.linspace(0, cells - 1, taken))[None].astype(np.float64)
    return Row("chance", errors, np.full(photos, 1.0 / cells), ranks, grid.cell_size_m(grid.depth))


def ceiling(grid: ZoomGrid, true: npt.NDArray[np.int64], positions: Floats) -> Row:
    """The best that answers from the centres of cells can do: always the true terminal cell (N,)."""
    errors = cell_errors_m(grid, true, positions)
    return Row("ceiling", errors[:, None], np.ones(len(true)), np.zeros((len(true), 1)), grid.cell_size_m(grid.depth))
