"""Packages whose levels cover different places: the area of the levels in use, and tiles made from other levels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.imagery.areas import Area, area_bounds, check_area
from justzoomin.imagery.base import Pixels
from justzoomin.tiles import TileId, TileLayout, TileProjection, TileSource

COARSER = 4
"""Levels above a missing tile that are tried: the coarsest is enlarged 16 times."""
FINER = 3
"""Levels below a missing tile that are tried."""
_SOLID = 128
_BLANK = 12
_BLANK_SHARE = 0.95
"""A part shows nothing if this share of pixels is within 12 steps of black or of white: JPEG tiles are filled this way."""

Numbers = npt.NDArray[np.int64]


def covering(source: TileSource, level: int, finest: int, reach: int = COARSER) -> list[tuple[int, Numbers]]:
    """Return the tiles of a web mercator package that make a level's picture, as (level, tiles (N, 2)).

    They are the level's own, those that finer tiles can replace, and those of coarser levels without any finer tile: a
    coarse tile with a finer one only extends beyond the edge of the imagery that it was made from.
    """
    own = [source.table(level).tiles]
    own += [source.table(k).tiles >> (k - level) for k in source.levels() if level < k <= min(finest, level + FINER)]
    below, at = _distinct(np.concatenate(own)), level
    found = [(level, below)]
    for coarse in [k for k in reversed(source.levels()) if level - reach <= k < level]:
        up, there = _distinct(below >> (at - coarse)), source.table(coarse).tiles
        alone = there[~np.isin(_keys(there), _keys(up))]
        found.append((coarse, alone))
        below, at = np.concatenate([up, alone]), coarse
    return [(k, tiles) for k, tiles in found if len(tiles)]


def _keys(tiles: Numbers) -> Numbers:
    return (tiles[:, 0] << 32) + tiles[:, 1]


def _distinct(tiles: Numbers) -> Numbers:
    keys = np.unique(_keys(tiles))
    return np.stack([keys >> 32, keys & 0xFFFF_FFFF], -1)


def package_area(source: TileSource, layout: TileLayout, level: int, finest: int) -> Area:
    """Return the area of the tiles that make a level of a web mercator package, the shorter way around."""
    parts = covering(source, level, finest)
    low = np.concatenate([tiles << (level - k) for k, tiles in parts])
    high = np.concatenate([(tiles + 1) << (level - k) for k, tiles in parts])
    order = np.argsort(low[:, 0])
    starts, ends = low[order, 0], np.maximum.accumulate(high[order, 0])
    around, west, east = 2**level, int(starts[0]), int(ends[-1])
    gaps = starts[1:] - ends[:-1]
    if len(gaps) and gaps.max() > west + around - east:  # the widest gap is inside: the tiles cross the antimeridian
        west, east = int(starts[gaps.argmax() + 1]), int(ends[gaps.argmax()]) + around
    projection = TileProjection(layout)
    rows = np.array([[0, low[:, 1].min()], [0, high[:, 1].max()]])
    north, south = projection.to_latlon(projection.tile_to_crs(rows, level))[:, 0].tolist()
    degrees = [column / around * 360.0 - 180.0 for column in (west, east)]
    return check_area((south, degrees[0], north, degrees[1] - 360.0 if degrees[1] > 180.0 else degrees[1]))


def shared_area(area: Area, other: Area, where: str) -> Area:
    """Return the common part of two areas.

    Raises:
        TileError: If they have no common part.
    """
    west, south, east, north = area_bounds(area)
    parts = []
    for move in (-360.0, 0.0, 360.0):
        low, bottom, high, top = area_bounds(other)
        part = (max(west, low + move), max(south, bottom), min(east, high + move), min(north, top))
        if part[0] < part[2] and part[1] < part[3]:
            parts.append(part)
    if not parts:
        raise TileError("--area", f"{where} has no tile in this area",
                        "Give south, west, north, east in degrees, around the sources.")
    west, south, east, north = max(parts, key=lambda part: part[2] - part[0])
    turned = [lon - 360.0 if lon > 180.0 else lon + 360.0 if lon < -180.0 else lon for lon in (west, east)]
    return check_area((south, turned[0], north, turned[1]))


def replacement(tile: TileId, read: Callable[[TileId], Pixels | None], edge: int, levels: tuple[int, int]) -> Pixels | None:
    """Make a missing tile from finer tiles, or else from a coarser one; return None if there are none, or they show nothing.

    Args:
        tile: The tile, numbered as in web maps.
        read: Returns a tile, uint8 RGBA (edge, edge, 4), or None.
        edge: Edge of a tile in pixels.
        levels: Coarsest and finest level that may be used.
    """
    finer = _from_finer(tile, read, edge, min(levels[1], tile.level + FINER))
    return finer if finer is not None else _from_coarser(tile, read, edge, max(levels[0], tile.level - COARSER))


def _from_finer(tile: TileId, read: Callable[[TileId], Pixels | None], edge: int, finest: int) -> Pixels | None:
    if tile.level >= finest:
        return None
    four, found = np.zeros((2 * edge, 2 * edge, 4), np.uint8), False
    for row in (0, 1):
        for column in (0, 1):
            child = TileId(tile.level + 1, 2 * tile.x + column, 2 * tile.y + row)
            part = read(child)
            part = part if part is not None else _from_finer(child, read, edge, finest)
            if part is not None:
                found = True
                four[row * edge:(row + 1) * edge, column * edge:(column + 1) * edge] = part
    return _resampled(four, None, edge) if found else None


def _from_coarser(tile: TileId, read: Callable[[TileId], Pixels | None], edge: int, coarsest: int) -> Pixels | None:
    for level in range(tile.level - 1, coarsest - 1, -1):
        step = tile.level - level
        part = read(TileId(level, tile.x >> step, tile.y >> step))
        if part is None:
            continue
        size = edge / 2**step
        left, top = ((number - (number >> step << step)) * size for number in (tile.x, tile.y))
        shown = part[int(top):int(np.ceil(top + size)), int(left):int(np.ceil(left + size))]
        seen = shown[..., :3][shown[..., 3] >= _SOLID]
        blank = max((seen.max(-1) <= _BLANK).mean(), (seen.min(-1) >= 255 - _BLANK).mean()) if seen.size else 1.0
        if blank >= _BLANK_SHARE:
            return None
        scale = size / edge
        return _resampled(part, np.array([[scale, 0.0, left + scale / 2 - 0.5], [0.0, scale, top + scale / 2 - 0.5]]), edge)
    return None


def _resampled(pixels: Pixels, matrix: npt.NDArray[np.float64] | None, edge: int) -> Pixels:
    """Return RGBA pixels at the places that a matrix gives for output pixels; without a matrix, the average of them.

    Colours are weighted by their opacity.
    """
    import cv2

    weights = pixels[..., 3:].astype(np.float32)
    planes = np.concatenate([pixels[..., :3] * weights, weights], -1)
    drawn = cv2.resize(planes, (edge, edge), interpolation=cv2.INTER_AREA) if matrix is None else cv2.warpAffine(
        planes, matrix, (edge, edge), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
    weighted: npt.NDArray[np.float32] = np.asarray(drawn, np.float32)
    solid = weighted[..., 3:]
    values = np.concatenate([weighted[..., :3] / np.maximum(solid, np.float32(1e-3)), solid], -1)
    return np.asarray(np.clip(values + 0.5, 0, 255), np.uint8)
