"""A map as tiles of web maps, drawn with the renderer's own arithmetic in web mercator.

Level, blur and sampling are those of `render.py`, but:

- The level and the blur are chosen once for each zoom level, at the centre of the region. So neighbouring tiles join.
- A pixel shows its middle, as GIS expects; a view samples the corner of a pixel.
- Where there is no tile of the map, a pixel is transparent. Over white, a tile looks like a view.

A map whose tiles are numbered and placed as those of web maps is passed through where it has the wanted level and size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.maps.map import Map
from justzoomin.maps.render import MAX_MOSAIC_PX, blur_of, blurred, mosaic_of, renderer_name, resample, sampling
from justzoomin.maps.scratch import scratch
from justzoomin.maps.summary import level_extent
from justzoomin.maps.web_mercator import MAX_ZOOM, TILE_PX, check_tile, metres_per_pixel, over_tile, zoom_for
from justzoomin.tiles import Pixels, TileId, is_web_square

VERSION = 1
"""Version of this file's arithmetic: increase it whenever a tile's pixels change."""
TILE_SIZES = (256, 512)
"""Edges of a tile in pixels: plain, and for displays with small pixels (@2x)."""
_MAX_RATIO = 16.0
"""Most native pixels of the coarsest level for a pixel of a tile; coarser zoom levels would take too long to draw."""
_FAR = 2.0**52
_MAX_LAT = 85.051_128_779_8
"""Web maps end here."""
_FAINT = 16
"""Pixels with less opacity, of 255, are transparent: their colour is not known well enough."""


@dataclass(frozen=True)
class Picture:
    """The picture of a tile.

    Attributes:
        rgb: Colours, uint8 (n, n, 3); black where nothing is known.
        alpha: Opacity, uint8 (n, n); None if all pixels are opaque.
    """

    rgb: Pixels
    alpha: Pixels | None = None


@dataclass(frozen=True)
class _Level:
    """How a zoom level is drawn.

    Attributes:
        level: The map's level.
        kernel: Edge of the blur's kernel in native pixels; 1 if there is no blur.
        sigma: Sigma of the blur in native pixels.
        box: The first (row, column) of the level's tiles, and the one after the last; None if tiles cannot be listed. (2, 2)
    """

    level: int
    kernel: int
    sigma: float
    box: npt.NDArray[np.int64] | None


class WebTiles:
    """The tiles of a map. It can be used by threads.

    Args:
        source: The map.

    Raises:
        GeometryError: If the map's projection fails at the centre of its region.
        TileError: If the map has no tile.
    """

    def __init__(self, source: Map) -> None:
        self.source = source
        self._projection = source.projection
        region = source.grid.region
        self._lat, self._lon = region.centre
        self._scale = self._projection.pixels_per_metre(self._lat, self._lon)
        self._levels = tuple(source.source.levels())
        self._zooms: dict[int, _Level] = {}
        coarsest, finest = (float(self._scale[self._levels[end] - source.layout.min_zoom].mean()) for end in (0, -1))
        fits = math.floor(zoom_for(region.size_m / TILE_PX, self._lat))
        cheap = math.ceil(zoom_for(_MAX_RATIO / coarsest, self._lat))
        self.max_zoom = min(MAX_ZOOM - 1, max(0, math.ceil(zoom_for(1.0 / finest, self._lat) - 0.1)))
        self.min_zoom = min(self.max_zoom, max(0, fits, cheap))

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north of the map in degrees.

        It is the smallest rectangle around the tiles of the finest level that reaches around the region; the region's, if there
        is no such level or the tiles cannot be listed.
        """
        lats, lons = zip(*self.source.grid.cell(()).corners, strict=True)
        south, west, north, east = min(lats), min(lons), max(lats), max(lons)
        if east - west > 180.0:  # across the antimeridian
            west, east = -180.0, 180.0
        if self.source.listed:
            for level in reversed(self._levels):
                found = level_extent(self.source.source.table(level), self._projection)
                around = found[0] <= south and found[1] <= west and found[2] >= north and found[3] >= east
                if around and np.isfinite(found).all():
                    south, west, north, east = found
                    break
        south, north = (min(_MAX_LAT, max(-_MAX_LAT, lat)) for lat in (south, north))
        return west, south, east, north

    def fingerprint(self) -> str:
        """Return a text that changes with the map's content and with anything that changes the pixels of tiles."""
        return f"{self.source.fingerprint()} {renderer_name()} web tiles {VERSION}"

    def draw(self, z: int, x: int, y: int, pixels: int = TILE_PX) -> Picture | None:
        """Draw a tile; None if it would be empty: outside of the map, or at a zoom level that the map does not have.

        Args:
            z: Zoom level.
            x: Column from the west.
            y: Row from the north.
            pixels: Edge of the picture, one of `TILE_SIZES`.

        Raises:
            GeometryError: If web maps have no such tile.
            TileError: If a tile of the map is broken.
        """
        check_tile(z, x, y)
        if not self.min_zoom <= z <= self.max_zoom:
            return None
        if self._passes(z, pixels):
            own = self.source.tile(z, x, y)
            return None if own is None else Picture(own)
        zoom = self._zoom(z + (pixels // TILE_PX - 1))
        rows, columns = over_tile(self._pixels_of(zoom.level), z, x, y, pixels)
        return self._drawn(zoom, rows, columns)

    def passed(self, z: int, x: int, y: int, pixels: int = TILE_PX) -> bytes | None:
        """Return the file of a map's own tile, if the map has the tiles of web maps at this zoom level; None otherwise.

        Raises:
            TileError: If the tile cannot be read.
        """
        if self.min_zoom <= z <= self.max_zoom and self._passes(z, pixels):
            return self.source.source.read(TileId(z, x, y))
        return None

    def _passes(self, z: int, pixels: int) -> bool:
        layout = self.source.layout
        return is_web_square(layout) and layout.tile_px == pixels and z in self._levels

    def _pixels_of(self, level: int) -> Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64]],
                                                 tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """Return the function from positions to native pixels of a level, counted so that whole numbers are pixels' middles."""
        projection = self._projection

        def function(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64],
                                                                                           npt.NDArray[np.float64]]:
            found = projection.tile_to_pixel(projection.position_to_tile(lat, lon, level)) - 0.5
            return found[:, 0], found[:, 1]

        return function

    def _zoom(self, zoom: int) -> _Level:
        found = self._zooms.get(zoom)
        if found is None:
            found = self._zooms[zoom] = self._planned(zoom)
        return found

    def _planned(self, zoom: int) -> _Level:
        """Choose the level for a zoom level as for a view; levels without tiles are passed over."""
        metres, lowest = metres_per_pixel(zoom, self._lat), self.source.layout.min_zoom
        fine = (level for level in self._levels if 1.0 / self._scale[level - lowest].max() <= 0.5 * metres)
        level = next(fine, self._levels[-1])
        kernel, sigma = blur_of(float(self._scale[level - lowest].mean()) * metres)
        box = None
        if self.source.listed:
            tiles = self.source.source.table(level).tiles
            corners = np.stack([tiles.min(0), tiles.max(0) + 1])
            ends = self._projection.tile_to_pixel(corners)
            box = np.rint(np.stack([ends.min(0), ends.max(0)])).astype(np.int64)
        return _Level(level, kernel, sigma, box)

    def _drawn(self, zoom: _Level, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> Picture | None:
        """Draw the pixels at native places (n, n)."""
        tile_px = self.source.layout.tile_px
        known = np.isfinite(rows) & np.isfinite(columns)
        if not known.any():
            return None
        if not known.all():
            rows, columns = (np.where(known, values, values[known][0]) for values in (rows, columns))
        ends = np.array([[rows.min(), columns.min()], [rows.max(), columns.max()]]).clip(-_FAR, _FAR)
        margin = zoom.kernel // 2
        low = np.floor(ends[0] - 0.01).astype(np.int64) - margin
        high = np.floor(ends[1] + 0.01).astype(np.int64) + 2 + margin
        if zoom.box is not None:  # two kernels beyond the tiles nothing is left of them
            low, high = np.maximum(low, zoom.box[0] - 2 * margin - 2), np.minimum(high, zoom.box[1] + 2 * margin + 2)
        if (low >= high).any():
            return None
        if (high - low).max() > MAX_MOSAIC_PX:
            raise TileError(f"level {zoom.level}", f"the tile needs {int((high - low).max())} native px along an edge",
                            "Use a finer zoom level, or build coarser levels.")
        mosaic, has_tile, corner = mosaic_of(zoom.level, low, high, self._projection, self.source.cache)
        if not has_tile.any():
            return None
        shape = rows.shape
        at_rows, at_columns = scratch("rows", shape, np.float32), scratch("columns", shape, np.float32)
        np.subtract(rows, low[0], out=at_rows, casting="unsafe")
        np.subtract(columns, low[1], out=at_columns, casting="unsafe")
        places = sampling(at_rows, at_columns)
        view = resample(blurred(mosaic, zoom.kernel, zoom.sigma), *places)
        if has_tile.all() and known.all():
            return Picture(view)
        first = low - corner * tile_px
        mask = np.repeat(np.repeat(has_tile.astype(np.uint8) * 255, tile_px, 0), tile_px, 1)
        mask = np.ascontiguousarray(mask[first[0]:first[0] + mosaic.shape[0], first[1]:first[1] + mosaic.shape[1]])
        return _uncovered(view, np.where(known, resample(blurred(mask, zoom.kernel, zoom.sigma), *places), 0))


def _uncovered(view: Pixels, alpha: Pixels) -> Picture | None:
    """Return the picture that looks like `view` over white, with an opacity; None if nothing is left."""
    solid = alpha >= _FAINT
    if not solid.any():
        return None
    if alpha.min() == 255:
        return Picture(view)
    rim = solid & (alpha < 255)
    view[~solid] = 0
    share = alpha[rim].astype(np.float32)[:, None] / 255.0
    view[rim] = np.clip(255.0 - (255.0 - view[rim]) / share + 0.5, 0.0, 255.0).astype(np.uint8)
    return Picture(view, np.where(solid, alpha, 0).astype(np.uint8))
