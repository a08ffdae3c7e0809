"""The scale error of a map's projection: how much ground a view really shows, measured on the sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from justzoomin.errors import GeometryError
from justzoomin.geometry import LatLon, ZoomGrid, haversine_m
from justzoomin.maps.render import place
from justzoomin.tiles import TileProjection

OFF_SCALE = 0.01
"""A warning is given if views show more or less ground than they should by a larger share."""


@dataclass(frozen=True)
class ViewScale:
    """The ground that a view really shows.

    Args:
        lat: Latitude of its centre.
        lon: Longitude of its centre.
        size_m: Wanted edge in metres.
        across_m: Metres from the middle of its left edge to the middle of its right edge.
        down_m: Metres from the middle of its upper edge to the middle of its lower edge.
    """

    lat: float
    lon: float
    size_m: float
    across_m: float
    down_m: float

    @property
    def error(self) -> float:
        """The larger of both relative errors, with its sign: 0.1 if 1 100 m are shown instead of 1 000 m."""
        return max(self.across_m / self.size_m - 1.0, self.down_m / self.size_m - 1.0, key=abs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"lat": self.lat, "lon": self.lon, "size_m": self.size_m, "across_m": self.across_m, "down_m": self.down_m,
                "error": self.error}


def view_scale(projection: TileProjection, lat: float, lon: float, *, size_m: float, pixels: int) -> ViewScale:
    """Measure the ground that a view really shows.

    Raises:
        GeometryError: If the projection fails there.
    """
    found = place(projection, lat, lon, size_m=size_m, pixels=pixels, bearing_deg=0.0)
    half, end = pixels / 2.0, float(pixels)
    ends = np.array([(half, 0.0), (half, end), (0.0, half), (end, half)]) @ found.matrix.T + found.start  # (row, column)
    west, east, north, south = projection.to_latlon(projection.tile_to_crs(projection.pixel_to_tile(ends), found.level))
    across, down = float(haversine_m(*west, *east)), float(haversine_m(*north, *south))
    if not (np.isfinite(across) and np.isfinite(down)):
        raise GeometryError(f"position ({lat}, {lon})", "the map's projection fails at the edge of the view",
                            "Use a smaller region, or a map in a projection of this place.")
    return ViewScale(lat, lon, size_m, across, down)


def grid_scale(projection: TileProjection, grid: ZoomGrid, pixels: int) -> ViewScale:
    """Return the view of a grid with the largest error: on each level, the corners, edges and middle are measured.

    Raises:
        GeometryError: If the projection fails in the region.
    """
    found = []
    for level in range(grid.depth):
        side = grid.grid**level
        steps = sorted({0, side // 2, side - 1})
        sequences = [[_action(grid, row, column, step, level) for step in range(level)] for row in steps for column in steps]
        for lat, lon in zip(*grid.centres(np.array(sequences, np.int64).reshape(len(sequences), level)), strict=True):
            found.append(view_scale(projection, float(lat), float(lon), size_m=grid.cell_size_m(level), pixels=pixels))
    return max(found, key=lambda view: abs(view.error))


def _action(grid: ZoomGrid, row: int, column: int, step: int, level: int) -> int:
    """Return the action of a step towards a cell of a level, given by its row from the north and column from the west."""
    below = int(grid.grid ** (level - 1 - step))
    return row // below % grid.grid * grid.grid + column // below % grid.grid


def utm_zone(centre: LatLon) -> str:
    """Return the UTM zone (WGS 84) of a position, also beyond 84 degrees, because maps need one north and one east axis."""
    zone = min(60, max(1, int((centre.lon + 180.0) // 6.0) + 1))
    return f"epsg:{(32600 if centre.lat >= 0 else 32700) + zone}"


def scale_warning(crs: str, scale: ViewScale) -> str | None:
    """Return a warning about a projection that does not fit its region; None if the error is within a per cent."""
    if abs(scale.error) <= OFF_SCALE:
        return None
    shown = max(scale.across_m, scale.down_m, key=lambda metres: abs(metres - scale.size_m))
    return (f"the projection {crs[:60]} does not fit this place: a view of {scale.size_m:,.0f} m at {scale.lat:.5f} "
            f"{scale.lon:.5f} shows {shown:,.0f} m (scale error {scale.error:+.1%}). Build the map again with "
            f"--crs {utm_zone(LatLon(scale.lat, scale.lon)).upper()}, or another projection made for this place.")
