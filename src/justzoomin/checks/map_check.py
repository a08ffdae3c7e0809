"""Whether a map can serve a zoom grid: coverage, missing and blank tiles, resolution, scale, levels that nothing needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from justzoomin.checks.cellcover import CellCover, cell_cover, has_tile
from justzoomin.checks.map_verdict import judge
from justzoomin.checks.needs import ViewNeed, view_needs
from justzoomin.checks.tilequality import LevelQuality, level_quality
from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid, grid_to_dict
from justzoomin.maps import Map, ViewScale, grid_scale, scale_warning
from justzoomin.tiles import TileProjection, TileTable

Verdict = Literal["good", "usable with warnings", "cannot be trained on"]
Progress = Callable[[str, int, int], None]

TILE_SAMPLE = 200
"""Tiles decoded of each level that the grid uses."""
LISTED = 20
"""Missing tiles that are named."""


@dataclass(frozen=True)
class LevelCheck:
    """One level of the grid against the map.

    Args:
        need: What its views ask for, and the map level that serves them.
        coverage: Share of the cells' area that has tiles, in [0, 1].
        looked_at: Cells looked at; all of them up to 16 384.
        empty: Of these, cells without any tile.
        partly: Of these, cells that lack a part.
        tiles_needed: Tiles of the map level that these cells touch.
        tiles_missing: How many of them do not exist.
        first_missing: Some of the missing: x, y and their centre's latitude and longitude.
        places_without: Photos (or other places asked about) that stand where the level has no tile; None if none asked.
    """

    need: ViewNeed
    coverage: float
    looked_at: int
    empty: int
    partly: int
    tiles_needed: int
    tiles_missing: int
    first_missing: tuple[tuple[int, int, float, float], ...]
    places_without: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        rest = {k: v for k, v in asdict(self).items() if k not in {"need", "first_missing"}}
        missing = [dict(zip(("x", "y", "lat", "lon"), tile, strict=True)) for tile in self.first_missing]
        return {**self.need.to_dict(), **rest, "first_missing": missing}


@dataclass(frozen=True)
class MapCheck:
    """What a map has for a grid.

    Args:
        root: The map's folder.
        grid: The zoom grid.
        pixels: Edge of a view in pixels.
        levels: The grid's levels whose cells are looked at, coarsest first.
        qualities: A sample of tiles of each map level that serves them.
        unused: Map levels that no view is drawn from: level, tiles, bytes.
        crs: The projection.
        tile_axes: Where tile x and tile y grow.
        convergence_deg: Angle from the projection's north to true north at the region's centre, counter-clockwise.
        scale: What the view shows that is farthest from what it should.
        places: How many places were asked about.
        covers: Per level, the cells that were looked at and their shares, for pictures.
        problems: Why the map cannot be trained on.
        warnings: What lowers the map's use, or should be looked at.
    """

    root: str
    grid: ZoomGrid
    pixels: int
    levels: tuple[LevelCheck, ...]
    qualities: tuple[LevelQuality, ...]
    unused: tuple[tuple[int, int, int], ...]
    crs: str
    tile_axes: tuple[str, str]
    convergence_deg: float
    scale: ViewScale
    places: int
    covers: tuple[CellCover, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """`good`, `usable with warnings` or `cannot be trained on`."""
        return "cannot be trained on" if self.problems else "usable with warnings" if self.warnings else "good"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        centre = self.grid.region.centre
        return {
            "root": self.root, "verdict": self.verdict, "problems": list(self.problems), "warnings": list(self.warnings),
            "pixels": self.pixels, "region": grid_to_dict(self.grid), "region_centre": list(centre),
            "crs": self.crs, "tile_axes": list(self.tile_axes), "convergence_deg": self.convergence_deg,
            "scale": self.scale.to_dict(),
            "levels": [level.to_dict() for level in self.levels],
            "tile_samples": [quality.to_dict() for quality in self.qualities],
            "unused_levels": [dict(zip(("level", "tiles", "bytes"), row, strict=True)) for row in self.unused],
            "places": self.places,
        }


def check_map(source: Map, grid: ZoomGrid | None = None, *, pixels: int = 384, tiles: int = TILE_SAMPLE, seed: int = 0,
              places: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None,
              progress: Progress | None = None) -> MapCheck:
    """Look at what a map has for a zoom grid, before any training. Draws no view; decodes a sample of tiles.

    Args:
        source: The map.
        grid: The zoom grid; the map's own if None.
        pixels: Edge of the views in pixels.
        tiles: Tiles to decode of each level that is used.
        seed: Seed of the sample.
        places: Latitudes and longitudes (N,) of photos, to count those that stand where there is no tile.
        progress: Called with the stage, how many are done and how many there are.

    Raises:
        ConfigError: If the number of pixels or tiles makes no sense, or the tiles come from a server.
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
