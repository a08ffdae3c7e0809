"""Layers of views: which squares of a grid a model looks at, and their numbers.

A layer has a view for each cell of one level, `scale` times as wide as the cell. So one level gives the cells themselves (scale
1), cells with what lies around them (2, 4), and, with the grid's own size as scale, dense windows for the level above: squares
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
        level: Level of the cells; 0 is the whole region.
        scale: Edge of a view in edges of its cell; both have the same centre.
    """

    level: int
    scale: int = 1


@dataclass(frozen=True)
class ViewLayers:
    """The views of several layers under one numbering: layer by layer, and in each in the order of `ZoomGrid.flatten`.

    Args:
        grid: The grid.
        layers: The layers.

    Raises:
        GeometryError: If a layer has a level that the grid has not or a scale out of range, or there are too many views.
    """

    grid: ZoomGrid
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        for layer in self.layers:
            if not 0 <= layer.level <= self.grid.depth or not 1 <= layer.scale <= MAX_SCALE:
                raise GeometryError("layers", f"level {layer.level} at scale {layer.scale}",
                                    f"Levels are 0 to {self.grid.depth}, scales 1 to {MAX_SCALE}.")
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
        """Place (N,) of each view's layer, and number (N,) of its cell in the layer's level.

        Raises:
            GeometryError: If there is no view of such a number.
        """
        wanted = np.asarray(numbers, np.int64)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise GeometryError(f"view {wanted.min() if wanted.min() < 0 else wanted.max()}", "there is no such view",
                                f"Views are 0 to {len(self) - 1}.")
        starts = np.array(self.starts, np.int64)
        places = np.searchsorted(starts, wanted, "right") - 1
        return places, wanted - starts[places]

    def squares(self, numbers: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Centres (latitudes and longitudes, (N,) each) and edges in metres (N,) of the squares that views show.

        Raises:
            GeometryError: If there is no view of such a number.
        """
        places, cells = self.locate(numbers)
        lat, lon, size = (np.empty(len(cells)) for _ in range(3))
        for place in np.unique(places).tolist():
            layer, own = self.layers[place], places == place
            lat[own], lon[own] = self.grid.centres(self.grid.unflatten(cells[own], layer.level))
            size[own] = self.grid.cell_size_m(layer.level) * layer.scale
        return lat, lon, size


def zoom_layers(grid: ZoomGrid) -> ViewLayers:
    """The cells that a zoomer looks at: all but the terminal ones; their numbers are those of `view_numbers`."""
    return ViewLayers(grid, tuple(Layer(level) for level in range(grid.depth)))
