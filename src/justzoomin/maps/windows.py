"""Windows: the region of a grid in equal square pieces of one ground resolution, with a margin around each."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import LatLon, ZoomGrid, from_local, to_local
from justzoomin.maps.map import Map

MEMORY_BYTES = 256 << 20
"""Most bytes of pictures that are kept in memory."""


class Windows:
    """Pictures of pieces of a region, row by row from its north-western corner.

    The pieces form a regular lattice from that corner; the last ones of a row or column may reach beyond the region.

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

    @property
    def size_m(self) -> float:
        """Edge of a picture in metres: a piece with its margin."""
        return self.window_m + 2 * self.margin_m

    def centre(self, number: int) -> LatLon:
        """Return the centre of a piece."""
        row, column = divmod(number, self.side)
        half = self.grid.region.size_m / 2
        east, north = (column + 0.5) * self.window_m - half, half - (row + 0.5) * self.window_m
        lat, lon = from_local(*self.grid.region.centre, east, north)
        return LatLon(float(lat), float(lon))

    def picture(self, number: int) -> npt.NDArray[np.uint8]:
        """Return the picture (pixels, pixels, 3) of a piece with its margin.

        Raises:
            TileError: If it cannot be drawn.
        """
        if number not in self._kept:
            self._kept[number] = self.source.view(*self.centre(number), self.size_m, self.pixels).pixels
            while len(self._kept) > max(1, MEMORY_BYTES // (3 * self.pixels**2)):
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]

    def place(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the metres east (N,) and south (N,) of the region's north-western corner."""
        east, north = to_local(*self.grid.region.centre, np.asarray(lat, np.float64), np.asarray(lon, np.float64))
        half = self.grid.region.size_m / 2
        return east + half, half - north

    def number(self, east: npt.NDArray[np.float64], south: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the numbers (N,) of the pieces that hold places of the region, given as by `place`."""
        column, row = (np.clip(np.floor(v / self.window_m), 0, self.side - 1).astype(np.int64) for v in (east, south))
        return row * self.side + column

    def corner(self, number: int) -> tuple[float, float]:
        """Return where the picture of a piece begins, in metres east and south of the region's north-western corner."""
        row, column = divmod(number, self.side)
        return column * self.window_m - self.margin_m, row * self.window_m - self.margin_m
