"""Numbers of cells: the root is 0, then level by level.

The children of n are A n + 1 ... A n + A, A being the number of actions.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from justzoomin.geometry.grid import ZoomGrid

Ints = npt.NDArray[np.int64]


def view_count(grid: ZoomGrid) -> int:
    """Cells that a search looks at, from the root to the parents of terminal cells: 1 + A + ... + A ** (depth - 1)."""
    return int((grid.actions**grid.depth - 1) // (grid.actions - 1))


def view_number(grid: ZoomGrid, sequence: Iterable[int]) -> int:
    """Number of the cell that a sequence leads to."""
    number = 0
    for action in sequence:
        number = number * grid.actions + 1 + int(action)
    return number


def view_numbers(grid: ZoomGrid, sequences: npt.ArrayLike) -> Ints:
    """Numbers (N, T) of the cells along sequences (N, T), root first, the cell at their end not among them."""
    paths = np.asarray(sequences, np.int64)
    numbers = np.zeros(paths.shape, np.int64)
    for level in range(1, paths.shape[1]):
        numbers[:, level] = numbers[:, level - 1] * grid.actions + 1 + paths[:, level - 1]
    return numbers


def view_sequence(grid: ZoomGrid, number: int) -> tuple[int, ...]:
    """Sequence that leads to the cell of a number."""
    actions = []
    while number > 0:
        number, action = divmod(number - 1, grid.actions)
        actions.append(action)
    return tuple(reversed(actions))
