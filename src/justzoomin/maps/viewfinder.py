"""The folders of view caches, and the search for one that fits a map's present tiles, grid and size."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import weakref
from dataclasses import dataclass
from pathlib import Path

from justzoomin.errors import JustZoomInError, TileError
from justzoomin.files import cache_home
from justzoomin.geometry import ZoomGrid, grid_to_dict
from justzoomin.maps.content import MapContent, map_content
from justzoomin.maps.map import Map
from justzoomin.maps.render import renderer_name
from justzoomin.maps.viewcache import FOLDER, HEAD, CacheHead, ViewCache

BUILDING = ".building"


@dataclass(frozen=True)
class FoundCache:
    """The result of a search: a usable cache or None, and a note about it or None."""

    cache: ViewCache | None
    note: str | None


_found: weakref.WeakKeyDictionary[Map, dict[tuple[ZoomGrid, int], FoundCache]] = weakref.WeakKeyDictionary()


def cache_places(source: Map) -> list[Path]:
    """Return the folders for view caches of a map, best first: `$JZI_VIEWS`, beside the map, the user's cache folder."""
    beside = source.source.folder or source.root.parent
    chosen = os.environ.get("JZI_VIEWS")
    places = [*([Path(chosen)] if chosen else []), beside / FOLDER]
    with contextlib.suppress(RuntimeError):  # no home folder
        places.append(cache_home() / "views")
    return places


def writable_place(places: list[Path]) -> Path:
    """Return the first folder that can be made and written; the last if none can, so that its error is reported.

    A map that is marked read-only is never changed, not even by root.
    """
    for place in places:
        nearest = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
        if stat.S_IMODE(nearest.stat().st_mode) & 0o222 and os.access(nearest, os.W_OK):
            return place
    return places[-1]


def cache_stem(source: Map, grid: ZoomGrid, pixels: int) -> str:
    """Return the first part of the name of a cache's folder, the same for all contents of a map."""
    layout = {key: value for key, value in source.layout.to_mapping().items() if key not in {"path", "url"}}
    text = json.dumps([layout, _plain(grid), pixels, renderer_name()], sort_keys=True)
    return f"{pixels}px-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def cache_name(source: Map, grid: ZoomGrid, pixels: int, content: MapContent) -> str:
    """Return the name of the folder for the views of a map with a content."""
    return f"{cache_stem(source, grid, pixels)}-{content.digest[:16]}"


def same_grid(one: ZoomGrid, other: ZoomGrid) -> bool:
    """Return whether two grids have the same cells."""
    return _plain(one) == _plain(other)


def _plain(grid: ZoomGrid) -> str:
    values = grid_to_dict(grid)
    floats = {key: [float(v) for v in value] if isinstance(value, list) else float(value) for key, value in values.items()}
    return json.dumps(floats, sort_keys=True)


def find_view_cache(source: Map, grid: ZoomGrid, pixels: int) -> FoundCache:
    """Find a complete cache of views of a map's present tiles. A process searches once per map."""
    known = _found.setdefault(source, {})
    key = (grid, pixels)
    if key not in known:
        known[key] = _search(source, grid, pixels)
    return known[key]


def cache_notes(source: Map) -> list[str]:
    """Return the notes about the view caches of a map that this process has searched for."""
    return [found.note for found in _found.get(source, {}).values() if found.note is not None]


def forget_caches(source: Map) -> None:
    """Search again when a cache is needed next, because one was built."""
    _found.pop(source, None)


def _search(source: Map, grid: ZoomGrid, pixels: int) -> FoundCache:
    caches, notes = [], []
    stem = cache_stem(source, grid, pixels) if source.listed else ""
    for place in cache_places(source) if source.listed else ():
        try:
            folders = sorted(p for p in place.glob(f"{stem}-*") if p.suffix != BUILDING and (p / HEAD).is_file())
        except OSError:
            continue
        for folder in folders:
            try:
                cache = ViewCache(folder)
                require_fit(cache.head, folder, grid, pixels)
            except JustZoomInError as error:
                notes.append(f"view cache not used: {error}")
                continue
            caches.append(cache)
    if not caches:
        return FoundCache(None, notes[0] if notes else None)
    now = _content_now(source, caches)
    for cache in caches:
        if cache.head.content.digest == now.digest and cache.head.content.levels == now.levels:
            return FoundCache(cache, f"view cache: {len(cache):,} views of {pixels} px are read from {cache.folder}")
    return FoundCache(None, f"view cache not used: the map's tiles are not those that {caches[0].folder} was drawn from; "
                            f"build it again with jzi map cache, or delete it")


def require_fit(head: CacheHead, where: Path, grid: ZoomGrid, pixels: int) -> None:
    """Refuse a cache of another grid, pixel size or renderer.

    Raises:
        TileError: If something differs; it names what.
    """
    remedy = "Do not give it, or build one that fits: jzi map cache."
    if not same_grid(head.grid, grid):
        raise TileError(where, "it holds the views of another region or grid", remedy)
    if head.pixels != pixels:
        raise TileError(where, f"it holds views of {head.pixels} px, not of {pixels}", remedy)
    if head.renderer != renderer_name():
        raise TileError(where, f"its views were drawn by {head.renderer[:100]!r}, but this is {renderer_name()!r}", remedy)


def _content_now(source: Map, caches: list[ViewCache]) -> MapContent:
    """Return the map's present content, from the records of the caches if possible; else read it and note it there."""
    levels = caches[0].head.content.levels
    records = [record for cache in caches for record in (cache.head.content, cache.head.seen) if record.levels == levels]
    now = map_content(source, levels, records)
    if now not in records:
        same = [cache for cache in caches if cache.head.content.digest == now.digest]
        for cache in same or caches:
            cache.remember(now)
    return now
