"""The view cache: the pixels of all views of a grid in one file, by number, read by memory map.

A folder of three files: `head.json` says what the views are of, `views.bin` holds their pixels, `facts.bin` a record
per view. Nothing of it is believed before sizes, numbers and the head agree. See docs/view-cache.md.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError, JustZoomInError, TileError
from justzoomin.files import refuse_links, write_json
from justzoomin.geometry import MAX_KEPT_VIEWS, ZoomGrid, grid_from_dict, grid_to_dict, view_count
from justzoomin.maps.content import MapContent
from justzoomin.maps.render import MAX_VIEW_PX
from justzoomin.tiles import Pixels
from justzoomin.untrusted import printable, read_limited

FORMAT = "justzoomin-views/1"
FOLDER = ".jzi-views"
"""Where caches lie beside their map."""
HEAD, VIEWS, FACTS = "head.json", "views.bin", "facts.bin"
FACT = np.dtype([("no_data", "<f8"), ("level", "<i4"), ("crc", "<u4")])
_MAX_HEAD = 65_536
_KEYS = {"format", "content", "seen", "grid", "pixels", "renderer", "count"}
_REBUILD = "Delete the folder and build it again: jzi map cache."


@dataclass(frozen=True)
class CacheHead:
    """What the views of a cache are of, and how they were drawn.

    Args:
        content: The map's tiles when the views were drawn.
        seen: The map's tiles when they were last looked at: spares reading them all again where they are a copy or others.
        grid: The grid whose views they are.
        pixels: Edge of a view in pixels.
        renderer: What drew them; see `render.renderer_name`.
    """

    content: MapContent
    seen: MapContent
    grid: ZoomGrid
    pixels: int
    renderer: str

    @property
    def count(self) -> int:
        """How many views there are."""
        return view_count(self.grid)

    @property
    def view_bytes(self) -> int:
        """Bytes of a view's pixels."""
        return 3 * self.pixels * self.pixels

    def save(self, folder: Path) -> Path:
        """Write head.json atomically.

        Raises:
            OSError: If it cannot be written.
        """
        return write_json({"format": FORMAT, "content": self.content.to_dict(), "seen": self.seen.to_dict(),
                           "grid": grid_to_dict(self.grid), "pixels": self.pixels, "renderer": self.renderer,
                           "count": self.count}, folder / HEAD)

    @classmethod
    def load(cls, folder: Path) -> CacheHead:
        """Read head.json.

        Raises:
            TileError: If it cannot be read or says what cannot be.
        """
        where = folder / HEAD
        try:
            values = json.loads(read_limited(where, _MAX_HEAD))
            if not isinstance(values, dict) or values.get("format") != FORMAT or values.keys() != _KEYS:
                raise ValueError("it has other keys or another format")
            pixels, renderer = values["pixels"], values["renderer"]
            if type(pixels) is not int or not 1 <= pixels <= MAX_VIEW_PX or not isinstance(renderer, str):
                raise ValueError("pixels or renderer are none")
            head = cls(MapContent.from_dict(values["content"], where), MapContent.from_dict(values["seen"], where),
                       grid_from_dict(values["grid"], where), pixels, renderer)
            if head.count > MAX_KEPT_VIEWS:
                raise ValueError(f"its grid has {head.count:,} views, more than {MAX_KEPT_VIEWS:,}")
            if values["count"] != head.count:
                raise ValueError(f"it says {printable(values['count'], 40)} views and its grid has {head.count}")
        except OSError as error:
            raise TileError(where, f"it cannot be read ({error.strerror})", _REBUILD) from error
        except (ValueError, RecursionError, OverflowError) as error:
            raise TileError(where, f"it is no head of a view cache ({printable(error, 200)})", _REBUILD) from error
        except JustZoomInError as error:
            raise TileError(where, f"it is no head of a view cache ({error.what})", _REBUILD) from error
        return head


class ViewCache:
    """A whole view cache. Can be pickled and used from threads, forked processes and DataLoader workers.

    Args:
        folder: The folder.

    Raises:
        TileError: If it is no whole view cache.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.head = CacheHead.load(self.folder)
        self._views, self._facts = self._open()

    def _open(self) -> tuple[Pixels, npt.NDArray[Any]]:
        head = self.head
        shape = (head.count, head.pixels, head.pixels, 3)
        views = _mapped(self.folder / VIEWS, head.count * head.view_bytes).reshape(shape)
        facts = _mapped(self.folder / FACTS, head.count * FACT.itemsize).view(FACT)
        no_data, levels = facts["no_data"], np.unique(facts["level"]).tolist()
        if not ((no_data >= 0.0) & (no_data <= 1.0)).all() or not set(levels) <= set(head.content.levels):
            raise TileError(self.folder / FACTS, "it holds shares or levels that cannot be", _REBUILD)
        return views, facts

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._facts)

    def get(self, number: int) -> Pixels:
        """Pixels of a view, uint8 (n, n, 3), read-only and in place: nothing is copied.

        Raises:
            TileError: If there is no such view.
        """
        if not 0 <= number < len(self):
            raise TileError(self.folder, f"it has no view {number}", f"Views are 0 to {len(self) - 1}.")
        view: Pixels = self._views[number]
        return view

    def batch(self, numbers: npt.ArrayLike) -> Pixels:
        """Pixels of several views, copied: uint8 (N, n, n, 3).

        Raises:
            TileError: If there is no such view.
        """
        wanted = np.asarray(numbers, np.int64)
        if wanted.ndim != 1 or (wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self)):
            raise TileError(self.folder, "one of the views asked for is not in it", f"Views are 0 to {len(self) - 1}.")
        found: Pixels = np.empty((len(wanted), *self._views.shape[1:]), np.uint8)
        for place, number in enumerate(wanted.tolist()):  # one long copy each; fancy indexing takes twice the time
            found[place] = self._views[number]
        return found

    def no_data(self, number: int) -> float:
        """Share of a view that has no data, 0 to 1."""
        return float(self._facts["no_data"][number])

    def level(self, number: int) -> int:
        """Level that a view was drawn from."""
        return int(self._facts["level"][number])

    def damaged(self, start: int = 0, stop: int | None = None) -> list[int]:
        """Numbers of views whose pixels are not those that were written, of a range of views; reads all of them."""
        return [number for number in range(start, len(self) if stop is None else min(stop, len(self)))
                if checksum(self._views[number], self.no_data(number), self.level(number)) != self._facts["crc"][number]]

    def remember(self, seen: MapContent) -> None:
        """Note in the head, where it can be written, what the map's tiles were found to be: they need not be read again."""
        self.head = CacheHead(self.head.content, seen, self.head.grid, self.head.pixels, self.head.renderer)
        with contextlib.suppress(OSError, DataError):
            refuse_links_to(self.folder)
            self.head.save(self.folder)


def refuse_links_to(folder: Path) -> None:
    """Refuse to write into a cache that a link beside the map, or in the place of the cache, leads to.

    Raises:
        DataError: If there is such a link.
    """
    place = folder.parent
    refuse_links(place.parent if place.name == FOLDER else place, folder)


def checksum(pixels: npt.NDArray[np.uint8], no_data: float, level: int) -> int:
    """Checksum of a view: CRC-32 over its pixels, share without data and level."""
    facts = np.array([(no_data, level, 0)], FACT).tobytes()
    return zlib.crc32(facts, zlib.crc32(np.ascontiguousarray(pixels).data))


def _mapped(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """A file of exactly so many bytes, mapped to be read: reading beyond the end of a shorter one would end the process.

    Raises:
        TileError: If it is missing, no regular file, or of another size.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                raise TileError(path, f"it has {status.st_size} bytes instead of {size}", _REBUILD)
            return np.frombuffer(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ), np.uint8)
        finally:
            os.close(descriptor)
    except (OSError, ValueError, OverflowError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise TileError(path, f"it cannot be read ({words})", _REBUILD) from error
