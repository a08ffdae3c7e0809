"""The even lattice of places on which a matcher describes a region and tries poses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from justzoomin.geometry import ZoomGrid

if TYPE_CHECKING:
    from justzoomin.models import RayMatcher

FACTOR = 4
"""Number of places along one side that make one place of the next coarser level."""
_TILE = 32
_LARGEST_TILE = 72
_FREE = 6.0


@dataclass(frozen=True)
class PlaceLattice:
    """Places of a region: squares of about the size that the matcher was trained with, fitted to the borders of cells.

    Attributes:
        place_m: Edge of a place in metres.
        side: Number of places along one side of the region.
        per_cell: Number of places along one side of a terminal cell; 1 if a place holds several cells.
        cells_per_place: Number of terminal cells along one side of a place; 1 if a cell holds several places.
        tile: Number of places along one side of a tile, the piece of region that a search looks at as one: a multiple of
            `FACTOR`. A cell lies in one tile, or is made of complete tiles.
        window: Number of places along one side of a piece of map that is described as one picture.
        margin: Number of places of the margin around such a piece.
        pixels: Edge in pixels of that picture.
    """

    place_m: float
    side: int
    per_cell: int
    cells_per_place: int
    tile: int
    window: int
    margin: int
    pixels: int

    @classmethod
    def of(cls, grid: ZoomGrid, matcher: RayMatcher) -> PlaceLattice:
        """Return the lattice of a grid's region for a matcher."""
        config = matcher.config
        cells = grid.grid**grid.depth
        ratio = grid.region.size_m / cells / matcher.place_m
        per_cell, cells_per_place = 1, 1
        if ratio < 1:
            divisors = [d for d in range(1, cells + 1) if cells % d == 0]
            cells_per_place = min(divisors, key=lambda d: abs(math.log(d * ratio)))
        else:
            step = 1 if ratio < _FREE else FACTOR if ratio <= _LARGEST_TILE else FACTOR**2
            per_cell = step * round(ratio / step)
        side = cells * per_cell // cells_per_place
        stride = round(matcher.place_m / config.metres_per_pixel)
        window, margin = (FACTOR * math.ceil(v / matcher.place_m / FACTOR - 1e-9) for v in (config.window_m, config.margin_m))
        return cls(grid.region.size_m / side, side, per_cell, cells_per_place, _tile(per_cell), window, margin,
                   (window + 2 * margin) * stride)

    @property
    def windows(self) -> int:
        """Number of described pieces along one side of the region; the last may reach beyond it."""
        return math.ceil(self.side / self.window)

    @property
    def tiles(self) -> int:
        """Number of tiles along one side of the region; the last may reach beyond it."""
        return math.ceil(self.side / self.tile)


def _tile(per_cell: int) -> int:
    """Return a multiple of `FACTOR` near `_TILE` that is a multiple of a cell's places or divides them."""
    whole = math.lcm(per_cell, FACTOR)
    fits = [whole * k for k in range(1, max(1, _LARGEST_TILE // whole) + 1)]
    fits += [d for d in range(FACTOR, per_cell, FACTOR) if per_cell % d == 0]
    return min(fits, key=lambda size: abs(math.log(size / _TILE)))
