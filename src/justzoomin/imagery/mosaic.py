"""Tiles as imagery: a server or a package, drawn on any raster."""

from __future__ import annotations

import io
import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError, TileError
from justzoomin.imagery.areas import Area, area_bounds, area_centre, check_area
from justzoomin.imagery.base import Bounds, Mask, Pixels
from justzoomin.imagery.gaps import COARSER, FINER, covering, replacement
from justzoomin.imagery.points import DEGREES, convert, convert_bounds, shifted, turn, unwrapped
from justzoomin.imagery.warp import warp
from justzoomin.tiles import TileId, TileLayout, TileProjection, TileSource, decode_tile

MAX_MOSAIC_PX = 1 << 26
"""Most pixels of the tiles that are joined for one raster."""
_BORDER_PX = 4
"""Pixels beyond a raster that smooth interpolation at its edge uses."""
_SOLID = 128
"""Pixels with less opacity than this have no data."""
_ALIGNED = 1e-3
"""A raster is copied, not resampled, if its corner is within this many pixels of the tiles' pixel corners."""


class _Window(NamedTuple):
    """A rectangle of a level's pixels: rows and columns, half open."""

    top: int
    left: int
    bottom: int
    right: int


class TileMosaic:
    """The tiles of a source inside an area, as one picture. It implements `Imagery` and can be pickled.

    A raster is drawn from the coarsest level that is as fine as it, or else from the finest. It is averaged if it shrinks,
    interpolated if not, and copied if the pixels of raster and tiles coincide.

    Args:
        name: File or address, for messages.
        source: Where the tiles come from.
        layout: Their layout.
        area: South, west, north, east in degrees; nothing outside is read.
        attribution: Whom to name.
        max_level: Finest level to use; default: that of the layout.
        fills: Whether tiles of other levels replace missing ones; for packages, whose tiles are listed.

    Raises:
        GeometryError: If the area is not valid, or the projection fails there.
    """

    def __init__(self, name: str, source: TileSource, layout: TileLayout, area: Area,
                 attribution: str = "", max_level: int | None = None, *, fills: bool = False) -> None:
        self.source, self.layout, self._fills = source, layout, fills
        self.area = check_area(area)
        self.max_level = layout.max_zoom if max_level is None else max_level
        self._name, self._attribution = name, attribution
        self._projection = TileProjection(layout, name)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in {"_axes", "_east_axis", "_extent", "_levels"}}

    @property
    def name(self) -> str:
        """File or address, for messages."""
        return self._name

    @property
    def crs(self) -> str:
        """The tiles' projection."""
        return self.layout.crs

    @property
    def attribution(self) -> str:
        """Whom to name."""
        return self._attribution

    def require_level(self, metres_per_pixel: float) -> None:
        """Make sure, with a few requests, that a server has the level that a ground resolution is drawn from.

        Raises:
            TileError: If it has no tile of that level in the area; it names the finest level that has one.
        """
        self.source.require_level(self.level_for(metres_per_pixel), self._extent)

    def holes(self) -> str:
        """Return a text that says how many tiles held no data, and why; empty if none."""
        found = self.source.no_tiles
        return f"{self.name}: {found.describe()}." if found else ""

    def bounds(self, crs: str) -> Bounds:
        """Return its extent in a projection.

        Raises:
            TileError: If the projection fails there.
        """
        return _project(DEGREES, crs, area_bounds(self.area), self._name)

    def metres_per_pixel(self) -> float:
        """Return the ground resolution of its finest level at its centre, in metres."""
        return self.level_metres_per_pixel(self._levels[-1])

    def level_metres_per_pixel(self, level: int) -> float:
        """Return the ground resolution of a level at its centre, in metres.

        Raises:
            GeometryError: If the projection fails there.
        """
        scale = self._projection.pixels_per_metre(*area_centre(self.area))[level - self.layout.min_zoom]
        return float(1.0 / scale.mean())

    def level_for(self, metres_per_pixel: float) -> int:
        """Return the level from which a ground resolution at its centre is drawn."""
        return self._level(metres_per_pixel / self.metres_per_pixel() * self._pixel_crs(self._levels[-1]))

    def count_tiles(self, level: int) -> int:
        """Return how many tiles of a level its area touches."""
        window = self._window(self._extent, level)
        edge, around = self.layout.tile_px, self._columns_around(level)
        rows = math.ceil(window.bottom / edge) - window.top // edge
        columns = math.ceil(window.right / edge) - window.left // edge
        return rows * (min(columns, around) if around else columns)

    def remark(self, metres_per_pixel: float) -> str:
        """Return a text about the tiles to fetch, or missing ones, at a ground resolution; empty if there are none."""
        level = self.level_for(metres_per_pixel)
        if self._fills:
            return self._gaps(level)
        pace = self.source.requests_per_second
        if pace is None:
            return ""
        count = self.count_tiles(level)
        minutes = count / pace / 60
        return (f"{self.name}: up to {count:,} tiles of level {level} are fetched, {minutes:,.0f} minutes at "
                f"{pace:g} a second. Its terms must allow it.")

    def _gaps(self, level: int) -> str:
        """Return a text that says what replaces missing tiles of a level; empty if it has all."""
        here = {k: self._count_there(k) for k in self._levels if k >= level - COARSER}
        share = here[level] / self.count_tiles(level)
        found = []
        if share < 1:
            others = [str(k) for k, count in here.items() if k != level and k <= level + FINER and count]
            instead = f"missing ones are made from tiles of level {', '.join(others)} that show something" if others else \
                "the rest has no data"
            found.append(f"level {level} has tiles for {share:.2%} of the area; {instead}.")
        beyond = [k for k, _ in covering(self.source, level, self._levels[-1], level) if k < level - COARSER]
        if beyond:
            found.append(f"level {max(beyond)} and coarser cover more than level {level} and the {COARSER} above it; "
                         "for a map of that area, give a coarser --gsd-m or --max-zoom.")
        return f"{self.name}: {' '.join(found)}" if found else ""

    def _count_there(self, level: int) -> int:
        """Return how many tiles of a level exist in the area."""
        window, edge, around = self._window(self._extent, level), self.layout.tile_px, self._columns_around(level)
        tiles, first = self.source.table(level).tiles, window.left // edge
        columns = first + (tiles[:, 0] - first) % around if around else tiles[:, 0]
        inside = (columns >= first) & (columns < math.ceil(window.right / edge))
        inside &= (tiles[:, 1] >= window.top // edge) & (tiles[:, 1] < math.ceil(window.bottom / edge))
        return int(np.count_nonzero(inside))

    def read(self, crs: str, bounds: Bounds, width: int, height: int) -> tuple[Pixels, Mask]:
        """Return its pixels on a north-up raster of a projection; see `Imagery.read`.

        Raises:
            TileError: If the raster cannot be drawn from any level, or a tile cannot be read.
            MissingExtraError: If rasterio is not installed and something must be resampled.
        """
        pixels, mask = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_)
        same = crs.strip().lower() == self.crs.strip().lower()
        wanted = bounds if same else _project(crs, self.crs, bounds, self._name)
        wanted = shifted(self.crs, wanted, (self._extent[0] + self._extent[2]) / 2)
        if same:
            bounds = wanted
        if not (max(wanted[0], self._extent[0]) < min(wanted[2], self._extent[2])
                and max(wanted[1], self._extent[1]) < min(wanted[3], self._extent[3])):
            return pixels, mask
        step = self._step(crs, bounds, width, height)
        level = self._level(step)
        if same:
            copied = self._copy(level, bounds, width, height)
            if copied is not None:
                return copied
        border = _BORDER_PX * max(step, self._pixel_crs(level))
        window = self._window((wanted[0] - border, wanted[1] - border, wanted[2] + border, wanted[3] + border), level)
        window = _cut(window, self._window(self._extent, level))
        if (window.bottom - window.top) * (window.right - window.left) > MAX_MOSAIC_PX:
            raise TileError(self._name, f"a raster of {width} x {height} px would need "
                            f"{window.right - window.left} x {window.bottom - window.top} px of level {level}",
                            "Use finer pixels or a smaller area.")
        tiles = self._mosaic(level, window)
        there = tiles[..., 3] >= _SOLID
        if not there.any():
            return pixels, mask
        edge = self._pixel_crs(level)
        x, y = self._corner(level, window.top, window.left)
        target = ((bounds[2] - bounds[0]) / width, 0.0, bounds[0], 0.0, (bounds[1] - bounds[3]) / height, bounds[3])
        return warp(tiles[..., :3], there, (self.crs, (edge, 0.0, x, 0.0, -edge, y)), (crs, target), width, height, step / edge)

    @cached_property
    def _axes(self) -> tuple[int, int]:
        """The indexes of east and north in the projection's axis order."""
        import pyproj

        axes = [axis.direction for axis in pyproj.CRS.from_user_input(self.crs).axis_info]
        if sorted(axes) != ["east", "north"]:
            raise GeometryError(f"{self._name}: {self.crs[:80]}", f"its axes are {axes}",
                                "Use tiles with one axis east and one north.")
        return axes.index("east"), axes.index("north")

    @cached_property
    def _east_axis(self) -> int:
        """The index of the tile axis that goes east or west."""
        return next(k for k, axis in enumerate(self.layout.tile_axes) if axis in {"east", "west"})

    @cached_property
    def _extent(self) -> Bounds:
        """The area in the tiles' projection; wider by a turn to east and west if it goes around the earth."""
        west, south, east, north = self.bounds(self.crs)
        around = turn(self.crs)
        return (west - around, south, east + around, north) if around and east - west >= around * (1 - 1e-9) else \
            (west, south, east, north)

    def _columns_around(self, level: int) -> int:
        """Return how many tiles of a level go around the earth before they repeat; 0 if they do not repeat."""
        around = turn(self.crs)
        count = 0.0 if around is None else around / self.layout.tile_size_crs(level)
        return round(count) if count and abs(count - round(count)) < 1e-6 * count else 0

    @cached_property
    def _levels(self) -> list[int]:
        """The usable levels, coarsest first."""
        levels = [level for level in self.source.levels() if level <= self.max_level]
        if not levels:
            raise TileError(self._name, f"it has no level up to {self.max_level}", "Give a finer level as --max-zoom.")
        return levels

    def _pixel_crs(self, level: int) -> float:
        """Return the edge of a level's pixel in the projection's units."""
        return self.layout.tile_size_crs(level) / self.layout.tile_px

    def _level(self, step: float) -> int:
        """Return the coarsest level with pixels of at most `step`, in the projection's units, or else the finest."""
        return next((level for level in self._levels if self._pixel_crs(level) <= step * (1 + 1e-3)), self._levels[-1])

    def _step(self, crs: str, bounds: Bounds, width: int, height: int) -> float:
        """Return the edge of the raster's pixels in the tiles' projection at the raster's centre, on the finer of its axes."""
        x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
        across, down = (bounds[2] - bounds[0]) / width, (bounds[3] - bounds[1]) / height
        xs, ys = convert(crs, self.crs, [x, x + across, x], [y, y, y + down])
        xs = unwrapped(self.crs, xs, float(xs[0]))
        steps = np.hypot(xs[1:] - xs[0], ys[1:] - ys[0])
        if not (np.isfinite(steps).all() and (steps > 0).all()):
            raise TileError(self._name, f"the projection {self.crs[:80]} fails on the raster",
                            "Use a raster nearer to its area.")
        return float(steps.min())

    def _window(self, bounds: Bounds, level: int) -> _Window:
        """Return the pixels of a level that a rectangle touches."""
        ends = np.empty((2, 2))
        ends[:, self._axes[0]], ends[:, self._axes[1]] = (bounds[0], bounds[2]), (bounds[3], bounds[1])
        (top, left), (bottom, right) = self._projection.tile_to_pixel(self._projection.crs_to_tile(ends, level))
        small = 1e-6
        return _Window(math.floor(top + small), math.floor(left + small), math.ceil(bottom - small), math.ceil(right - small))

    def _corner(self, level: int, row: float, column: float) -> tuple[float, float]:
        """Return east and north of the upper left corner of a pixel."""
        place = self._projection.tile_to_crs(self._projection.pixel_to_tile(np.array([row, column], np.float64)), level)
        return float(place[self._axes[0]]), float(place[self._axes[1]])

    def _copy(self, level: int, bounds: Bounds, width: int, height: int) -> tuple[Pixels, Mask] | None:
        """Return the raster's pixels copied from the tiles; None if their pixels do not coincide."""
        edge = self._pixel_crs(level)
        x, y = self._corner(level, 0, 0)
        left, top = (bounds[0] - x) / edge, (y - bounds[3]) / edge
        right, bottom = (bounds[2] - x) / edge, (y - bounds[1]) / edge
        whole = (round(top), round(left), round(bottom), round(right))
        off = max(abs(a - b) for a, b in zip((top, left, bottom, right), whole, strict=True))
        if off > _ALIGNED or whole[2] - whole[0] != height or whole[3] - whole[1] != width:
            return None
        tiles = self._mosaic(level, _Window(*whole))
        mask = tiles[..., 3] >= _SOLID
        return np.where(mask[..., None], tiles[..., :3], 0).astype(np.uint8), mask

    def _mosaic(self, level: int, window: _Window) -> Pixels:
        """Return the pixels of a window, uint8 RGBA; transparent outside the area and where there is no tile."""
        edge, around = self.layout.tile_px, self._columns_around(level)
        east = self._east_axis
        mosaic = np.zeros((window.bottom - window.top, window.right - window.left, 4), np.uint8)
        area = _cut(window, self._window(self._extent, level))
        for row in range(area.top // edge, math.ceil(area.bottom / edge)):
            for column in range(area.left // edge, math.ceil(area.right / edge)):
                middle = np.array([row + 0.5, column + 0.5]) * edge
                number = np.floor(self._projection.pixel_to_tile(middle)).astype(int).tolist()
                number[east] = number[east] % around if around else number[east]
                part = self._tile(TileId(level, *number))
                if part is None:
                    continue
                cut = _cut(_Window(row * edge, column * edge, (row + 1) * edge, (column + 1) * edge), area)
                mosaic[cut.top - window.top:cut.bottom - window.top, cut.left - window.left:cut.right - window.left] = part[
                    cut.top - row * edge:cut.bottom - row * edge, cut.left - column * edge:cut.right - column * edge]
        return mosaic

    def _tile(self, tile: TileId) -> Pixels | None:
        """Return a tile or its replacement, uint8 RGBA; None if there is neither."""
        own = self._own_tile(tile)
        if own is not None or not self._fills:
            return own
        return replacement(tile, self._own_tile, self.layout.tile_px, (self._levels[0], self._levels[-1]))

    def _own_tile(self, tile: TileId) -> Pixels | None:
        content = self.source.read(tile)
        if content is None:
            return None
        pixels = decode_tile(content, self.source.describe(tile), self.layout.tile_px)
        return np.dstack([pixels, _alpha(content, pixels.shape[0])])


def _alpha(content: bytes, edge: int) -> npt.NDArray[np.uint8]:
    """Return the opacity (edge, edge) of a tile's pixels, 0 to 255."""
    from PIL import Image

    if not content.startswith(b"\xff\xd8"):
        image = Image.open(io.BytesIO(content), formats=("PNG", "WEBP"))
        if image.has_transparency_data:
            return np.asarray(image.convert("RGBA"))[..., 3]
    return np.full((edge, edge), 255, np.uint8)


def _cut(window: _Window, other: _Window) -> _Window:
    """Return the common part of two windows; empty if there is none."""
    top, left = max(window.top, other.top), max(window.left, other.left)
    return _Window(top, left, max(top, min(window.bottom, other.bottom)), max(left, min(window.right, other.right)))


def _project(source: str, target: str, bounds: Bounds, where: str) -> Bounds:
    """Return the rectangle in another projection around a rectangle, from points on its border.

    Raises:
        TileError: If the projection fails there.
    """
    if source == target:
        return bounds
    found = convert_bounds(source, target, bounds)
    if found is None:
        raise TileError(where, f"its area cannot be converted to {target[:80]}", "Choose another projection or a smaller area.")
    return found
