"""WMTS: from a tile matrix set to a layout, including its projection and the order of its coordinates.

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
"""Edge of the pixel that scale denominators refer to. Source: OGC 07-057r7, 6.1."""
OTHER_SET = "Name another tile matrix set with --matrix-set, or build a map from rasters."
Rectangle = tuple[float, float, float, float]
"""West, south, east, north."""
_AUTHORITIES = ("epsg", "esri", "ignf", "ogc")
_WEB_MERCATOR = frozenset({"epsg:3857", "epsg:900913", "epsg:3785", "epsg:102100", "epsg:102113", "esri:102100", "esri:102113"})
"""Numbers of web mercator: its own, older ones and ESRI's."""


class Limits(NamedTuple):
    """The tiles that a layer has of a matrix: first and last column and row."""

    columns: tuple[int, int]
    rows: tuple[int, int]


@dataclass(frozen=True)
class _Level:
    """A tile matrix as stated; the order of the two numbers of its corner is not known yet."""

    name: str
    scale: float
    corner: tuple[float, float]
    tile_px: int
    columns: int
    rows: int


def set_layout(matrix_set: ElementTree.Element, where: str, limits: Mapping[str, Limits], area: Rectangle | None,
               ) -> tuple[TileLayout, tuple[Matrix, ...]]:
    """Return the layout of a tile matrix set, and its levels on the server.

    Args:
        matrix_set: The element.
        where: Its name for messages.
        limits: The tiles that the layer has of each matrix, by name. If there are any, other matrices are not used.
        area: The area of the layer, in degrees; None if it states none.

    Raises:
        LayoutError: If it cannot be a layout: degrees, tiles that are not square, levels that do not double, a wrong place.
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
    """Return the name and the pyproj object of a projection, in any spelling that servers use.

    The last word is the code, and an earlier one the authority, with a version between them or not:
    urn:ogc:def:crs:EPSG:6.18:3:3857, http://www.opengis.net/def/crs/EPSG/0/3857,
    http://www.opengis.net/gml/srs/epsg.xml#3857, EPSG:3857.

    Raises:
        LayoutError: If PROJ does not know it, its unit is degrees, or its axes are not one east and one north.
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
        raise LayoutError(where, f"{shown} is in degrees, but a map must be in metres", OTHER_SET)
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
        raise LayoutError(at, "its tiles are not square, or its numbers are not valid", OTHER_SET)
    return _Level(name, scale, (first, second), width, columns, rows)


def _numbers(levels: Sequence[_Level], where: str) -> list[int]:
    """Return the numbers of levels; 0 is the coarsest, and each next number is twice as fine.

    Raises:
        LayoutError: If scales do not double, or tiles have different sizes.
    """
    numbers = []
    for level in levels:
        step = math.log2(levels[0].scale / level.scale)
        if abs(step - round(step)) > 1e-4 or level.tile_px != levels[0].tile_px:
            one_level, other = printable(level.name, 60), printable(levels[0].name, 60)
            raise LayoutError(where, f"level {one_level} does not fit level {other}: "
                              "scales must double from level to level, and all tiles must have one size", OTHER_SET)
        numbers.append(round(step))
    if len(set(numbers)) != len(numbers):
        raise LayoutError(where, "two levels have the same scale", OTHER_SET)
    return numbers


def _corners(levels: Sequence[_Level], tiles: Sequence[float], projection: Any, area: Rectangle | None, where: str, *,
             north_first: bool) -> list[tuple[float, float]]:
    """Return east and north of every level's top left corner.

    The standard writes a corner in the projection's axis order. Many servers write it the other way round. So the order is
    used that puts more of the tiles into the area of the layer, or at least of the projection. If both fit equally, the
    standard's order is used.

    Raises:
        LayoutError: If the tiles are outside that area in both orders.
    """
    own = [level.corner[::-1] if north_first else level.corner for level in levels]
    place = _place(projection, area)
    if place is None:
        return own
    swapped = [(north, east) for east, north in own]
    shares = [max(_overlap(corner, level, tile, place) for corner, level, tile in zip(corners, levels, tiles, strict=True))
              for corners in (own, swapped)]
    if max(shares) == 0.0:
        raise LayoutError(where, f"its tiles begin at {levels[0].corner[0]:g} {levels[0].corner[1]:g} and do not touch "
                          "the area of the layer or its projection", OTHER_SET)
    return swapped if shares[1] > shares[0] * (1 + 1e-9) else own


def _overlap(corner: tuple[float, float], level: _Level, tile: float, place: Rectangle) -> float:
    """Return the area, in square units, that the tiles of a level cover of a rectangle."""
    east, north = corner
    wide = min(east + level.columns * tile, place[2]) - max(east, place[0])
    high = min(north, place[3]) - max(north - level.rows * tile, place[1])
    return max(0.0, wide) * max(0.0, high)


def _place(projection: Any, area: Rectangle | None) -> Rectangle | None:
    """Return the area of a layer in units of its projection, cut to the projection's area of use; None if neither is stated."""
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
    """Return the web map level of a set's coarsest level; None if the set is not the web mercator square."""
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
    """Return the tiles that a layer has of each matrix of a set, by the matrix's name; empty if it states no limits.

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
