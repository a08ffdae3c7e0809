"""The view cache: the pixels of all views of a grid in one file, by number, read by memory map.

A folder of three files: `head.json` says what the views are of, `views.bin` holds their pixels, and `facts.bin` a record per
view. See docs/view-cache.md.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError, TileError
from justzoomin.files import refuse_links, write_json
from justzoomin.geometry import MAX_KEPT_VIEWS, ZoomGrid, grid_from_dict, grid_to_dict, view_count
from justzoomin.maps.content import MapContent
from justzoomin.maps.render import MAX_VIEW_PX
from justzoomin.store import Rows, Store, checksum
from justzoomin.tiles import Pixels
from justzoomin.untrusted import printable

STORE = Store("justzoomin-views/1", "a view cache", TileError, "Delete the folder and build it again: jzi map cache.")
FOLDER = ".jzi-views"
"""Name of the folder of caches beside their map."""
HEAD, VIEWS, FACTS = "head.json", "views.bin", "facts.bin"
FACT = np.dtype([("no_data", "<f8"), ("level", "<i4"), ("crc", "<u4")])
_KEYS = {"format", "content", "seen", "grid", "pixels", "renderer", "count"}


@dataclass(frozen=True)
class CacheHead:
    """What the views of a cache show, and how they were drawn.

    Args:
        content: The map's tiles when the views were drawn.
        seen: The map's tiles when they were last checked; so a copied or changed map need not be read each time.
        grid: The grid whose views they are.
        pixels: Edge of a view in pixels.
        renderer: Name of what drew them; see `render.renderer_name`.
    """

    content: MapContent
    seen: MapContent
    grid: ZoomGrid
    pixels: int
    renderer: str

    @property
    def count(self) -> int:
        """Number of the views."""
        return view_count(self.grid)

    @property
    def columns(self) -> dict[str, np.dtype[Any]]:
        """Files with a row per view, and the dtype of their rows."""
        return {VIEWS: np.dtype((np.uint8, (self.pixels, self.pixels, 3))), FACTS: FACT}

    def save(self, folder: Path) -> Path:
        """Write head.json atomically.

        Raises:
            OSError: If it cannot be written.
        """
        return write_json({"format": STORE.format, "content": self.content.to_dict(), "seen": self.seen.to_dict(),
                           "grid": grid_to_dict(self.grid), "pixels": self.pixels, "renderer": self.renderer,
                           "count": self.count}, folder / HEAD)

    @classmethod
    def load(cls, folder: Path) -> CacheHead:
        """Read head.json.

        Raises:
            TileError: If it cannot be read or its values are impossible.
        """
        return STORE.load(folder / HEAD, cls._parse)

    @classmethod
    def _parse(cls, values: dict[str, Any]) -> CacheHead:
        if values.keys() != _KEYS:
            raise ValueError("its keys are not those of a view cache")
        pixels, renderer = values["pixels"], values["renderer"]
        if type(pixels) is not int or not 1 <= pixels <= MAX_VIEW_PX or not isinstance(renderer, str):
            raise ValueError("its pixels or renderer are not valid")
        head = cls(MapContent.from_dict(values["content"], "content"), MapContent.from_dict(values["seen"], "seen"),
                   grid_from_dict(values["grid"], "grid"), pixels, renderer)
        if head.count > MAX_KEPT_VIEWS:
            raise ValueError(f"its grid has {head.count:,} views, more than {MAX_KEPT_VIEWS:,}")
        if values["count"] != head.count:
            raise ValueError(f"it states {printable(values['count'], 40)} views, but its grid has {head.count}")
        return head


class ViewCache:
    """A complete view cache. It can be pickled and used by threads, forked processes and DataLoader workers.

    Args:
        folder: The folder.

    Raises:
        TileError: If it is not a complete view cache.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.head = head = CacheHead.load(self.folder)
        self._views, self._facts = (Rows(STORE, self.folder / name, row, head.count).values
                                    for name, row in head.columns.items())
        no_data, levels = self._facts["no_data"], np.unique(self._facts["level"]).tolist()
        if not ((no_data >= 0.0) & (no_data <= 1.0)).all() or not set(levels) <= set(head.content.levels):
            raise STORE.error(self.folder / FACTS, "it holds shares or levels that are not valid")

    def __reduce__(self) -> tuple[Any, ...]:
        return ViewCache, (self.folder,)

    def __len__(self) -> int:
        return len(self._facts)

    def get(self, number: int) -> Pixels:
        """Return the pixels of a view, uint8 (n, n, 3), read-only and without a copy.

        Raises:
            TileError: If there is no such view.
        """
        if not 0 <= number < len(self):
            raise TileError(self.folder, f"it has no view {number}", f"Give a number from 0 to {len(self) - 1}.")
        view: Pixels = self._views[number]
        return view

    def batch(self, numbers: npt.ArrayLike) -> Pixels:
        """Return a copy of the pixels of several views, uint8 (N, n, n, 3).

        Raises:
            TileError: If there is no such view.
        """
        wanted = np.asarray(numbers, np.int64)
        if wanted.ndim != 1 or (wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self)):
            raise TileError(self.folder, "it does not have all of these views", f"Give numbers from 0 to {len(self) - 1}.")
        found: Pixels = np.empty((len(wanted), *self._views.shape[1:]), np.uint8)
        for place, number in enumerate(wanted.tolist()):  # one long copy each: fancy indexing takes twice as long
            found[place] = self._views[number]
        return found

    def no_data(self, number: int) -> float:
        """Return the share of a view that has no data, 0 to 1."""
        return float(self._facts["no_data"][number])

    def damaged(self, start: int = 0, stop: int | None = None) -> list[int]:
        """Return the numbers of damaged views in a range; this reads all pixels of the range."""
        return [number for number in range(start, len(self) if stop is None else min(stop, len(self)))
                if view_checksum(self._views[number], self._facts[number]) != self._facts["crc"][number]]

    def remember(self, seen: MapContent) -> None:
        """Write the map's present content into the head if possible, so that the tiles need not be read again."""
        self.head = replace(self.head, seen=seen)
        with contextlib.suppress(OSError, DataError):
            refuse_links_to(self.folder)
            self.head.save(self.folder)


def refuse_links_to(folder: Path) -> None:
    """Refuse to write into a cache if it is a link, or a link beside the map leads to it.

    Raises:
        DataError: If there is such a link.
    """
    place = folder.parent
    refuse_links(place.parent if place.name == FOLDER else place, folder)


def view_checksum(pixels: Pixels, fact: npt.NDArray[Any]) -> int:
    """Return the checksum of a view, over its pixels and its `FACT` with the last four bytes, `crc`, as 0."""
    return checksum(np.ascontiguousarray(pixels), fact.tobytes()[:-4], bytes(4))
