"""From positions to pixels of a level and back: the projection and the tile axes of one layout.

Pixels of a level are counted over the whole map as (row, column): rows grow south and columns grow east along the
projection's axes, whichever way tile numbers run. Conventions and the small approximations (see `pixels_per_metre`) are those
of tiledwebmaps 0.2.0, so that views agree.
"""

from __future__ import annotations

import math
import re
import threading
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError, LayoutError
from justzoomin.geometry import EARTH_RADIUS_M
from justzoomin.tiles.layout import TileLayout

Floats = npt.NDArray[np.float64]
_VECTORS = {"north": (1, 0), "south": (-1, 0), "east": (0, 1), "west": (0, -1)}  # (north, east) of a direction
_FILES = re.compile(r"(?:grids|init|file)\s*=\s*(?!@null\b)|PARAMETERFILE", re.IGNORECASE)
"""Words that make PROJ open files. A layout.yaml may come from others, and a name may be a pipe. `@null` opens no file."""
_CONVERGENCE_STEP_DEG = 1e-4
_TILE_STEP = 0.1


class Ground(NamedTuple):
    """Coordinates, scale and direction of north of a projection at a position.

    Args:
        crs: Projected coordinates. (2,)
        per_metre: Pixels per metre along the two axes, for every level from the coarsest. (levels, 2)
        convergence_rad: Angle from the projection's north to true north, counter-clockwise.
    """

    crs: Floats
    per_metre: Floats
    convergence_rad: float


class TileProjection:
    """Positions, projected coordinates, tiles and pixels of one layout.

    It can be used by threads, after forks and after pickling: each thread makes PROJ's objects when it first needs them.

    Args:
        layout: The layout.

    Raises:
        LayoutError: If PROJ does not know the projection, or its axes are not one east-west and one north-south.
    """

    def __init__(self, layout: TileLayout, where: str = "layout.yaml") -> None:
        self.layout = layout
        self._where = where
        axes = self._axes()
        tile = np.array([_VECTORS[axis] for axis in layout.tile_axes], np.float64)  # rows: tile axes in (north, east)
        self._tile_from_crs = tile @ axes.T  # (2, 2) signed permutation
        self._raster_from_tile = np.array([_VECTORS["south"], _VECTORS["east"]], np.float64) @ tile.T
        origin = np.array(layout.origin_crs)
        if (self._tile_from_crs < 0).any() and layout.size_crs is not None:
            # A tile axis against the projection's axis begins at the far side of the tiled area.
            origin = origin + np.where(self._tile_from_crs.sum(0) < 0, layout.size_crs, 0.0)
        self._origin = origin
        self._origins = {level: origin + np.array(shift) for level, shift in layout.shifts}

    def __getstate__(self) -> dict[str, Any]:
        return {"layout": self.layout, "where": self._where}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["layout"], state["where"])  # type: ignore[misc]

    @cached_property
    def _local(self) -> threading.local:
        return threading.local()

    def _axes(self) -> Floats:
        """Return the projection's two axes as rows in (north, east)."""
        import pyproj

        if _FILES.search(self.layout.crs):
            raise LayoutError(f"{self._where}: crs", "it names a file for PROJ to open",
                              "Name a projection such as epsg:26985.")
        try:
            crs = pyproj.CRS.from_user_input(self.layout.crs)
        except pyproj.exceptions.CRSError as error:
            raise LayoutError(f"{self._where}: crs", f"PROJ does not know {self.layout.crs[:80]!r}",
                              "Name a projection such as epsg:26985.") from error
        directions = [axis.direction for axis in crs.axis_info]
        if len(directions) != 2 or any(d not in _VECTORS for d in directions):
            raise LayoutError(f"{self._where}: crs", f"its axes are {directions}",
                              "Use a projection with one axis east and one north.")
        axes = np.array([_VECTORS[d] for d in directions], np.float64)
        self._north = axes @ np.array([1.0, 0.0])  # north as a vector in the projection's own axis order
        self._east = axes @ np.array([0.0, 1.0])
        return axes

    def _transformer(self) -> Any:
        transformer = getattr(self._local, "transformer", None)
        if transformer is None:
            import pyproj

            try:
                transformer = pyproj.Transformer.from_crs("epsg:4326", self.layout.crs)
            except pyproj.exceptions.ProjError as error:
                raise LayoutError(f"{self._where}: crs", f"PROJ cannot convert positions to {self.layout.crs[:80]!r}",
                                  "Name a projection such as epsg:26985.") from error
            self._local.transformer = transformer
        return transformer

    def to_crs(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Floats:
        """Return projected coordinates (..., 2) in the projection's axis order; infinite where the projection fails."""
        return np.stack(self._transformer().transform(np.asarray(lat, float), np.asarray(lon, float)), -1)

    def to_latlon(self, crs: npt.ArrayLike) -> Floats:
        """Return positions (..., 2), (lat, lon) in degrees, of projected coordinates; infinite where the projection fails."""
        crs = np.asarray(crs, np.float64)
        return np.stack(self._transformer().transform(crs[..., 0], crs[..., 1], direction="INVERSE"), -1)

    def east_north(self, crs: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return east and north (N,) of projected coordinates (N, 2) in the projection's axis order."""
        crs = np.asarray(crs, np.float64)
        return crs @ self._east, crs @ self._north

    def from_east_north(self, east: Floats, north: Floats) -> Floats:
        """Return projected coordinates (N, 2) in the projection's axis order of east and north (N,)."""
        crs: Floats = east[:, None] * self._east + north[:, None] * self._north
        return crs

    def tile_to_crs(self, tile: npt.ArrayLike, level: int) -> Floats:
        """Return projected coordinates (..., 2) of tile coordinates (..., 2) of a level."""
        size = self.layout.tile_size_crs(level)
        crs: Floats = np.asarray(tile, np.float64) @ self._tile_from_crs * size + self._origins.get(level, self._origin)
        return crs

    def crs_to_tile(self, crs: npt.ArrayLike, level: int) -> Floats:
        """Return tile coordinates (..., 2), fractional, of projected coordinates (..., 2)."""
        size = self.layout.tile_size_crs(level)
        tile: Floats = (np.asarray(crs, np.float64) - self._origins.get(level, self._origin)) / size @ self._tile_from_crs.T
        return tile

    def tile_to_pixel(self, tile: npt.ArrayLike) -> Floats:
        """Return pixels (row, column) (..., 2) of the whole level, of tile coordinates (..., 2)."""
        pixel: Floats = np.asarray(tile, np.float64) @ self._raster_from_tile.T * self.layout.tile_px
        return pixel

    def pixel_to_tile(self, pixel: npt.ArrayLike) -> Floats:
        """Return tile coordinates (..., 2) of pixels (row, column) (..., 2) of the whole level."""
        tile: Floats = np.asarray(pixel, np.float64) @ self._raster_from_tile / self.layout.tile_px
        return tile

    def position_to_tile(self, lat: npt.ArrayLike, lon: npt.ArrayLike, level: int) -> Floats:
        """Return tile coordinates (..., 2), fractional, of positions; infinite or nan where the projection fails."""
        with np.errstate(invalid="ignore"):
            return self.crs_to_tile(self.to_crs(lat, lon), level)

    def checked_crs(self, lat: float, lon: float) -> Floats:
        """Return projected coordinates (2,) of one position.

        Raises:
            GeometryError: If the position is not valid, or the projection fails there.
        """
        return self._finite_crs(lat, lon, lat, lon)

    def _finite_crs(self, lats: npt.ArrayLike, lons: npt.ArrayLike, lat: float, lon: float) -> Floats:
        """Return projected coordinates (..., 2) at and around a position, and check that position."""
        if not (math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90.0 and abs(lon) <= 180.0):
            raise GeometryError(f"position ({lat}, {lon})", "this is not a latitude and longitude",
                                "Give degrees, latitude first: [-90, 90] and [-180, 180].")
        crs = self.to_crs(lats, lons)
        if not np.isfinite(crs).all():
            raise GeometryError(f"position ({lat}, {lon})", f"the map's projection {self.layout.crs[:80]} fails there",
                                "Give a position near the map.")
        return crs

    def pixels_per_metre(self, lat: float, lon: float) -> Floats:
        """Return pixels per metre along the two axes at a position, (levels, 2), for every level from the coarsest.

        As in tiledwebmaps, a tenth of a tile along the tile's diagonal is converted to degrees and then to metres on the
        sphere. Where the projection's north differs from true north, this is an approximation.

        Raises:
            GeometryError: If the projection fails there.
        """
        return self._per_metre(lat, self.checked_crs(lat, lon))

    @cached_property
    def _steps(self) -> Floats:
        """Half a step along the tile's diagonal, in the projection's units, per level: (levels, 2)."""
        diagonal = np.array([0.5, 0.5]) * _TILE_STEP @ self._tile_from_crs
        levels = range(self.layout.min_zoom, self.layout.max_zoom + 1)
        steps: Floats = diagonal * np.array([self.layout.tile_size_crs(level) for level in levels])[:, None]
        return steps

    def _per_metre(self, lat: float, crs: Floats) -> Floats:
        ends = self.to_latlon(np.stack([crs - self._steps, crs + self._steps]))
        with np.errstate(divide="ignore", invalid="ignore"):
            degrees = np.abs(ends[1] - ends[0])
            degrees = np.where(degrees > 180.0, 360.0 - degrees, degrees)  # across the antimeridian
            metres = degrees / _one_metre_deg(lat)
            scale: Floats = _TILE_STEP * self.layout.tile_px / metres
        return scale

    def convergence_rad(self, lat: float, lon: float) -> float:
        """Return the angle from the projection's north to true north at a position, in radians, counter-clockwise.

        Raises:
            GeometryError: If the projection fails there.
        """
        return self._convergence(*self._pair(lat, lon))

    def ground(self, lat: float, lon: float) -> Ground:
        """Return coordinates, scale and direction of north at a position, with few calls of PROJ: they take most of the time.

        Raises:
            GeometryError: If the position is not valid, or the projection fails there.
        """
        crs, north = self._pair(lat, lon)
        return Ground(crs, self._per_metre(lat, crs), self._convergence(crs, north))

    def _pair(self, lat: float, lon: float) -> tuple[Floats, Floats]:
        """Return projected coordinates (2,) of a position, and of one a small step to the north."""
        crs = self._finite_crs([lat, min(lat + _CONVERGENCE_STEP_DEG, 90.0)], [lon, lon], lat, lon)
        return crs[0], crs[1]

    def _convergence(self, crs: Floats, crs_north: Floats) -> float:
        north = crs_north - crs
        return math.atan2(-float(north @ self._east), float(north @ self._north))

    def choose_level(self, lat: float, lon: float, metres_per_pixel: float) -> tuple[int, float]:
        """Return the coarsest level finer than half the wanted ground resolution, or the finest there is.

        Returns:
            The level, and its pixels per metre at the position (the mean of both axes).

        Raises:
            GeometryError: If the projection fails there.

        Source: tiledwebmaps 0.2.0.
        """
        return self.finer_level(self.pixels_per_metre(lat, lon), lat, lon, metres_per_pixel)

    def finer_level(self, scale: Floats, lat: float, lon: float, metres_per_pixel: float) -> tuple[int, float]:
        """Return the same as `choose_level`, with given pixels per metre (levels, 2) at the position."""
        pairs = scale.tolist()
        # A scale that is 0 or not a number never counts as finer.
        index = next((i for i, pair in enumerate(pairs) if max(pair) > 0.0 and 1.0 / max(pair) <= 0.5 * metres_per_pixel),
                     len(pairs) - 1)
        if not all(math.isfinite(value) and value > 0.0 for value in pairs[index]):
            raise GeometryError(f"position ({lat}, {lon})", "the map has no ground resolution there",
                                "Give a position near the map, away from poles and the antimeridian.")
        return self.layout.min_zoom + index, sum(pairs[index]) / 2.0


def _one_metre_deg(lat: float) -> Floats:
    """Return the change in latitude and longitude (2,), degrees, of a metre to the east and then one to the north.

    This is `geometry.move` twice for single numbers, where numpy would take ten times as long.
    """
    phi, delta = math.radians(lat), 1.0 / EARTH_RADIUS_M
    sin_end = math.sin(phi) * math.cos(delta)
    turn = math.atan2(math.sin(delta) * math.cos(phi), math.cos(delta) - math.sin(phi) * sin_end)
    return np.array([abs(math.degrees(math.asin(sin_end) + delta) - lat), abs(math.degrees(turn))])
