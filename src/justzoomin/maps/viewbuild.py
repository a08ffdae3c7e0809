"""Building a view cache: every view is drawn once, in threads; views written before an interruption are kept.

The cache is built in a folder with the final name and `.building` after it, and renamed when everything in it is checked.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError, DataError, JustZoomInError, TileError
from justzoomin.files import lock_file, remove_left, sweep, sync_folder
from justzoomin.geometry import MAX_VIEWS, ZoomGrid, allow_views, view_count, view_sequence, zoom_layers
from justzoomin.maps.content import map_content, view_levels
from justzoomin.maps.map import Map
from justzoomin.maps.render import MAX_VIEW_PX, renderer_name
from justzoomin.maps.viewcache import FACT, HEAD, STORE, CacheHead, ViewCache, refuse_links_to, view_checksum
from justzoomin.maps.viewfinder import BUILDING, cache_name, cache_places, cache_stem, forget_caches, writable_place
from justzoomin.parallel import ordered_map
from justzoomin.store import MarkedRows, Rows, require_room

Progress = Callable[[str, int, int], None]
"""Called with a stage (`tiles`: hashing them, `views`: drawing them, `checks`), the number done and the total."""
_SPARE_BYTES = 16 << 20


class ViewCacheBuild:
    """A view cache to build: sizes and places are decided when this is made, and nothing is written before `run`.

    Args:
        source: The map.
        grid: The grid; default: the map's.
        pixels: Edge of every view in pixels.
        out: Folder for the cache's folder; default: one where it is found without options.
        progress: Called while tiles are hashed.
        max_views: Refuse more views than this.

    Raises:
        ConfigError: If the pixel size is not valid.
        GeometryError: If the grid has more views than are allowed.
        TileError: If the tiles come from a server or cannot be read.
    """

    def __init__(self, source: Map, grid: ZoomGrid | None = None, pixels: int = 384, out: Path | str | None = None,
                 progress: Progress | None = None, max_views: int = MAX_VIEWS) -> None:
        if not 1 <= pixels <= MAX_VIEW_PX:
            raise ConfigError(f"pixels {pixels}", "a view cannot have this edge", f"Give 1 to {MAX_VIEW_PX}.")
        self.source, self.grid = source, grid or source.grid
        count = view_count(self.grid)
        allow_views(count, max_views, f"of {pixels} px, {count * (3 * pixels**2 + FACT.itemsize) / 1e6:,.1f} MB on the disk")
        places = cache_places(source) if out is None else [Path(out)]
        stem = cache_stem(source, self.grid, pixels)
        records = [record for place in [*places, *([] if out is None else cache_places(source))]
                   for head in _heads(place, stem) for record in (head.content, head.seen)]
        content = map_content(source, view_levels(source, zoom_layers(self.grid), pixels), records,
                              None if progress is None else lambda done, total: progress("tiles", done, total))
        self.head = CacheHead(content, content, self.grid, pixels, renderer_name())
        name = cache_name(source, self.grid, pixels, content)
        there = [place / name for place in places if (place / name / HEAD).is_file()]
        self.folder = there[0] if there else writable_place(places) / name
        self.others = tuple(sorted(path for path in self.folder.parent.glob(f"{stem}-*") if path not in
                                   {self.folder, self._work}))

    @property
    def _work(self) -> Path:
        return self.folder.with_name(self.folder.name + BUILDING)

    @property
    def bytes(self) -> int:
        """Bytes of the complete cache."""
        return self.head.count * sum(row.itemsize for row in self.head.columns.values())

    @property
    def exists(self) -> bool:
        """Whether the cache exists already; then `run` checks it."""
        return (self.folder / HEAD).is_file()

    def require_room(self) -> None:
        """Refuse a disk that is too small.

        Raises:
            DataError: If it is; it names the needed and the free bytes.
        """
        if self.exists:
            return
        require_room(self.folder, self.bytes + _SPARE_BYTES, "the views",
                     "Free some space, choose another folder with --out, or use fewer --pixels.",
                     files=[self._work / name for name in self.head.columns])

    def run(self, workers: int | None = None, progress: Progress | None = None) -> ViewCache:
        """Draw the missing views; an existing cache is checked, and damaged views are drawn again.

        Args:
            workers: Threads; default: one per core.
            progress: Called while views are checked and drawn.

        Raises:
            DataError: If the disk is too small or full, another process builds this cache, or a link leads out of the map's
                folder.
            TileError: If a view cannot be drawn, or the map changes meanwhile.
            OSError: If the folder cannot be written.
        """
        report = progress or (lambda stage, done, total: None)
        self.require_room()
        place, before = self.folder.parent, self.exists
        lock = place / f".{self.folder.name}.jzi-lock"
        if before and (cache := self._whole(workers, report)) is not None:
            remove_left(lock)
            return cache
        refuse_links_to(self._work)
        refuse_links_to(self.folder)
        place.mkdir(parents=True, exist_ok=True)
        with lock_file(lock, self.folder, "build of this view cache"):
            sweep(self.folder)
            sweep(self._work)
            if self.exists:
                if not before and (cache := self._whole(workers, report)) is not None:
                    return cache  # another process has just built it
                if self._work.exists():
                    shutil.rmtree(self._work)
                self.folder.replace(self._work)
            self._work.mkdir(exist_ok=True)
            self._fill(workers, report)
            self.head.save(self._work)
            if wrong := self._damaged(ViewCache(self._work), workers, lambda stage, done, total: None):
                raise DataError(self._work, f"{len(wrong)} views differ from what was written",
                                "Check the disk, and run the command again.")
            self._work.replace(self.folder)
        sync_folder(self.folder.parent)
        forget_caches(self.source)
        return ViewCache(self.folder)

    def _whole(self, workers: int | None, report: Progress) -> ViewCache | None:
        """Return the existing cache, or None if it is damaged."""
        with contextlib.suppress(TileError):
            cache = ViewCache(self.folder)
            if not self._damaged(cache, workers, report) and cache.head.renderer == self.head.renderer:
                return cache
        return None

    def _damaged(self, cache: ViewCache, workers: int | None, report: Progress) -> list[int]:
        step, damaged = 64, list[int]()
        for done, found in enumerate(ordered_map(lambda first: cache.damaged(first, first + step),
                                                 range(0, len(cache), step), workers), 1):
            damaged += found
            report("checks", min(done * step, len(cache)), len(cache))
        return damaged

    def _fill(self, workers: int | None, report: Progress) -> None:
        head, step = self.head, self.grid.actions
        columns = [Rows.make(STORE, self._work / name, row, head.count) for name, row in head.columns.items()]
        rows = MarkedRows(columns, "crc", view_checksum)

        def draw(numbers: npt.NDArray[np.int64]) -> int:
            for number in numbers.tolist():
                rows.write(number, *self._draw(number))
            return len(numbers)

        marked, done = np.flatnonzero(columns[-1].read(0, head.count)["crc"]), 0
        for known in ordered_map(rows.known, _parts(marked, step), workers):
            done += int(known.sum())
            report("checks", done, len(marked))
        # Children of one cell are next to each other and to those of the next cell: their tiles are still decoded.
        for count in ordered_map(draw, _parts(np.concatenate(list(rows.missing())), step), workers):
            done += count
            report("views", done, head.count)
        rows.flush()
        if map_content(self.source, head.content.levels, head.content).digest != head.content.digest:
            shutil.rmtree(self._work)
            raise TileError(self.source.name, "its tiles changed while its views were drawn", "Run the command again.")

    def _draw(self, number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.void]]:
        """Return a view's pixels and its `FACT`."""
        cell = self.grid.cell(view_sequence(self.grid, number))
        view = self.source.view(cell.centre.lat, cell.centre.lon, cell.size_m, self.head.pixels)
        if view.level not in self.head.content.levels:
            raise TileError(self.source.name, f"a view was drawn from level {view.level}, which was not expected",
                            "Report this to the authors: the levels of views are found at sampled cells.")
        return view.pixels, np.array((view.no_data, view.level, 0), FACT)


def build_view_cache(source: Map, grid: ZoomGrid | None = None, pixels: int = 384, out: Path | str | None = None,
                     workers: int | None = None, progress: Progress | None = None) -> ViewCache:
    """Build a view cache, or check the existing one; arguments and errors are those of `ViewCacheBuild`."""
    return ViewCacheBuild(source, grid, pixels, out, progress).run(workers, progress)


def _heads(place: Path, stem: str) -> list[CacheHead]:
    """Return the heads of the readable caches in a folder."""
    found = []
    for path in sorted(place.glob(f"{stem}-*/{HEAD}")) if place.is_dir() else ():
        with contextlib.suppress(JustZoomInError):
            found.append(CacheHead.load(path.parent))
    return found


def _parts(numbers: npt.NDArray[np.int64], step: int) -> Iterator[npt.NDArray[np.int64]]:
    return (numbers[start:start + step] for start in range(0, len(numbers), step))
