"""A map in numbers: levels, tiles, bytes, resolution, extent, coverage."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid, from_local
from justzoomin.tiles import TileId, TileProjection, TileSource, TileTable

_COVERAGE_POINTS = 128
_SAMPLED_TILES = 64


@dataclass(frozen=True)
class LevelInfo:
    """One level of a map.

    Args:
        level: The level.
        tiles: Number of its tiles; None if the source cannot list them.
        bytes: Bytes of their files; None if they cannot be listed.
        metres_per_pixel: Ground resolution at the region's centre.
        extent: South, west, north, east in degrees: the smallest rectangle around the tiles.
        coverage: Share of the region that has tiles, in [0, 1], sampled on 128 x 128 points; None as above.
    """

    level: int
    tiles: int | None
    bytes: int | None
    metres_per_pixel: float
    extent: tuple[float, float, float, float]
    coverage: float | None


@dataclass(frozen=True)
class MapInfo:
    """A map in numbers.

    Args:
        root: The folder that was opened.
        source: Where the tiles come from, `TileSource.kind`: "folder", "shards", "mbtiles", "pmtiles", "server, not listed" or
            the word of a plug-in's source.
        crs: The projection.
        tile_px: Edge of a tile in pixels.
        tiles: Number of all tiles.
        bytes: Bytes of their files.
        extent: South, west, north, east in degrees, over all levels.
        region_centre: Centre of the region, (lat, lon) in degrees.
        region_size_m: Edge of the region in metres.
        levels: The levels, coarsest first.
        fingerprint: Hash of the map's content.
        attribution: Whom to name, as the map states; None if it does not.
    """

    root: str
    source: str
    crs: str
    tile_px: int
    tiles: int
    bytes: int
    extent: tuple[float, float, float, float]
    region_centre: tuple[float, float]
    region_size_m: float
    levels: tuple[LevelInfo, ...]
    fingerprint: str
    attribution: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def level_info(table: TileTable, projection: TileProjection, grid: ZoomGrid) -> LevelInfo:
    """Summarize a level with at least one tile.

    Raises:
        GeometryError: If the projection fails at the region's centre.
    """
    return LevelInfo(table.level, len(table), int(table.sizes.sum()), metres_per_pixel(table.level, projection, grid),
                     level_extent(table, projection), _coverage(table, projection, grid))


def unlisted_level_info(level: int, projection: TileProjection, grid: ZoomGrid) -> LevelInfo:
    """Summarize a level whose tiles cannot be listed; its extent is the grid's region.

    Raises:
        GeometryError: If the projection fails at the region's centre.
    """
    lats, lons = zip(*grid.cell(()).corners, strict=True)
    return LevelInfo(level, None, None, metres_per_pixel(level, projection, grid),
                     (min(lats), min(lons), max(lats), max(lons)), None)


def metres_per_pixel(level: int, projection: TileProjection, grid: ZoomGrid) -> float:
    """Return the ground resolution of a level at the region's centre."""
    centre = grid.region.centre
    return float(1.0 / projection.pixels_per_metre(centre.lat, centre.lon)[level - projection.layout.min_zoom].mean())


def union(extents: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """Return the rectangle around some rectangles (south, west, north, east)."""
    south, west, north, east = zip(*extents, strict=True)
    return min(south), min(west), max(north), max(east)


def level_extent(table: TileTable, projection: TileProjection) -> tuple[float, float, float, float]:
    """Return south, west, north, east of the rectangle of tiles, from points on its border."""
    low, high = table.tiles.min(0), table.tiles.max(0) + 1
    steps = np.linspace(0.0, 1.0, 33)
    zeros, ones = np.zeros_like(steps), np.ones_like(steps)
    border = np.concatenate([np.stack(pair, -1) for pair in
                             ((steps, zeros), (steps, ones), (zeros, steps), (ones, steps))])
    places = projection.to_latlon(projection.tile_to_crs(low + border * (high - low), table.level))
    south, west = places.min(0)
    north, east = places.max(0)
    return float(south), float(west), float(north), float(east)


def _coverage(table: TileTable, projection: TileProjection, grid: ZoomGrid) -> float:
    """Return the share of the region's sample points that lie in a tile."""
    region = grid.region
    steps = (np.arange(_COVERAGE_POINTS) + 0.5) / _COVERAGE_POINTS
    east = region.east_m[0] + steps * region.size_m
    north = region.north_m[0] + steps * region.size_m
    lat, lon = from_local(region.reference_lat, region.reference_lon, east[None, :], north[:, None])
    lat, lon = np.broadcast_arrays(lat, lon)
    tiles = projection.position_to_tile(lat.ravel(), lon.ravel(), table.level)
    good = np.isfinite(tiles).all(1) & (np.abs(tiles) < 2**52).all(1)
    numbers = np.floor(tiles[good]).astype(np.int64)
    return float(np.count_nonzero(contains(table.tiles, numbers)) / len(tiles))


def contains(tiles: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which of `numbers` (M, 2) are among `tiles` (N, 2), as (M,) bool."""
    low, high = tiles.min(0), tiles.max(0)
    inside = ((numbers >= low) & (numbers <= high)).all(1)
    width = int(high[1] - low[1]) + 1
    flat = (tiles[:, 0] - low[0]) * width + tiles[:, 1] - low[1]
    wanted = (numbers[inside, 0] - low[0]) * width + numbers[inside, 1] - low[1]
    inside[inside] = np.isin(wanted, flat)
    found: npt.NDArray[np.bool_] = inside
    return found


def content_hash(projection: TileProjection, source: TileSource) -> str:
    """Return the SHA-256 over the layout, every tile's number and size, and all bytes of 64 tiles spread over each level.

    The hash is the same for a downloaded and an extracted map. It does not include the region. A changed tile of unchanged
    size outside the sample does not change it, because hashing all bytes of a city takes minutes.

    Raises:
        TileError: If a shard or folder cannot be read.
    """
    layout = projection.layout
    place = {key: value for key, value in layout.to_mapping().items() if key not in {"path", "url"}}
    digest = hashlib.sha256(json.dumps(place, sort_keys=True).encode())
    for level in source.levels():
        table = source.table(level)
        digest.update(f"level {level}: {len(table)} tiles".encode())
        digest.update(np.ascontiguousarray(np.column_stack([table.tiles, table.sizes]), "<i8").tobytes())
        for index in np.unique(np.linspace(0, len(table) - 1, min(_SAMPLED_TILES, len(table))).astype(int)):
            x, y = table.tiles[index].tolist()
            digest.update(source.read(TileId(level, x, y)) or b"")
    return digest.hexdigest()
