"""The plan of a build, made before a pixel is read: projection, resolution, tiles and levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from justzoomin.errors import ConfigError, TileError
from justzoomin.geometry import LatLon
from justzoomin.imagery.areas import area_bounds
from justzoomin.imagery.base import Bounds, Imagery
from justzoomin.imagery.config import MapBuildConfig
from justzoomin.imagery.mapcrs import choose_crs, metres_per_unit, north_first, require_one_piece, shown_scale
from justzoomin.imagery.points import DEGREES, convert, convert_bounds, shifted
from justzoomin.imagery.rastermosaic import RasterMosaic
from justzoomin.maps import ViewScale
from justzoomin.tiles import TileLayout

CHUNK_PX = 1024
COARSEST_PX = 512
"""Edge in pixels of the complete map on the coarsest level: 2 x 2 tiles of 256."""


@dataclass(frozen=True)
class MapPlan:
    """The plan of a map to build.

    Args:
        crs: Its projection.
        gsd_m: Metres on the ground per pixel of level 0, at the map's centre.
        pixel: The same in units of the projection.
        west: Where tile x 0 begins.
        south: Where tile y 0 begins.
        tile_px: Edge of a tile in pixels.
        per_chunk: Tiles along a side of a chunk, the square that is built at once; a power of two.
        min_zoom: Coarsest level.
        bounds: The covered rectangle, in units of the projection.
        chunks: Chunks of level 0 that touch a source, (column, row) counted from the south-west, sorted from the north.
        centre: Centre of the map.
        north_first: Whether the projection's first axis is north.
    """

    crs: str
    gsd_m: float
    pixel: float
    west: float
    south: float
    tile_px: int
    per_chunk: int
    min_zoom: int
    bounds: Bounds
    chunks: tuple[tuple[int, int], ...]
    centre: LatLon
    north_first: bool

    @property
    def chunk_px(self) -> int:
        """Edge of a chunk in pixels."""
        return self.per_chunk * self.tile_px

    @property
    def pixels(self) -> int:
        """Number of pixels of level 0 that are drawn."""
        return len(self.chunks) * self.chunk_px**2

    @property
    def tiles(self) -> int:
        """Largest number of tiles of level 0."""
        return len(self.chunks) * self.per_chunk**2

    @property
    def levels_per_stage(self) -> int:
        """Levels that one chunk gives before it is shrunk to one tile."""
        return self.per_chunk.bit_length() - 1

    def layout(self) -> TileLayout:
        """Return the layout of the map: tile x grows east, tile y north, level 0 is the finest."""
        edge = self.tile_px * self.pixel
        origin = (self.south, self.west) if self.north_first else (self.west, self.south)
        return TileLayout(crs=self.crs, tile_shape_px=(self.tile_px, self.tile_px), tile_shape_crs=(edge, edge),
                          origin_crs=origin, tile_axes=("east", "north"), min_zoom=self.min_zoom, max_zoom=0)

    def chunk_bounds(self, column: int, row: int) -> Bounds:
        """Return the square of a chunk of level 0."""
        edge = self.chunk_px * self.pixel
        return (self.west + column * edge, self.south + row * edge,
                self.west + (column + 1) * edge, self.south + (row + 1) * edge)

    def bytes_estimate(self, quality: int) -> int:
        """Estimate the bytes of the tiles of all levels; it may be wrong by a factor of two in both directions."""
        share = float(np.interp(quality, [1, 50, 75, 90, 95, 100], [0.03, 0.15, 0.22, 0.4, 0.65, 1.3]))
        return int(self.pixels * share * 4 / 3)


def make_plan(imagery: Sequence[Imagery], settings: MapBuildConfig, place: LatLon | None = None) -> MapPlan:
    """Decide projection, resolution, tiles and levels.

    Args:
        imagery: The sources, rasters cut to the wanted area by `within`.
        settings: The settings of the build.
        place: Place for which the projection is chosen; default: the middle of the sources in the area.

    Raises:
        ConfigError: If the projection is not suitable for a map, or the map would be too large.
        TileError: If the projection fails at a source, or no source is in the wanted area.
    """
    imagery = seen(imagery)
    centre = place or _centre(imagery)
    crs = choose_crs(imagery, settings, centre)
    footprints = _footprints(imagery, crs, settings)
    corners = np.array(footprints)
    west, south = (float(v) for v in corners[:, :2].min(0))
    east, north = (float(v) for v in corners[:, 2:].max(0))
    require_one_piece(crs, (west, south, east, north), centre)
    middle = (west + east) / 2, (south + north) / 2
    per_unit, nominal = metres_per_unit(crs, middle)
    pixel, gsd_m = _choose_pixel(imagery, settings, crs, per_unit, nominal)
    x_phase, y_phase = _phase(imagery, crs, pixel)
    left = math.floor((west - x_phase) / pixel + 1e-6) * pixel + x_phase
    top = math.ceil((north - y_phase) / pixel - 1e-6) * pixel + y_phase
    per_chunk = max(2, 1 << (CHUNK_PX // settings.tile_px).bit_length() - 1)
    edge = per_chunk * settings.tile_px * pixel
    # The grid of chunks begins in the north-west, like the blocks of a raster; tiles are counted from its south.
    rows = max(1, math.ceil((top - south) / edge - 1e-9))
    bottom = top - rows * edge
    spans = [(math.floor((w - left) / edge + 1e-9), math.floor((s - bottom) / edge + 1e-9),
              math.ceil((e - left) / edge - 1e-9), math.ceil((n - bottom) / edge - 1e-9)) for w, s, e, n in footprints]
    spans = [(max(x0, 0), max(y0, 0), max(x1, x0 + 1), max(y1, y0 + 1)) for x0, y0, x1, y1 in spans]
    chunks = _chunks(spans, (per_chunk * settings.tile_px)**2, settings, gsd_m)
    lat_lon = convert(crs, DEGREES, *middle)
    size = max((east - west) / pixel, (north - south) / pixel)
    min_zoom = -max(0, math.ceil(math.log2(size / COARSEST_PX)))
    return MapPlan(crs=crs, gsd_m=gsd_m, pixel=pixel, west=left, south=bottom, tile_px=settings.tile_px, per_chunk=per_chunk,
                   min_zoom=min_zoom, bounds=(west, south, east, north), chunks=chunks,
                   centre=LatLon(float(lat_lon[1]), float(lat_lon[0])), north_first=north_first(crs))


def seen(imagery: Sequence[Imagery]) -> list[Imagery]:
    """Return the sources in the wanted area.

    Raises:
        TileError: If there are none.
    """
    found = [piece for piece in imagery if not isinstance(piece, RasterMosaic) or piece.is_seen]
    if not found:
        raise _nothing_there()
    return found


def _nothing_there() -> TileError:
    return TileError("--area", "no source is in this area", "Give south, west, north, east in degrees, around the sources.")


def _centre(imagery: Sequence[Imagery]) -> LatLon:
    """Return the middle of all sources, as a mean of directions, so that the antimeridian does not matter."""
    total = np.zeros(3)
    for piece in imagery:
        bounds = piece.bounds(piece.crs)
        lon, lat = convert(piece.crs, DEGREES, (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)
        if not (np.isfinite(lon) and np.isfinite(lat) and abs(lat) <= 90):
            raise TileError(piece.name, "its centre is not on the earth", "Check the source's georeference.")
        phi, lam = np.radians(lat), np.radians(lon)
        total += [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)]
    return LatLon(float(np.degrees(np.arctan2(total[2], np.hypot(*total[:2])))),
                  float(np.degrees(np.arctan2(total[1], total[0]))))


def _footprints(imagery: Sequence[Imagery], crs: str, settings: MapBuildConfig) -> list[Bounds]:
    """Return the rectangles with data in the map's projection, cut to the wanted area."""
    found: list[Bounds] = []
    for piece in imagery:
        found += piece.footprints(crs) if isinstance(piece, RasterMosaic) else [piece.bounds(crs)]
    area = None if settings.area is None else _area_bounds(settings.area, crs)
    # Where the projection goes around the earth, all longitudes are given in the same turn.
    middle = (found[0][0] + found[0][2]) / 2 if area is None else (area[0] + area[2]) / 2
    found = [shifted(crs, bounds, middle) for bounds in found]
    if area is None:
        return found
    cut = [(max(w, area[0]), max(s, area[1]), min(e, area[2]), min(n, area[3])) for w, s, e, n in found]
    cut = [bounds for bounds in cut if bounds[0] < bounds[2] and bounds[1] < bounds[3]]
    if not cut:
        raise _nothing_there()
    return cut


def _area_bounds(area: tuple[float, float, float, float], crs: str) -> Bounds:
    found = convert_bounds(DEGREES, crs, area_bounds(area))
    if found is None:
        raise ConfigError("--area", f"the projection {crs[:60]} fails there", "Choose another --crs or area.")
    return found


def worst_scale(plan: MapPlan) -> ViewScale:
    """Return the view with the largest scale error, of views in the middle of a map and at its corners."""
    west, south, east, north = plan.bounds
    corners = convert(plan.crs, DEGREES, [west, east, west, east], [south, south, north, north])
    places = [plan.centre, *(LatLon(lat, lon) for lon, lat in zip(*(axis.tolist() for axis in corners), strict=True)
                             if math.isfinite(lat) and math.isfinite(lon))]
    return max((shown_scale(plan.crs, place) for place in places), key=lambda view: abs(view.error))


def _choose_pixel(imagery: Sequence[Imagery], settings: MapBuildConfig, crs: str, per_unit: float, nominal: float,
                  ) -> tuple[float, float]:
    """Return the edge of a pixel of level 0 in units of the projection, and in metres on the ground."""
    if settings.gsd_m is not None:
        return settings.gsd_m / per_unit, settings.gsd_m
    finest = min(piece.metres_per_pixel() for piece in imagery)
    if not (math.isfinite(finest) and finest > 0):
        raise TileError(imagery[0].name, "its ground resolution is unknown", "Give the wanted one with --gsd-m.")
    for piece in imagery:
        if isinstance(piece, RasterMosaic) and piece.crs == crs and piece.pixel_units is not None \
                and piece.metres_per_pixel() <= finest * 1.001:
            return piece.pixel_units, piece.pixel_units * per_unit
    gsd = round_up(finest)
    return gsd / per_unit, gsd


def round_up(metres: float) -> float:
    """Round a resolution up to two digits, or down by up to half a per cent: 0.2986 gives 0.3, 0.4713 gives 0.48."""
    unit = 10.0 ** (math.floor(math.log10(metres * 0.995)) - 1)
    return float(f"{math.ceil(metres * 0.995 / unit - 1e-9) * unit:.12g}")


def _phase(imagery: Sequence[Imagery], crs: str, pixel: float) -> tuple[float, float]:
    """Return where pixels begin: as in the first source with this pixel size, so that its pixels are not resampled."""
    for piece in imagery:
        if isinstance(piece, RasterMosaic) and piece.crs == crs and piece.pixel_units is not None \
                and abs(piece.pixel_units / pixel - 1.0) < 1e-7:
            return piece.transform[2], piece.transform[5]
    return 0.0, 0.0


def _chunks(spans: list[tuple[int, int, int, int]], chunk_pixels: int, settings: MapBuildConfig, gsd_m: float,
            ) -> tuple[tuple[int, int], ...]:
    """Return all chunks in any of the spans, row by row from the north, the order of a raster's blocks."""
    widest = max((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in spans)
    limit = settings.max_gigapixels * 1e9
    if widest * chunk_pixels > limit + 4 * chunk_pixels:
        _refuse_size(widest * chunk_pixels, settings, gsd_m)
    found: set[tuple[int, int]] = set()
    for x0, y0, x1, y1 in spans:
        found.update((x, y) for y in range(y0, y1) for x in range(x0, x1))
        if len(found) * chunk_pixels > limit + 4 * chunk_pixels:
            _refuse_size(len(found) * chunk_pixels, settings, gsd_m)
    return tuple(sorted(found, key=lambda chunk: (-chunk[1], chunk[0])))


def _refuse_size(pixels: int, settings: MapBuildConfig, gsd_m: float) -> None:
    raise ConfigError("map", f"it would have at least {pixels / 1e9:,.1f} gigapixels at {gsd_m:g} m per pixel, more than "
                      f"{settings.max_gigapixels:g}", "Give a coarser --gsd-m, an --area, or fewer sources. "
                      f"If this is intended, give --max-gigapixels {math.ceil(pixels / 1e9 * 1.01)}.")
