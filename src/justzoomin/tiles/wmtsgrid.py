"""WMTS: from a tile matrix set to a layout, its projection and the order of its coordinates included.

Source: OGC 07-057r7, OpenGIS Web Map Tile Service Implementation Standard, version 1.0.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from justzoomin.errors import LayoutError
from justzoomin.tiles.layout import TileLayout, web_layout
from justzoomin.tiles.server import Matrix
from justzoomin.tiles.xmltree import children, one, text
from justzoomin.untrusted import printable

PIXEL_M = 0.00028
"""Edge of the pixel that scale denominators are for. Source: OGC 07-057r7, 6.1."""
OTHER_SET = "Name another tile matrix set with --matrix-set, or build a map from rasters."
Rectangle = tuple[float, float, float, float]
"""West, south, east, north."""
_AUTHORITIES = ("epsg", "esri", "ignf", "ogc")
_WEB_MERCATOR = frozenset({"epsg:3857", "epsg:900913", "epsg:3785", "epsg:102100", "epsg:102113", "esri:102100", "esri:102113"})
"""Names of web mercator from before it had its own number, and ESRI's."""


class Limits(NamedTuple):
    """The tiles of a matrix that a layer has: first and last column and row."""

    columns: tuple[int, int]
    rows: tuple[int, int]


@dataclass(frozen=True)
class _Level:
    """A tile matrix as stated: its corner is two numbers whose order is not known yet."""

    name: str
    scale: float
    corner: tuple[float, float]
    tile_px: int
    columns: int
    rows: int


def set_layout(matrix_set: ElementTree.Element, where: str, limits: Mapping[str, Limits], area: Rectangle | None,
               ) -> tuple[TileLayout, tuple[Matrix, ...]]:
    """The layout of a tile matrix set, and what its levels are on the server.

    Args:
        matrix_set: The element.
        where: Its name for messages.
        limits: What the layer has of a matrix, by the matrix's name. Where there are any, other matrices are not there.
        area: What the layer covers, in degrees; None where it does not say.

    Raises:
        LayoutError: If it cannot be one: degrees, tiles that are not square, levels that do not double, a place elsewhere.
    """
    crs, projection = _projection(text(matrix_set, "SupportedCRS"), where)
    north_first = projection.axis_info[0].direction == "north"
    unit_m = float(projection.axis_info[0].unit_conversion_factor)
    own = text(matrix_set, "Identifier")
    known = {**limits, **{name.removeprefix(f"{own}:"): limit for name, limit in limits.items()}}
    levels = sorted((_level(entry, where) for entry in children(matrix_set, "TileMatrix")), key=lambda level: -level.scale)
    levels = [level for level in levels if not limits or level.name in known]
    if not levels:
        raise LayoutError(where, "the layer's limits name none of its levels", OTHER_SET)
    numbers = _numbers(levels, where)
    tiles = [level.scale * PIXEL_M / unit_m * level.tile_px for level in levels]
    corners = _corners(levels, tiles, projection, area, where, north_first=north_first)
    first = _web_level(crs, corners, tiles[0])
    matrices = tuple(_matrix(level, number + (first or 0), known.get(level.name))
                     for level, number in zip(levels, numbers, strict=True))
    tile_px, finest = levels[0].tile_px, matrices[-1].level
    if first is not None:
        return web_layout(first, finest, tile_px), matrices
    width, height = levels[0].columns * tiles[0], levels[0].rows * tiles[0]
    west, north = corners[0]

    def in_order(east: float, north: float) -> tuple[float, float]:
        return (north, east) if north_first else (east, north)

    shifts = tuple((number, in_order(x - west, y - north)) for number, (x, y) in zip(numbers, corners, strict=True)
                   if (x, y) != (west, north))
    layout = TileLayout(crs=crs, tile_shape_px=(tile_px, tile_px), tile_shape_crs=(tiles[0], tiles[0]),
                        origin_crs=in_order(west, north - height), size_crs=in_order(width, height),
                        tile_axes=("east", "south"), min_zoom=0, max_zoom=finest, shifts=shifts)
    return layout, matrices


def _projection(stated: str, where: str) -> tuple[str, Any]:
    """A projection in all the spellings that servers have, and as pyproj has it.

    The last word is the code, an earlier one the authority; a version may stand between: urn:ogc:def:crs:EPSG:6.18:3:3857,
    http://www.opengis.net/def/crs/EPSG/0/3857, http://www.opengis.net/gml/srs/epsg.xml#3857, EPSG:3857.

    Raises:
        LayoutError: If PROJ does not know it, it counts degrees, or its axes are not one east and one north.
    """
    import pyproj

    words = [word.removesuffix(".xml") for word in re.split(r"[:/#]+", stated.strip().lower()) if word]
    authority = next((word for word in reversed(words[:-1]) if word in _AUTHORITIES), None)
    if len(words) == 1 and words[0].isdigit():
        authority = "epsg"
    shown = printable(stated, 80)
    found = None
    for name in (authority, "esri" if authority == "epsg" else None):  # ESRI's numbers are often written as EPSG's
        crs = f"{name}:{words[-1]}" if name else ""
        crs = "epsg:3857" if crs in _WEB_MERCATOR else crs if name == "epsg" else crs.upper()
        try:
            found = pyproj.CRS.from_user_input(crs)
            break
        except pyproj.exceptions.CRSError:
            continue
    if found is None:
        raise LayoutError(where, f"PROJ does not know {shown!r}", OTHER_SET)
    if not found.is_projected:
        raise LayoutError(where, f"{shown} counts degrees, and a map is in metres", OTHER_SET)
    directions = [axis.direction for axis in found.axis_info]
    if sorted(directions) != ["east", "north"]:
        raise LayoutError(where, f"the axes of {shown} are {', '.join(directions)}", OTHER_SET)
    return crs, found


def _level(entry: ElementTree.Element, where: str) -> _Level:
    name = text(entry, "Identifier")
    at = f"{where}: level {printable(name, 60)}"
    try:
        scale = float(text(entry, "ScaleDenominator"))
        first, second = (float(part) for part in text(entry, "TopLeftCorner").split())
        width, height, columns, rows = (
            int(text(entry, key)) for key in ("TileWidth", "TileHeight", "MatrixWidth", "MatrixHeight"))
    except ValueError as error:
        raise LayoutError(at, "its numbers cannot be read", OTHER_SET) from error
    sound = 1e-3 < scale < 1e12 and all(math.isfinite(v) and abs(v) < 1e10 for v in (first, second))
    if not sound or width != height or not 0 < width <= 4096 or not (0 < columns < 2**40 and 0 < rows < 2**40):
        raise LayoutError(at, "its tiles are not square, or its numbers make no sense", OTHER_SET)
    return _Level(name, scale, (first, second), width, columns, rows)


def _numbers(levels: Sequence[_Level], where: str) -> list[int]:
    """Numbers of levels, from 0 for the coarsest, each twice as fine as the one before it.

    Raises:
        LayoutError: If scales do not double, or tiles have several sizes.
    """
    numbers = []
    for level in levels:
        step = math.log2(levels[0].scale / level.scale)
        if abs(step - round(step)) > 1e-4 or level.tile_px != levels[0].tile_px:
            one_level, other = printable(level.name, 60), printable(levels[0].name, 60)
            raise LayoutError(where, f"level {one_level} does not fit the level {other}: scales must double from level to "
                              "level, and all tiles must have one size", OTHER_SET)
        numbers.append(round(step))
    if len(set(numbers)) != len(numbers):
        raise LayoutError(where, "two levels have the same scale", OTHER_SET)
    return numbers


def _corners(levels: Sequence[_Level], tiles: Sequence[float], projection: Any, area: Rectangle | None, where: str, *,
             north_first: bool) -> list[tuple[float, float]]:
    """East and north of every level's top left corner.

    The standard has a corner in the projection's own order. Many servers write it the other way round; so the order counts
    in which more of the tiles lie where the layer, or at least the projection, is. Where both fit equally, the standard counts.

    Raises:
        LayoutError: If they lie there in neither order.
    """
    own = [level.corner[::-1] if north_first else level.corner for level in levels]
    place = _place(projection, area)
    if place is None:
        return own
    swapped = [(north, east) for east, north in own]
    shares = [max(_overlap(corner, level, tile, place) for corner, level, tile in zip(corners, levels, tiles, strict=True))
              for corners in (own, swapped)]
    if max(shares) == 0.0:
        raise LayoutError(where, f"its tiles begin at {levels[0].corner[0]:g} {levels[0].corner[1]:g} and do not touch the "
                          "area that the layer or its projection is for", OTHER_SET)
    return swapped if shares[1] > shares[0] * (1 + 1e-9) else own


def _overlap(corner: tuple[float, float], level: _Level, tile: float, place: Rectangle) -> float:
    """How much of a place, in square units, the tiles of a level cover."""
    east, north = corner
    wide = min(east + level.columns * tile, place[2]) - max(east, place[0])
    high = min(north, place[3]) - max(north - level.rows * tile, place[1])
    return max(0.0, wide) * max(0.0, high)


def _place(projection: Any, area: Rectangle | None) -> Rectangle | None:
    """Where a layer is, in units of its projection: its own area, cut to where the projection is meant to be used.

    None where nothing says it.
    """
    import pyproj

    use = projection.area_of_use
    meant = None if use is None or use.west >= use.east else (use.west, use.south, use.east, use.north)
    if area is not None and meant is not None:
        both = max(area[0], meant[0]), max(area[1], meant[1]), min(area[2], meant[2]), min(area[3], meant[3])
        area = both if both[0] < both[2] and both[1] < both[3] else area
    area = area or meant
    if area is None:
        return None
    to_crs = pyproj.Transformer.from_crs("epsg:4326", projection, always_xy=True)
    points = np.stack(to_crs.transform(*np.meshgrid(np.linspace(area[0], area[2], 21), np.linspace(area[1], area[3], 21))))
    points = points.reshape(2, -1)
    points = points[:, np.isfinite(points).all(0)]
    if not points.size:
        return None
    (west, south), (east, north) = points.min(1).tolist(), points.max(1).tolist()
    return west, south, east, north


def _web_level(crs: str, corners: Sequence[tuple[float, float]], tile: float) -> int | None:
    """The level of web maps that the coarsest level of a set is; None where the set is not the web mercator square."""
    if crs != "epsg:3857":
        return None
    size = web_layout(0, 0).tile_shape_crs[0]
    depth = math.log2(size / tile)
    begins = all(abs(east + size / 2) < 1.0 and abs(north - size / 2) < 1.0 for east, north in corners)
    return round(depth) if begins and depth > -1e-4 and abs(depth - round(depth)) < 1e-4 else None


def _matrix(level: _Level, number: int, limit: Limits | None) -> Matrix:
    columns, rows = (0, level.columns - 1), (0, level.rows - 1)
    if limit is not None:
        columns, rows = ((max(whole[0], part[0]), min(whole[1], part[1]))
                         for whole, part in ((columns, limit.columns), (rows, limit.rows)))
    return Matrix(number, level.name, columns, rows)


def read_limits(link: ElementTree.Element, where: str) -> dict[str, Limits]:
    """What a layer has of each matrix of a set, by the matrix's name; empty where it states no limits.

    Raises:
        LayoutError: If the numbers cannot be read.
    """
    stated = one(link, "TileMatrixSetLimits")
    found = {}
    for entry in children(stated, "TileMatrixLimits") if stated is not None else ():
        try:
            low_row, high_row, low_column, high_column = (
                int(text(entry, key)) for key in ("MinTileRow", "MaxTileRow", "MinTileCol", "MaxTileCol"))
        except ValueError as error:
            raise LayoutError(where, "the limits of its tiles cannot be read", OTHER_SET) from error
        found[text(entry, "TileMatrix")] = Limits((low_column, high_column), (low_row, high_row))
    return found
