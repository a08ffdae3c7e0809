"""The cells of a level as tiles of web maps: thin light lines with a dark rim, readable over bright and dark ground."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import palette_png
from justzoomin.service.cell_places import cell_places, pixels_per_cell

GRID_VERSION = 1
"""Version of this file's arithmetic: increase it whenever a tile's pixels change."""
FINEST_PX = 5.0
"""Cells with a shorter edge in pixels are not drawn: the lines would hide the map."""
_CORE_PX, _RIM_PX = 0.6, 1.4
"""Half the width of the light line, and of the dark one behind it, in pixels of plain tiles."""
_CORE, _RIM = 0.9, 0.45
"""Opacity of the light line, and of the dark one."""
_STEPS = 16


def grid_tile(grid: ZoomGrid, level: int, z: int, x: int, y: int, pixels: int = 256) -> bytes | None:
    """Return a tile with the borders of a level's cells, as PNG with transparency; None if it has none.

    Args:
        grid: The grid.
        level: The level; 0 is the border of the region.
        z: Zoom level.
        x: Column from the west.
        y: Row from the north.
        pixels: Edge of the picture.

    Raises:
        GeometryError: If the grid has no such level, or web maps no such tile.
    """
    if not 0 <= level <= grid.depth:
        raise GeometryError("level", f"the grid has no level {level}", f"Give a level from 0 to {grid.depth}.")
    edge = pixels_per_cell(grid, level, z, pixels)
    places = cell_places(grid, level, z, x, y, pixels) if edge >= FINEST_PX else None
    if places is None:
        return None
    width, side = pixels / 256, grid.grid**level
    with np.errstate(invalid="ignore"):
        rows, columns = (np.abs(values - np.round(values).clip(0, side)) * edge for values in places)
        beside = [(values > -1 / edge) & (values < side + 1 / edge) for values in places]
    # Lines end at the border of the region.
    distance = np.minimum(np.where(beside[1], rows, np.inf), np.where(beside[0], columns, np.inf))
    core, rim = (np.clip(half * width + 0.5 - distance, 0.0, 1.0) for half in (_CORE_PX, _RIM_PX))
    if not rim.any():
        return None
    numbers = np.round(core * (_STEPS - 1)) * _STEPS + np.round(rim * (_STEPS - 1))
    return palette_png(numbers.astype(np.uint8), _palette())


@cache
def _palette() -> npt.NDArray[np.uint8]:
    """Return the colours, uint8 RGBA (256, 4), of a light line over a dark one: number is core * 16 + rim."""
    core, rim = (values.ravel() * share / (_STEPS - 1) for values, share in
                 zip(np.meshgrid(np.arange(_STEPS), np.arange(_STEPS), indexing="ij"), (_CORE, _RIM), strict=True))
    alpha = core + (1.0 - core) * rim
    light = np.divide(core, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    return np.round(np.stack([light, light, light, alpha], -1) * 255.0).astype(np.uint8)
