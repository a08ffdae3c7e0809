"""Windows: the region of a grid in even square pieces of one ground resolution, with a margin around each."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid, from_local, to_local
from justzoomin.maps.map import Map

MEMORY_BYTES = 256 << 20
"""Bound of the pictures that are kept in memory."""


class Windows:
    """Pictures of pieces of a region, row by row from its north-western corner.

    The pieces lie on an even lattice from that corner on; the last ones of a row or column may reach beyond the region.

    Args:
        source: The map.
        grid: The grid whose region is cut.
        window_m: Edge of a piece without its margin.
        margin_m: Margin on each side.
        metres_per_pixel: Ground resolution.

    Attributes:
        side: Pieces along one side of the region.
        pixels: Edge of a picture.
    """

    def __init__(self, source: Map, grid: ZoomGrid, window_m: float, margin_m: float, metres_per_pixel: float) -> None:
        self.source, self.grid = source, grid
        self.window_m, self.margin_m = window_m, margin_m
        self.side = max(1, math.ceil(grid.region.size_m / window_m - 1e-9))
        self.pixels = round((window_m + 2 * margin_m) / metres_per_pixel)
        self._kept: OrderedDict[int, npt.NDArray[np.uint8]] = OrderedDict()

    def __len__(self) -> int:
        return self.side * self.side

    def picture(self, number: int) -> npt.NDArray[np.uint8]:
        """Picture (pixels, pixels, 3) of a piece with its margin.

        Raises:
            TileError: If the map cannot give it.
        """
        if number not in self._kept:
            row, column = divmod(number, self.side)
            half = self.grid.region.size_m / 2
            east, north = (column + 0.5) * self.window_m - half, half - (row + 0.5) * self.window_m
            lat, lon = from_local(*self.grid.region.centre, east, north)
            self._kept[number] = self.source.view(float(lat), float(lon), self.window_m + 2 * self.margin_m, self.pixels).pixels
            while len(self._kept) > max(1, MEMORY_BYTES // (3 * self.pixels**2)):
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]

    def place(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Metres east (N,) and south (N,) of the region's north-western corner."""
        east, north = to_local(*self.grid.region.centre, np.asarray(lat, np.float64), np.asarray(lon, np.float64))
        half = self.grid.region.size_m / 2
        return east + half, half - north

    def number(self, east: npt.NDArray[np.float64], south: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Numbers (N,) of the pieces that places of the region lie in, as `place` gives them."""
        column, row = (np.clip(np.floor(v / self.window_m), 0, self.side - 1).astype(np.int64) for v in (east, south))
        return row * self.side + column

    def corner(self, number: int) -> tuple[float, float]:
        """Metres east and south of the region's north-western corner at which the picture of a piece begins."""
        row, column = divmod(number, self.side)
        return column * self.window_m - self.margin_m, row * self.window_m - self.margin_m
