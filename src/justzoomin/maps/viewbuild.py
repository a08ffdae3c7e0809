"""Building a view cache: every view drawn once, in threads; what was written before a kill is kept.

The cache grows in a folder called as the final one with `.building` behind it, and is renamed when all in it was checked.
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
"""Called with a stage (`tiles`: hashing them, `views`: drawing them, `checks`), what is done and how much there is."""
_SPARE_BYTES = 16 << 20


class ViewCacheBuild:
    """A view cache to be built: sizes and places are settled when this is made, nothing is written before `run`.

    Args:
        source: The map.
        grid: The grid; the map's own if None.
        pixels: Edge of every view in pixels.
        out: Folder to put the cache's own folder into; by default one that it is found in by itself.
        progress: Called while tiles are hashed.
        max_views: Refuse more views than this.

    Raises:
        ConfigError: If the pixel size cannot be.
        GeometryError: If the grid has more views than are allowed.
        TileError: If the tiles come from a server or cannot be read.
    """

    def __init__(self, source: Map, grid: ZoomGrid | None = None, pixels: int = 384, out: Path | str | None = None,
                 progress: Progress | None = None, max_views: int = MAX_VIEWS) -> None:
        if not 1 <= pixels <= MAX_VIEW_PX:
            raise ConfigError(f"pixels {pixels}", "it is no edge of a view", f"Give 1 to {MAX_VIEW_PX}.")
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
        """Bytes of the whole cache."""
        return self.head.count * sum(row.itemsize for row in self.head.columns.values())

    @property
    def exists(self) -> bool:
        """Whether there is one already; `run` then checks it."""
        return (self.folder / HEAD).is_file()

    def require_room(self) -> None:
        """Refuse a disk that is too small.

        Raises:
            DataError: Naming what is needed and what is free.
        """
        if self.exists:
            return
        require_room(self.folder, self.bytes + _SPARE_BYTES, "the views",
                     "Free some room, choose another folder with --out, or fewer --pixels.",
                     files=[self._work / name for name in self.head.columns])

    def run(self, workers: int | None = None, progress: Progress | None = None) -> ViewCache:
        """Draw what is not there yet; a cache that is there is checked, and what is damaged of it drawn again.

        Args:
            workers: Threads; one per core if None.
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
                raise DataError(self._work, f"{len(wrong)} views were not read back as they were written",
                                "Check the disk, and run the command again.")
            self._work.replace(self.folder)
        sync_folder(self.folder.parent)
        forget_caches(self.source)
        return ViewCache(self.folder)

    def _whole(self, workers: int | None, report: Progress) -> ViewCache | None:
        """The cache that is there, or None if it is damaged."""
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
        # Children of one cell lie beside each other and beside those of the next: their tiles are still decoded.
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
            raise TileError(self.source.name, f"a view was drawn from level {view.level}, which was not looked for",
                            "Tell the authors: levels of views are found at sampled cells.")
        return view.pixels, np.array((view.no_data, view.level, 0), FACT)


def build_view_cache(source: Map, grid: ZoomGrid | None = None, pixels: int = 384, out: Path | str | None = None,
                     workers: int | None = None, progress: Progress | None = None) -> ViewCache:
    """Build a view cache, or check the one that is there; arguments and errors as of `ViewCacheBuild`."""
    return ViewCacheBuild(source, grid, pixels, out, progress).run(workers, progress)


def _heads(place: Path, stem: str) -> list[CacheHead]:
    """Heads of the caches in a folder that can be read."""
    found = []
    for path in sorted(place.glob(f"{stem}-*/{HEAD}")) if place.is_dir() else ():
        with contextlib.suppress(JustZoomInError):
            found.append(CacheHead.load(path.parent))
    return found


def _parts(numbers: npt.NDArray[np.int64], step: int) -> Iterator[npt.NDArray[np.int64]]:
    return (numbers[start:start + step] for start in range(0, len(numbers), step))
