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
from justzoomin.imagery.gaps import COARSER, FINER, covering, stand_in
from justzoomin.imagery.points import DEGREES, convert, convert_bounds, shifted, turn, unwrapped
from justzoomin.imagery.warp import warp
from justzoomin.tiles import TileId, TileLayout, TileProjection, TileSource, decode_tile

MAX_MOSAIC_PX = 1 << 26
"""Pixels of the tiles that are put together for one raster at most."""
_BORDER_PX = 4
"""Pixels beyond a raster that smooth interpolation at its edge looks at."""
_SOLID = 128
"""Pixels less solid than this have no data."""
_ALIGNED = 1e-3
"""A raster whose corner lies within so many pixels of the tiles' own is copied, not resampled."""


class _Window(NamedTuple):
    """A rectangle of a level's pixels: rows and columns, half open."""

    top: int
    left: int
    bottom: int
    right: int


class TileMosaic:
    """The tiles of a source inside an area, as one picture. Satisfies `Imagery`; can be pickled.

    A raster is drawn from the coarsest level that is as fine as it, or the finest there is: averaged where it shrinks,
    interpolated where not, and copied where raster and tiles lie on each other.

    Args:
        name: File or address, for messages.
        source: Where the tiles come from.
        layout: How they lie.
        area: South, west, north, east in degrees; nothing outside is read.
        attribution: Whom to name.
        max_level: Finest level to use; the layout's own if None.
        fills: Whether tiles of other levels stand in for missing ones; for packages, whose tiles are listed.

    Raises:
        GeometryError: If the area cannot be one, or the projection fails there.
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
        """How many tiles turned out to hold no data, and why, for a person; empty if none did."""
        found = self.source.no_tiles
        return f"{self.name}: {found.describe()}." if found else ""

    def bounds(self, crs: str) -> Bounds:
        """Its extent in a projection.

        Raises:
            TileError: If the projection fails there.
        """
        return _project(DEGREES, crs, area_bounds(self.area), self._name)

    def metres_per_pixel(self) -> float:
        """Ground resolution of its finest level at its centre, in metres."""
        return self.level_metres_per_pixel(self._levels[-1])

    def level_metres_per_pixel(self, level: int) -> float:
        """Ground resolution of a level at its centre, in metres.

        Raises:
            GeometryError: If the projection fails there.
        """
        scale = self._projection.pixels_per_metre(*area_centre(self.area))[level - self.layout.min_zoom]
        return float(1.0 / scale.mean())

    def level_for(self, metres_per_pixel: float) -> int:
        """The level that a ground resolution at its centre is drawn from."""
        return self._level(metres_per_pixel / self.metres_per_pixel() * self._pixel_crs(self._levels[-1]))

    def count_tiles(self, level: int) -> int:
        """How many tiles of a level its area touches."""
        window = self._window(self._extent, level)
        edge, around = self.layout.tile_px, self._columns_around(level)
        rows = math.ceil(window.bottom / edge) - window.top // edge
        columns = math.ceil(window.right / edge) - window.left // edge
        return rows * (min(columns, around) if around else columns)

    def remark(self, metres_per_pixel: float) -> str:
        """What a person should know before it is read at a ground resolution: tiles to fetch or missing; empty if none."""
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
        """What stands in where a level has no tile; empty where it has all."""
        here = {k: self._count_there(k) for k in self._levels if k >= level - COARSER}
        share = here[level] / self.count_tiles(level)
        found = []
        if share < 1:
            others = [str(k) for k, count in here.items() if k != level and k <= level + FINER and count]
            instead = f"where it has none, tiles of level {', '.join(others)} stand in if they show something" if others else \
                "the rest is no data"
            found.append(f"level {level} has tiles for {share:.2%} of the area; {instead}.")
        beyond = [k for k, _ in covering(self.source, level, self._levels[-1], level) if k < level - COARSER]
        if beyond:
            found.append(f"level {max(beyond)} and coarser cover more than level {level} and the {COARSER} above it; for a map "
                         "of that, give a coarser --gsd-m or --max-zoom.")
        return f"{self.name}: {' '.join(found)}" if found else ""

    def _count_there(self, level: int) -> int:
        """How many tiles of a level there are in the area."""
        window, edge, around = self._window(self._extent, level), self.layout.tile_px, self._columns_around(level)
        tiles, first = self.source.table(level).tiles, window.left // edge
        columns = first + (tiles[:, 0] - first) % around if around else tiles[:, 0]
        inside = (columns >= first) & (columns < math.ceil(window.right / edge))
        inside &= (tiles[:, 1] >= window.top // edge) & (tiles[:, 1] < math.ceil(window.bottom / edge))
        return int(np.count_nonzero(inside))

    def read(self, crs: str, bounds: Bounds, width: int, height: int) -> tuple[Pixels, Mask]:
        """Its pixels on a north-up raster of a projection; see `Imagery.read`.

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
            raise TileError(self._name, f"a raster of {width} x {height} px would be made of "
                            f"{window.right - window.left} x {window.bottom - window.top} px of level {level}",
                            "Ask for finer pixels, or for a smaller area.")
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
        """Where east and north stand in the projection's own axis order."""
        import pyproj

        axes = [axis.direction for axis in pyproj.CRS.from_user_input(self.crs).axis_info]
        if sorted(axes) != ["east", "north"]:
            raise GeometryError(f"{self._name}: {self.crs[:80]}", f"its axes are {axes}", "Tiles need axes to east and north.")
        return axes.index("east"), axes.index("north")

    @cached_property
    def _east_axis(self) -> int:
        """Which tile axis runs east or west."""
        return next(k for k, axis in enumerate(self.layout.tile_axes) if axis in {"east", "west"})

    @cached_property
    def _extent(self) -> Bounds:
        """The area in the tiles' own projection; without end to east and west where it goes around the earth."""
        west, south, east, north = self.bounds(self.crs)
        around = turn(self.crs)
        return (west - around, south, east + around, north) if around and east - west >= around * (1 - 1e-9) else \
            (west, south, east, north)

    def _columns_around(self, level: int) -> int:
        """Tiles of a level once around the earth, after which the same come again; 0 where none do."""
        around = turn(self.crs)
        count = 0.0 if around is None else around / self.layout.tile_size_crs(level)
        return round(count) if count and abs(count - round(count)) < 1e-6 * count else 0

    @cached_property
    def _levels(self) -> list[int]:
        """Levels that can be used, coarsest first."""
        levels = [level for level in self.source.levels() if level <= self.max_level]
        if not levels:
            raise TileError(self._name, f"it has no level up to {self.max_level}", "Name a finer level.")
        return levels

    def _pixel_crs(self, level: int) -> float:
        """Edge of a level's pixel in the projection's units."""
        return self.layout.tile_size_crs(level) / self.layout.tile_px

    def _level(self, step: float) -> int:
        """The coarsest level whose pixels are no larger than `step`, in the projection's units, or the finest."""
        return next((level for level in self._levels if self._pixel_crs(level) <= step * (1 + 1e-3)), self._levels[-1])

    def _step(self, crs: str, bounds: Bounds, width: int, height: int) -> float:
        """Edge of the raster's pixels in the tiles' projection at the raster's centre: the finer of its two axes."""
        x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
        across, down = (bounds[2] - bounds[0]) / width, (bounds[3] - bounds[1]) / height
        xs, ys = convert(crs, self.crs, [x, x + across, x], [y, y, y + down])
        xs = unwrapped(self.crs, xs, float(xs[0]))
        steps = np.hypot(xs[1:] - xs[0], ys[1:] - ys[0])
        if not (np.isfinite(steps).all() and (steps > 0).all()):
            raise TileError(self._name, f"the projection {self.crs[:80]} fails on the raster", "Build nearer to its area.")
        return float(steps.min())

    def _window(self, bounds: Bounds, level: int) -> _Window:
        """The pixels of a level that a rectangle touches."""
        ends = np.empty((2, 2))
        ends[:, self._axes[0]], ends[:, self._axes[1]] = (bounds[0], bounds[2]), (bounds[3], bounds[1])
        (top, left), (bottom, right) = self._projection.tile_to_pixel(self._projection.crs_to_tile(ends, level))
        small = 1e-6
        return _Window(math.floor(top + small), math.floor(left + small), math.ceil(bottom - small), math.ceil(right - small))

    def _corner(self, level: int, row: float, column: float) -> tuple[float, float]:
        """East and north of a pixel's upper left corner."""
        place = self._projection.tile_to_crs(self._projection.pixel_to_tile(np.array([row, column], np.float64)), level)
        return float(place[self._axes[0]]), float(place[self._axes[1]])

    def _copy(self, level: int, bounds: Bounds, width: int, height: int) -> tuple[Pixels, Mask] | None:
        """The raster's pixels as they are in the tiles; None where the two do not lie on each other."""
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
        """The pixels of a window, uint8 RGBA; transparent where there is no tile, or it lies outside the area."""
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
        """A tile, uint8 RGBA, or what stands in for it; None where there is nothing."""
        own = self._own_tile(tile)
        if own is not None or not self._fills:
            return own
        return stand_in(tile, self._own_tile, self.layout.tile_px, (self._levels[0], self._levels[-1]))

    def _own_tile(self, tile: TileId) -> Pixels | None:
        content = self.source.read(tile)
        if content is None:
            return None
        pixels = decode_tile(content, self.source.describe(tile), self.layout.tile_px)
        return np.dstack([pixels, _alpha(content, pixels.shape[0])])


def _alpha(content: bytes, edge: int) -> npt.NDArray[np.uint8]:
    """How solid the pixels (edge, edge) of a tile are, 0 to 255."""
    from PIL import Image

    if not content.startswith(b"\xff\xd8"):
        image = Image.open(io.BytesIO(content), formats=("PNG", "WEBP"))
        if image.has_transparency_data:
            return np.asarray(image.convert("RGBA"))[..., 3]
    return np.full((edge, edge), 255, np.uint8)


def _cut(window: _Window, other: _Window) -> _Window:
    """What two windows share; empty where they share nothing."""
    top, left = max(window.top, other.top), max(window.left, other.left)
    return _Window(top, left, max(top, min(window.bottom, other.bottom)), max(left, min(window.right, other.right)))


def _project(source: str, target: str, bounds: Bounds, where: str) -> Bounds:
    """A rectangle's rectangle in another projection, its borders sampled.

    Raises:
        TileError: If the projection fails there.
    """
    if source == target:
        return bounds
    found = convert_bounds(source, target, bounds)
    if found is None:
        raise TileError(where, f"its area cannot be brought to {target[:80]}", "Take another projection or a smaller area.")
    return found
