"""Layers of views: the squares of a grid that a model views, and their numbers.

A layer has a view for each cell of one level, `scale` times as wide as the cell. So one level gives the cells themselves (scale
1), or cells with their surroundings (2, 4). With the grid's size as scale, it gives dense windows for the level above: squares
of that level's size at a stride of 1/grid of their edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry.grid import ZoomGrid

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_SCALE = 1 << 16
_MAX_VIEWS = 1 << 40


@dataclass(frozen=True)
class Layer:
    """A view for each cell of a level.

    Attributes:
        level: Level of the cells; 0 is the region.
        scale: Edge of a view, as a multiple of its cell's edge; both have the same centre.
    """

    level: int
    scale: int = 1


@dataclass(frozen=True)
class ViewLayers:
    """The views of several layers with common numbers: layer by layer, in each in the order of `ZoomGrid.flatten`.

    Args:
        grid: The grid.
        layers: The layers.

    Raises:
        GeometryError: If a layer has a level that the grid lacks or a scale out of range, or there are too many views.
    """

    grid: ZoomGrid
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        for layer in self.layers:
            if not 0 <= layer.level <= self.grid.depth or not 1 <= layer.scale <= MAX_SCALE:
                raise GeometryError("layers", f"level {layer.level} at scale {layer.scale}",
                                    f"Give levels 0 to {self.grid.depth} and scales 1 to {MAX_SCALE}.")
        if len(self) > _MAX_VIEWS:
            raise GeometryError("layers", f"{len(self):,} views", f"Use at most {_MAX_VIEWS:,}.")

    def __len__(self) -> int:
        return self.starts[-1]

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Number of each layer's first view, and the number of all views."""
        total, starts = 0, [0]
        for layer in self.layers:
            total += self.grid.actions**layer.level
            starts.append(total)
        return tuple(starts)

    def locate(self, numbers: npt.ArrayLike) -> tuple[Ints, Ints]:
        """Return the place (N,) of each view's layer, and the number (N,) of its cell in the layer's level.

        Raises:
            GeometryError: If there is no view with one of the numbers.
        """
        wanted = np.asarray(numbers, np.int64)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise GeometryError(f"view {wanted.min() if wanted.min() < 0 else wanted.max()}", "there is no such view",
                                f"Give numbers from 0 to {len(self) - 1}.")
        starts = np.array(self.starts, np.int64)
        places = np.searchsorted(starts, wanted, "right") - 1
        return places, wanted - starts[places]

    def squares(self, numbers: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Return the centres (latitudes and longitudes, (N,) each) and edges in metres (N,) of the views' squares.

        Raises:
            GeometryError: If there is no view with one of the numbers.
        """
        places, cells = self.locate(numbers)
        lat, lon, size = (np.empty(len(cells)) for _ in range(3))
        for place in np.unique(places).tolist():
            layer, own = self.layers[place], places == place
            lat[own], lon[own] = self.grid.centres(self.grid.unflatten(cells[own], layer.level))
            size[own] = self.grid.cell_size_m(layer.level) * layer.scale
        return lat, lon, size


def zoom_layers(grid: ZoomGrid) -> ViewLayers:
    """Return the cells that a zoomer views: all but the terminal ones, with the numbers of `view_numbers`."""
    return ViewLayers(grid, tuple(Layer(level) for level in range(grid.depth)))
