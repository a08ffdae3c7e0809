"""Checks whether a map suits a zoom grid: coverage, missing and blank tiles, resolution, scale, unused levels."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from justzoomin.checks.cellcover import CellCover, cell_cover, has_tile
from justzoomin.checks.map_report import LevelCheck, MapCheck
from justzoomin.checks.map_verdict import judge
from justzoomin.checks.needs import ViewNeed, view_needs
from justzoomin.checks.tilequality import level_quality
from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import Map, grid_scale, scale_warning
from justzoomin.tiles import TileProjection, TileTable

Progress = Callable[[str, int, int], None]

TILE_SAMPLE = 200
"""Tiles decoded of each level that the grid uses."""
LISTED = 20
"""Most missing tiles that are named."""


def check_map(source: Map, grid: ZoomGrid | None = None, *, pixels: int = 384, tiles: int = TILE_SAMPLE, seed: int = 0,
              places: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None,
              progress: Progress | None = None) -> MapCheck:
    """Check before training what a map has for a zoom grid. This draws no view, but decodes a sample of tiles.

    Args:
        source: The map.
        grid: The zoom grid; default: the map's.
        pixels: Edge of the views in pixels.
        tiles: Tiles to decode of each level that is used.
        seed: Seed of the sample.
        places: Latitudes and longitudes (N,) of photos, to count those at places without a tile.
        progress: Called with the stage, how many are done and how many there are.

    Raises:
        ConfigError: If the number of pixels or tiles is not valid, or the tiles come from a server.
        TileError: If a level's tiles cannot be listed.
        GeometryError: If the projection fails in the region.
    """
    if not 8 <= pixels <= 8192:
        raise ConfigError("pixels", f"views of {pixels} px", "Give 8 to 8192.")
    if tiles < 1:
        raise ConfigError("tiles", f"{tiles} tiles to decode", "Give at least 1.")
    if not source.listed:
        raise ConfigError(source.name, "a tile server does not list its tiles, so nothing can be counted",
                          "Build a map of the area first: jzi map build.")
    grid = grid or source.grid
    projection = TileProjection(source.layout, source.name)
    needs = view_needs(projection, grid, pixels, source.source.has_level)
    tables = {level: source.source.table(level) for level in sorted({n.map_level for n in needs})}
    levels: list[LevelCheck] = []
    covers: list[CellCover] = []
    wanted: dict[int, list[npt.NDArray[np.int64]]] = {}
    for done, need in enumerate(needs, 1):
        table = tables[need.map_level]
        cover = cell_cover(grid, need.level, table, projection, seed)
        without = None
        if places is not None:
            without = int(np.count_nonzero(~has_tile(projection, table, *places)))
        covers.append(cover)
        wanted.setdefault(need.map_level, []).append(cover.needed[cover.there])
        levels.append(_level_check(need, cover, projection, without))
        if progress:
            progress("coverage", done, len(needs))
    qualities = []
    for done, (level, parts) in enumerate(sorted(wanted.items()), 1):
        if len(tables[level]):
            qualities.append(level_quality(source, tables[level], np.unique(np.concatenate(parts), axis=0), tiles, seed))
        if progress:
            progress("tiles", done, len(wanted))
    places_asked = 0 if places is None else len(places[0])
    problems, warnings = judge(tuple(levels), tuple(qualities), source.layout.min_zoom, places_asked)
    scale = grid_scale(projection, grid, pixels)
    off = scale_warning(source.layout.crs, scale)
    warnings = (off, *warnings) if off else warnings
    return MapCheck(
        source.name, grid, pixels, tuple(levels), tuple(qualities), _unused(source, set(tables)), source.layout.crs,
        source.layout.tile_axes, math.degrees(projection.convergence_rad(*grid.region.centre)), scale, places_asked,
        tuple(covers), problems, warnings)


def _level_check(need: ViewNeed, cover: CellCover, projection: TileProjection, without: int | None) -> LevelCheck:
    missing = cover.needed[~cover.there]
    first = missing[np.unique(np.linspace(0, max(0, len(missing) - 1), min(LISTED, len(missing))).astype(int))]
    centres = projection.to_latlon(projection.tile_to_crs(first + 0.5, need.map_level)) if len(first) else ()
    listed = tuple((int(x), int(y), round(float(lat), 6), round(float(lon), 6))
                   for (x, y), (lat, lon) in zip(first.tolist(), centres, strict=True))
    empty, whole = np.count_nonzero(cover.share == 0.0), np.count_nonzero(cover.share == 1.0)
    return LevelCheck(need, float(cover.share.mean()), len(cover.cells), int(empty), int(len(cover.cells) - empty - whole),
                      len(cover.needed), len(missing), listed, without)


def _unused(source: Map, used: set[int]) -> tuple[tuple[int, int, int], ...]:
    tables: list[TileTable] = [source.source.table(level) for level in source.source.levels() if level not in used]
    return tuple((t.level, len(t), int(t.sizes.sum())) for t in tables)
