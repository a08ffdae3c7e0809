"""The views of a zoom grid: one picture per cell, rendered once and kept while memory allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps.map import Map


class GridViews:
    """Views of a grid's cells at one pixel size, by sequence, with a bounded memory cache.

    Args:
        source: The map to render from.
        grid: The zoom grid whose cells are looked at.
        pixels: Edge of every view in pixels.
        cache_bytes: Rendered views kept in memory, least recently used dropped first.
    """

    def __init__(self, source: Map, grid: ZoomGrid, pixels: int, cache_bytes: int = 512 << 20) -> None:
        self.source, self.grid, self.pixels = source, grid, pixels
        self._room = max(1, cache_bytes // (3 * pixels * pixels))
        self._cache: OrderedDict[tuple[int, ...], tuple[npt.NDArray[np.uint8], float]] = OrderedDict()

    def get(self, sequence: Sequence[int]) -> npt.NDArray[np.uint8]:
        """View (pixels, pixels, 3) of the cell that a sequence leads to; the empty one is the whole region."""
        return self._entry(sequence)[0]

    def no_data(self, sequence: Sequence[int]) -> float:
        """Share of the view that has no data, 0 to 1."""
        return self._entry(sequence)[1]

    def check_root(self) -> None:
        """Refuse a map that has nothing at all in the grid's region.

        Raises:
            TileError: If the view of the whole region has no data anywhere, or cannot be rendered.
        """
        if self.no_data(()) >= 1.0:
            centre = self.grid.region.centre
            raise TileError(self.source.name, f"the map has no tile in the region of {self.grid.region.size_m:g} m around "
                            f"{centre.lat:.6f}, {centre.lon:.6f}", "Give the region that the map covers with --region.")

    def _entry(self, sequence: Sequence[int]) -> tuple[npt.NDArray[np.uint8], float]:
        key = tuple(int(a) for a in sequence)
        if key not in self._cache:
            cell = self.grid.cell(key)
            view = self.source.view(cell.centre.lat, cell.centre.lon, cell.size_m, self.pixels)
            self._cache[key] = (view.pixels, view.no_data)
            if len(self._cache) > self._room:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]

    def __getstate__(self) -> dict[str, Any]:
        """Travel to worker processes without the cached pictures."""
        return {**self.__dict__, "_cache": OrderedDict()}
