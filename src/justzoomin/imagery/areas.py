"""Areas in degrees: checking them, and the area around a region."""

from __future__ import annotations

import math

import numpy as np

from justzoomin.errors import GeometryError
from justzoomin.geometry import LatLon, Region, from_local, wrap_lon
from justzoomin.imagery.base import Bounds

Area = tuple[float, float, float, float]
"""South, west, north, east in degrees; west above east for an area across the antimeridian."""


def check_area(area: Area) -> Area:
    """Check and return an area in degrees.

    Raises:
        GeometryError: If it is not south, west, north, east.
    """
    values = tuple(float(v) for v in area)
    sound = len(values) == 4 and all(math.isfinite(v) for v in values)
    if not sound or not (-90 <= values[0] < values[2] <= 90 and all(abs(lon) <= 180 for lon in (values[1], values[3]))
                         and values[1] != values[3]):
        raise GeometryError(f"--area {','.join(map(str, values))}", "this is not an area",
                            "Give south,west,north,east in degrees, south below north. "
                            "West may be above east only across the antimeridian.")
    return values[0], values[1], values[2], values[3]


def area_bounds(area: Area) -> Bounds:
    """Return an area as west, south, east, north in degrees; east is above 180 where it crosses the antimeridian."""
    south, west, north, east = area
    return west, south, east if east > west else east + 360.0, north


def area_centre(area: Area) -> LatLon:
    """Return the middle of an area."""
    west, south, east, north = area_bounds(area)
    return LatLon((south + north) / 2, float(wrap_lon((west + east) / 2)))


def region_area(region: Region) -> Area:
    """Return the area around a region."""
    steps = np.linspace(0.0, 1.0, 33)
    east = region.east_m[0] + steps * (region.east_m[1] - region.east_m[0])
    north = region.north_m[0] + steps * (region.north_m[1] - region.north_m[0])
    lat, lon = from_local(region.reference_lat, region.reference_lon, east[None, :], north[:, None])
    beside = wrap_lon(lon - region.reference_lon)  # degrees east of the reference, so that longitudes do not jump
    return (float(lat.min()), float(wrap_lon(region.reference_lon + beside.min())),
            float(lat.max()), float(wrap_lon(region.reference_lon + beside.max())))
