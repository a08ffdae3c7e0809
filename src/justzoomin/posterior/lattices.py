"""The terminal cells of a grid as a picture: rows and columns of cell numbers, and positions in metres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid

MAX_TERMINAL_CELLS = 1 << 22
"""A posterior over more cells is refused: it would not fit into memory together with a batch of photos."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True)
class Lattice:
    """The N terminal cells of a grid, in the order of `ZoomGrid.flatten`.

    Attributes:
        grid: The grid.
        side: Number of cells along one side: grid ** depth; N is its square.
        cell_m: Edge of a cell in metres.
        row: Row (N,) of each cell, 0 in the north.
        col: Column (N,) of each cell, 0 in the west.
        lat: Latitude (N,) of each centre in degrees, from `ZoomGrid.centres`.
        lon: Longitude (N,) of each centre in degrees.
        east_m: Metres (N,) of each centre east of the region's centre, on the regular lattice. The cells' own charts differ
            from it by up to `ZoomGrid.sliver_m`.
        north_m: Metres (N,) of each centre north of the region's centre.
    """

    grid: ZoomGrid
    side: int
    cell_m: float
    row: Ints
    col: Ints
    lat: Floats
    lon: Floats
    east_m: Floats
    north_m: Floats

    def __len__(self) -> int:
        return len(self.row)

    def at(self, east_m: Floats, north_m: Floats) -> Ints:
        """Return numbers (...) of the cells that hold points (...) of the plane; of the nearest cells for points outside."""
        half = self.grid.region.size_m / 2
        row, col = (np.clip(np.floor(v / self.cell_m), 0, self.side - 1).astype(np.int64)
                    for v in (half - north_m, half + east_m))
        return np.asarray(self._numbers[row, col])

    @cached_property
    def _numbers(self) -> Ints:
        """Numbers (side, side) of the cells in the picture."""
        return self.to_image(np.arange(len(self.row)))

    def to_image(self, values: npt.NDArray[Value]) -> npt.NDArray[Value]:
        """Arrange values (..., N) of the cells as pictures (..., side, side): north up, west on the left."""
        image = np.empty((*values.shape[:-1], self.side, self.side), values.dtype)
        image[..., self.row, self.col] = values
        return image

    def from_image(self, image: npt.NDArray[Value]) -> npt.NDArray[Value]:
        """Return values (..., N) of the cells from pictures (..., side, side): the inverse of `to_image`."""
        return image[..., self.row, self.col]


@lru_cache(maxsize=8)
def lattice(grid: ZoomGrid) -> Lattice:
    """Return the lattice of a grid's terminal cells.

    Raises:
        GeometryError: If the grid has more than `MAX_TERMINAL_CELLS` terminal cells.
    """
    count = grid.actions**grid.depth
    if count > MAX_TERMINAL_CELLS:
        raise GeometryError("depth", f"{count:,} terminal cells are too many for a posterior over all of them",
                            f"Use a grid with at most {MAX_TERMINAL_CELLS:,}, or a search along paths: greedy or beam.")
    sequences = grid.unflatten(np.arange(count), grid.depth)
    row, col = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for level in range(grid.depth):
        r, c = np.divmod(sequences[:, level], grid.grid)
        row, col = row * grid.grid + r, col * grid.grid + c
    lat, lon = grid.centres(sequences)
    size, half = grid.cell_size_m(grid.depth), grid.region.size_m / 2
    return Lattice(grid, grid.grid**grid.depth, size, row, col, lat, lon, (col + 0.5) * size - half, half - (row + 0.5) * size)
