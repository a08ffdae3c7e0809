"""Regions: squares of the earth, given in metres from a reference point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from justzoomin.errors import GeometryError
from justzoomin.geometry.sphere import LatLon, from_local

MAX_LATITUDE_DEG = 89.0
"""Highest latitude of a region: nearer to a pole, east and north are not well defined."""


@dataclass(frozen=True)
class Region:
    """A square of the earth: a reference point and bounds in metres east and north of it.

    Args:
        reference_lat: Latitude of the reference point in degrees, WGS 84.
        reference_lon: Longitude of the reference point in degrees, in [-180, 180].
        east_m: Lower and upper bound in metres east of the reference point.
        north_m: Lower and upper bound in metres north of it.

    Raises:
        GeometryError: If a number is not finite, the bounds are not a square, or it is too near to a pole.
    """

    reference_lat: float
    reference_lon: float
    east_m: tuple[float, float]
    north_m: tuple[float, float]

    def __post_init__(self) -> None:
        for name in ("east_m", "north_m"):
            bounds = tuple(float(v) for v in getattr(self, name))
            if len(bounds) != 2:
                raise GeometryError(f"region.{name}", f"{len(bounds)} numbers instead of two",
                                    "Give the lower and the upper bound in metres.")
            object.__setattr__(self, name, bounds)
        for name in ("reference_lat", "reference_lon"):
            object.__setattr__(self, name, float(getattr(self, name)))
        numbers = (self.reference_lat, self.reference_lon, *self.east_m, *self.north_m)
        if not all(math.isfinite(v) for v in numbers):
            raise GeometryError("region", f"a number is not finite: {numbers}", "Give finite degrees and metres.")
        if not -90.0 <= self.reference_lat <= 90.0:
            raise GeometryError("region.reference_lat", f"{self.reference_lat} is not a latitude",
                                "Give a latitude in [-90, 90]; is it swapped with the longitude?")
        if not -180.0 <= self.reference_lon <= 180.0:
            raise GeometryError("region.reference_lon", f"{self.reference_lon} is not a longitude",
                                "Give a longitude in [-180, 180].")
        width, height = self.east_m[1] - self.east_m[0], self.north_m[1] - self.north_m[0]
        if width <= 0 or height <= 0:
            raise GeometryError("region", f"the bounds span {width:g} m east and {height:g} m north",
                                "Give each bound as (lower, upper) with lower < upper.")
        if not math.isclose(width, height, rel_tol=1e-9):
            raise GeometryError("region", f"the bounds span {width:g} m east but {height:g} m north",
                                "A zoom starts from a square view: make the two spans equal.")
        offset = max(map(abs, (*self.east_m, *self.north_m)))
        top = max(abs(self.reference_lat), abs(self.centre.lat)) + math.degrees((offset + width) / 6_378_137.0)
        if top > MAX_LATITUDE_DEG:
            raise GeometryError("region", f"it reaches latitude {top:.3f} degrees, beyond {MAX_LATITUDE_DEG}",
                                "Move or shrink the region: east and north are not defined at a pole.")

    @property
    def size_m(self) -> float:
        """Edge of the square in metres."""
        return self.east_m[1] - self.east_m[0]

    @cached_property
    def centre(self) -> LatLon:
        """Centre of the square: the reference point moved east, then north."""
        lat, lon = from_local(self.reference_lat, self.reference_lon, sum(self.east_m) / 2, sum(self.north_m) / 2)
        return LatLon(float(lat), float(lon))
