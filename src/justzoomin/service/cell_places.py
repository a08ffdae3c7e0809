"""Where the pixels of web tiles are in a grid: rows and columns of cells, from the geometry of the region.

Rows and columns are those of the region's chart, as in `posterior.Lattice`. The charts of the cells differ from it by up to
`ZoomGrid.sliver_m`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid, from_local, to_local
from justzoomin.maps import check_tile, metres_per_pixel, over_tile, world_of

Floats = npt.NDArray[np.float64]
_EDGE = 17
"""Points of each edge of a region whose places make its rectangle."""


def cell_places(grid: ZoomGrid, level: int, z: int, x: int, y: int, pixels: int) -> tuple[Floats, Floats] | None:
    """Return rows and columns (pixels, pixels) of the pixels' middles, in cells of a level from the north-west corner.

    Whole numbers are borders of cells; the region has 0 to grid ** level of them.

    Returns:
        None if the whole tile is outside of the region.

    Raises:
        GeometryError: If web maps have no such tile.
    """
    check_tile(z, x, y)
    if not _touches(grid, z, x, y):
        return None
    region, size = grid.region, grid.cell_size_m(level)

    def function(lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
        east, north = to_local(*region.centre, lat, lon)
        return (region.size_m / 2 - north) / size, (region.size_m / 2 + east) / size

    return over_tile(function, z, x, y, pixels)


def pixels_per_cell(grid: ZoomGrid, level: int, z: int, pixels: int) -> float:
    """Return the edge of a cell of a level in pixels of tiles, at the centre of the region."""
    return grid.cell_size_m(level) / (metres_per_pixel(z, grid.region.centre.lat) * 256 / pixels)


def _touches(grid: ZoomGrid, z: int, x: int, y: int) -> bool:
    """Return whether a tile may show a part of the region."""
    west, north, east, south = _rectangle(grid)
    count = 1 << z
    if (y + 1) / count < north or y / count > south:
        return False
    return any((x + 1) / count + turn >= west and x / count + turn <= east for turn in (-1.0, 0.0, 1.0))


@lru_cache(maxsize=16)
def _rectangle(grid: ZoomGrid) -> tuple[float, float, float, float]:
    """Return west, north, east and south of a region in the square of the world; west and east may be beyond its border."""
    steps, side = np.linspace(-0.5, 0.5, _EDGE) * grid.region.size_m, np.full(_EDGE, 0.5 * grid.region.size_m)
    east, north = np.concatenate([steps, steps, side, -side]), np.concatenate([side, -side, steps, steps])
    lat, lon = from_local(*grid.region.centre, east, north)
    x, y = world_of(lat, lon)
    middle = float(world_of(*grid.region.centre)[0])
    x = middle + (x - middle + 0.5) % 1.0 - 0.5
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
