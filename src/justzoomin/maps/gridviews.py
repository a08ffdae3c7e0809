"""The views of a zoom grid: one picture per cell, rendered once and kept while memory allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError, TileError
from justzoomin.geometry import ZoomGrid, view_count, view_number, view_sequence
from justzoomin.maps.map import Map
from justzoomin.maps.viewcache import ViewCache
from justzoomin.maps.viewfinder import FoundCache, find_view_cache, require_fit


class GridViews:
    """Views of a grid's cells at one pixel size, by sequence, with a bounded memory cache.

    Args:
        source: The map to render from.
        grid: The zoom grid whose cells are shown.
        pixels: Edge of every view in pixels.
        cache_bytes: Rendered views kept in memory, least recently used dropped first.
        view_cache: A view cache on the disk to read views from. With None, a complete one that fits the map's present tiles
            is searched for at the first view; with False, none is used. A given cache must be of this grid and pixel size;
            whether it is of this map's tiles is not checked.

    Raises:
        TileError: If the given cache is of another grid, pixel size or renderer.
    """

    def __init__(self, source: Map, grid: ZoomGrid, pixels: int, cache_bytes: int = 512 << 20,
                 view_cache: ViewCache | Literal[False] | None = None) -> None:
        self.source, self.grid, self.pixels = source, grid, pixels
        if isinstance(view_cache, ViewCache):
            require_fit(view_cache.head, view_cache.folder, grid, pixels)
            note = f"view cache: {len(view_cache):,} views of {pixels} px are read from {view_cache.folder}"
            self._found: FoundCache | None = FoundCache(view_cache, note)
        else:
            self._found = None if view_cache is None else FoundCache(None, None)
        self._room = max(1, cache_bytes // (3 * pixels * pixels))
        self._cache: OrderedDict[tuple[int, ...], tuple[npt.NDArray[np.uint8], float]] = OrderedDict()

    def get(self, sequence: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Return the view (pixels, pixels, 3) of a sequence's cell; the empty sequence is the region."""
        cache = self._cache_of(sequence)
        return self._entry(sequence)[0] if cache is None else np.array(cache.get(view_number(self.grid, sequence)))

    def batch(self, numbers: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the views of cells with numbers (N,) of `geometry.view_numbers`: uint8 (N, pixels, pixels, 3).

        Raises:
            GeometryError: If a number is not that of a cell of the grid.
        """
        wanted = np.asarray(numbers, np.int64)
        cache = self._disk()
        if cache is not None and wanted.size and wanted.min() >= 0 and wanted.max() < len(cache):
            return cache.batch(wanted)
        found = np.empty((len(wanted), self.pixels, self.pixels, 3), np.uint8)
        for place, number in enumerate(wanted.tolist()):
            if number < 0:
                raise GeometryError(f"view {number}", "there is no such view",
                                    f"Give a number from 0 to {view_count(self.grid) - 1}.")
            found[place] = self.get(view_sequence(self.grid, number))
        return found

    @property
    def count(self) -> int:
        """Number of the views."""
        return view_count(self.grid)

    def no_data_at(self, numbers: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the shares (N,) without data of the views with numbers (N,)."""
        paths = [view_sequence(self.grid, number) for number in np.asarray(numbers, np.int64).tolist()]
        return np.array([self.no_data(path) for path in paths], np.float32)

    @property
    def cached(self) -> bool:
        """Whether views are read from a view cache on the disk."""
        return self._disk() is not None

    def cache_note(self) -> str | None:
        """Return a text that says which view cache is used, or why an existing one is not; None if there is none."""
        self._disk()
        return None if self._found is None else self._found.note

    def no_data(self, sequence: Sequence[int]) -> float:
        """Return the share of the view that has no data, 0 to 1."""
        cache = self._cache_of(sequence)
        return self._entry(sequence)[1] if cache is None else cache.no_data(view_number(self.grid, sequence))

    def check_root(self) -> None:
        """Refuse a map without any data in the grid's region.

        Raises:
            TileError: If the view of the whole region has no data anywhere, or cannot be rendered.
        """
        if self.no_data(()) >= 1.0:
            centre, size_m = self.grid.region.centre, self.grid.region.size_m
            swapped = self.source.looks_swapped(*centre, size_m, self.pixels)
            raise TileError(self.source.name, f"the map has no tile in the region of {size_m:g} m around {centre.lat:.6f}, "
                            f"{centre.lon:.6f}" + ("; its latitude and longitude look swapped" if swapped else ""),
                            "Give the region that the map covers with --region.")

    def _disk(self) -> ViewCache | None:
        if self._found is None:
            self._found = find_view_cache(self.source, self.grid, self.pixels)
        return self._found.cache

    def _cache_of(self, sequence: Sequence[int]) -> ViewCache | None:
        """Return the view cache if it has the view of a cell; it has none of terminal cells and of wrong sequences."""
        cache = self._disk()
        inside = len(sequence) < self.grid.depth and all(0 <= int(action) < self.grid.actions for action in sequence)
        return cache if inside else None

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
        """Return the state for worker processes, without pictures in memory; they open the same view cache again."""
        return {**self.__dict__, "_cache": OrderedDict()}
