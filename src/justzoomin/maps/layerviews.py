"""The views of a model's layers: drawn when first needed, and kept while memory allows."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.geometry import ViewLayers, ZoomGrid
from justzoomin.maps.map import Map


class LayerViews:
    """Views of layers by number, at one pixel size: for all models that are not zoomers, which use `GridViews`.

    Args:
        source: The map to render from.
        layers: The layers.
        pixels: Edge of every view in pixels.
        cache_bytes: Rendered views kept in memory, least recently used dropped first.
    """

    def __init__(self, source: Map, layers: ViewLayers, pixels: int, cache_bytes: int = 512 << 20) -> None:
        self.source, self.layers, self.pixels = source, layers, pixels
        self._room = max(1, cache_bytes // (3 * pixels * pixels))
        self._kept: OrderedDict[int, tuple[npt.NDArray[np.uint8], float]] = OrderedDict()

    @property
    def grid(self) -> ZoomGrid:
        """The grid of the layers."""
        return self.layers.grid

    @property
    def count(self) -> int:
        """Number of the views."""
        return len(self.layers)

    @property
    def cached(self) -> bool:
        """Whether views are read from a view cache on the disk: never, because it holds only views of zoomers."""
        return False

    def batch(self, numbers: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the views with numbers (N,): uint8 (N, pixels, pixels, 3).

        Raises:
            GeometryError: If there is no view with one of the numbers.
            TileError: If one of them cannot be drawn.
        """
        wanted = np.asarray(numbers, np.int64)
        found = np.empty((len(wanted), self.pixels, self.pixels, 3), np.uint8)
        for place, (pixels, _) in enumerate(self._views(wanted)):
            found[place] = pixels
        return found

    def no_data_at(self, numbers: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the shares (N,) without data of the views with numbers (N,)."""
        return np.array([share for _, share in self._views(np.asarray(numbers, np.int64))], np.float32)

    def check_root(self) -> None:
        """Refuse a map without any data in the grid's region; see `GridViews.check_root`.

        Raises:
            TileError: If the view of the whole region has no data anywhere, or cannot be rendered.
        """
        centre, size_m = self.grid.region.centre, self.grid.region.size_m
        if self.source.view(centre.lat, centre.lon, size_m, self.pixels).no_data >= 1.0:
            raise TileError(self.source.name, f"the map has no tile in the region of {size_m:g} m around {centre.lat:.6f}, "
                            f"{centre.lon:.6f}", "Give the region that the map covers with --region.")

    def _views(self, numbers: npt.NDArray[np.int64]) -> list[tuple[npt.NDArray[np.uint8], float]]:
        new = np.unique([number for number in numbers.tolist() if number not in self._kept]).astype(np.int64)
        drawn = {}
        for number, lat, lon, size_m in zip(new.tolist(), *self.layers.squares(new), strict=True):
            view = self.source.view(lat, lon, size_m, self.pixels)
            drawn[number] = (view.pixels, view.no_data)
        found = []
        for number in numbers.tolist():
            if number in drawn:
                found.append(drawn[number])
            else:
                self._kept.move_to_end(number)
                found.append(self._kept[number])
        self._kept.update(drawn)
        while len(self._kept) > self._room:
            self._kept.popitem(last=False)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for worker processes, without pictures in memory."""
        return {**self.__dict__, "_kept": OrderedDict()}
