"""What is believed about a photo's place, as tiles of web maps: the cells of a level, tinted by their probability.

Colour and opacity follow the logarithm of a cell's probability, over three powers of ten below the most probable cell. A
posterior that hardly prefers any cell is faint. The colours are those of matplotlib's magma, the same as in figures: their
lightness grows evenly, which colour-blind people see too.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import palette_png
from justzoomin.posterior import Posterior
from justzoomin.service.cell_places import cell_places, pixels_per_cell

FAINTEST = 1e-3
"""Cells with less than this share of the highest probability of a cell have no tint."""
_SHADES = 255
_OPACITY = (0.25, 0.8)
"""Opacity of the faintest and of the most probable cells."""
_FROM_RAMP = 0.25
"""The darkest quarter of the ramp is not used: it would look like shadow in a photo."""
_SURE = 10.0
"""The best cell must be this much more probable than an average cell for the full opacity."""


class HeatLayer:
    """The tiles of one level of a posterior. It can be used by threads.

    Args:
        grid: The grid.
        level: The level.
        probabilities: Probabilities (A ** level,) of its cells, in the order of `ZoomGrid.flatten`.

    Raises:
        GeometryError: If the grid has no such level, or there is not one probability for each cell.
    """

    def __init__(self, grid: ZoomGrid, level: int, probabilities: npt.NDArray[np.float64]) -> None:
        if not 0 <= level <= grid.depth or probabilities.shape != (grid.actions**level,):
            raise GeometryError("level", f"{len(probabilities)} probabilities for level {level}",
                                f"Give a level from 0 to {grid.depth}, and a probability for each of its cells.")
        self.grid, self.level = grid, level
        top = float(probabilities.max())
        with np.errstate(divide="ignore", invalid="ignore"):
            strength = 1.0 - np.log10(probabilities / top) / np.log10(FAINTEST)
        numbers = np.where(strength >= 0.0, 1.0 + np.round(strength * (_SHADES - 1)), 0.0)
        gain = np.clip(np.log10(max(top * len(probabilities), 1.0)) / np.log10(_SURE), 0.3, 1.0) if level else 1.0
        self._palette = _palette(round(float(gain), 2))
        self._pictures = [_picture(numbers.astype(np.uint8), grid.grid, level)]
        while len(self._pictures[-1]) > 1:
            self._pictures.append(_highest(self._pictures[-1], grid.grid))

    def tile(self, z: int, x: int, y: int, pixels: int = 256) -> bytes | None:
        """Return a tile as PNG with transparency; None if no cell in it has a tint.

        Where cells are smaller than a pixel, the most probable of those that share a coarser cell is shown.

        Args:
            z: Zoom level.
            x: Column from the west.
            y: Row from the north.
            pixels: Edge of the picture.

        Raises:
            GeometryError: If web maps have no such tile.
        """
        step = 0
        while step < self.level and pixels_per_cell(self.grid, self.level - step, z, pixels) < 1.0:
            step += 1
        places = cell_places(self.grid, self.level - step, z, x, y, pixels)
        if places is None:
            return None
        numbers = _at(self._pictures[step], *places)
        return palette_png(numbers, self._palette) if numbers.any() else None


def heat_tile(posterior: Posterior, level: int, z: int, x: int, y: int, pixels: int = 256) -> bytes | None:
    """Return one tile of a level of a posterior; for several tiles keep a `HeatLayer`.

    Raises:
        GeometryError: If the grid has no such level or web maps no such tile.
    """
    return HeatLayer(posterior.grid, level, posterior.at_level(level)).tile(z, x, y, pixels)


def _at(picture: npt.NDArray[np.uint8], rows: npt.NDArray[np.float64],
        columns: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return the values of a picture (side, side) at rows and columns (n, n); 0 outside and where they are not known."""
    side = len(picture)
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    row, column = (np.where(inside, values, 0).astype(np.int64) for values in (rows, columns))
    return np.where(inside, picture[row, column], np.uint8(0))


def _picture(numbers: npt.NDArray[np.uint8], grid: int, level: int) -> npt.NDArray[np.uint8]:
    """Arrange values (A ** level,) of cells as a picture (side, side): north up, west on the left."""
    axes = [*range(0, 2 * level, 2), *range(1, 2 * level, 2)]
    return np.ascontiguousarray(numbers.reshape([grid] * (2 * level)).transpose(axes).reshape(grid**level, grid**level))


def _highest(picture: npt.NDArray[np.uint8], grid: int) -> npt.NDArray[np.uint8]:
    """Return the highest value of every grid x grid pixels of a picture."""
    side = len(picture) // grid
    return np.asarray(picture.reshape(side, grid, side, grid).max((1, 3)))


@cache
def _palette(gain: float) -> npt.NDArray[np.uint8]:
    """Return the colours, uint8 RGBA (256, 4), with an opacity that is `gain` times the usual one; colour 0 is transparent."""
    from matplotlib import colormaps

    strength = np.linspace(0.0, 1.0, _SHADES)
    colours = np.zeros((_SHADES + 1, 4))
    colours[1:] = colormaps["magma"](_FROM_RAMP + (1.0 - _FROM_RAMP) * strength)
    colours[1:, 3] = gain * (_OPACITY[0] + (_OPACITY[1] - _OPACITY[0]) * strength)
    return np.round(colours * 255.0).astype(np.uint8)
