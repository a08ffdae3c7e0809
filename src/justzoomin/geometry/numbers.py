"""Numbers of cells: the root is 0, then level by level.

The children of n are A n + 1 ... A n + A, where A is the number of actions.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry.grid import ZoomGrid

Ints = npt.NDArray[np.int64]

MAX_VIEWS = 1_000_000
"""Most views drawn into a map index or view cache without `--max-views`: a 4 x 4 grid has 69,905 at depth 5."""
MAX_KEPT_VIEWS = 1 << 24
"""Most views that a map index or a view cache can hold."""


def allow_views(count: int, most: int, cost: str) -> None:
    """Refuse more views than are allowed, before any of them is drawn.

    Args:
        count: Number of views.
        most: Allowed number.
        cost: Their cost for the error, such as `of 48 px, 7,748.8 MB on the disk`.

    Raises:
        GeometryError: If there are too many.
    """
    if count > min(most, MAX_KEPT_VIEWS):
        remedy = f", or allow them with --max-views {count}" if count <= MAX_KEPT_VIEWS else ""
        raise GeometryError("region", f"its grid has {count:,} views {cost}; at most {min(most, MAX_KEPT_VIEWS):,} are allowed",
                            f"Use a region with fewer levels{remedy}.")


def view_count(grid: ZoomGrid) -> int:
    """Return how many cells a search views, from the root to the parents of terminal cells: 1 + A + ... + A ** (depth - 1)."""
    return int((grid.actions**grid.depth - 1) // (grid.actions - 1))


def view_number(grid: ZoomGrid, sequence: Iterable[int]) -> int:
    """Return the number of the cell that a sequence leads to."""
    number = 0
    for action in sequence:
        number = number * grid.actions + 1 + int(action)
    return number


def view_numbers(grid: ZoomGrid, sequences: npt.ArrayLike) -> Ints:
    """Return the numbers (N, T) of the cells along sequences (N, T), root first, without the last cell."""
    paths = np.asarray(sequences, np.int64)
    numbers = np.zeros(paths.shape, np.int64)
    for level in range(1, paths.shape[1]):
        numbers[:, level] = numbers[:, level - 1] * grid.actions + 1 + paths[:, level - 1]
    return numbers


def view_sequence(grid: ZoomGrid, number: int) -> tuple[int, ...]:
    """Return the sequence that leads to the cell with a number."""
    actions = []
    while number > 0:
        number, action = divmod(number - 1, grid.actions)
        actions.append(action)
    return tuple(reversed(actions))
