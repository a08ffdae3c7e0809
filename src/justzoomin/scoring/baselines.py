"""The two rows that need neither a model nor training photos: chance, and the ceiling set by the size of the cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid
from justzoomin.scoring.distances import Distance, on_sphere
from justzoomin.scoring.resampling import Floats
from justzoomin.scoring.rows import Row

MOST_DISTANCES = 1 << 23
"""Most distances that chance computes; above it, the same number of random cells is drawn for every photo."""
_FEWEST_CELLS = 256


def cell_errors_m(grid: ZoomGrid, cells: npt.NDArray[np.int64], positions: Floats, distance: Distance = on_sphere) -> Floats:
    """Return distances (N,) in metres between the centres of terminal cells (N,) and positions (N, 2)."""
    return distance(np.stack(grid.centres(grid.unflatten(cells, grid.depth)), 1), positions)


def chance(grid: ZoomGrid, positions: Floats, distance: Distance = on_sphere, seed: int = 0,
           gallery: npt.NDArray[np.int64] | None = None) -> Row:
    """Return the row of a random terminal cell, drawn uniformly from all cells or those of a gallery (G,).

    It is exact, unless photos times cells exceed `MOST_DISTANCES`: then cells are drawn for each photo.
    """
    cells = grid.actions**grid.depth if gallery is None else len(gallery)
    taken = min(cells, max(_FEWEST_CELLS, MOST_DISTANCES // max(len(positions), 1)))
    rng = np.random.default_rng(seed)

    def places(picked: npt.NDArray[np.int64]) -> Floats:
        numbers = picked if gallery is None else gallery[picked]
        return np.stack(grid.centres(grid.unflatten(numbers, grid.depth)), 1)

    every = places(np.arange(cells)) if taken == cells else None
    errors = np.empty((len(positions), taken))
    for photo, position in enumerate(positions):
        answers = places(rng.integers(0, cells, taken)) if every is None else every
        errors[photo] = distance(answers, np.broadcast_to(position, answers.shape))
    ranks = np.linspace(0, cells - 1, taken)[None]
    return Row("chance", errors, np.full(len(positions), 1.0 / cells), ranks, grid.cell_size_m(grid.depth))


def ceiling(grid: ZoomGrid, true: npt.NDArray[np.int64], positions: Floats, distance: Distance = on_sphere) -> Row:
    """Return the best possible row of answers at cell centres: always the true terminal cell (N,)."""
    errors = cell_errors_m(grid, true, positions, distance)
    return Row("ceiling", errors[:, None], np.ones(len(true)), np.zeros((len(true), 1)), grid.cell_size_m(grid.depth))
