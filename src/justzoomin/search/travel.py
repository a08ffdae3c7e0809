"""How far the camera went between two photos of a drive, and the motion that follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justzoomin.photos.readers import PhotoTime
from justzoomin.posterior import Lattice, Motion, PoseMotion, odometry, relative_odometry, speed_limit, travelled

_ERROR_M = 1.0
"""Error of every displacement, added to the one that grows with the distance."""
_MOST_CELLS = 32.0
"""Displacements with a greater standard deviation, in cells, say less than the speed limit."""


@dataclass(frozen=True)
class Travel:
    """A measured way, of one or several steps.

    Attributes:
        east_m: Metres to the east; to the right of the camera's first direction if it is not aligned.
        north_m: Metres to the north; along that direction.
        unstated_m: Length of the steps whose error is unknown.
        variance_m2: Sum of the stated variances along each axis.
        aligned: Whether the axes are east and north.
        turn_deg: Degrees clockwise from the camera's first to its last direction; None if unknown.
    """

    east_m: float = 0.0
    north_m: float = 0.0
    unstated_m: float = 0.0
    variance_m2: float = 0.0
    aligned: bool = True
    turn_deg: float | None = None

    @classmethod
    def before(cls, photo: PhotoTime) -> Travel | None:
        """Return the way from the previous photo to this one; None if it is unknown."""
        if photo.displacement_m is None:
            return None
        stated = photo.displacement_sigma_m
        return cls(*photo.displacement_m, math.hypot(*photo.displacement_m) if stated is None else 0.0,
                   0.0 if stated is None else stated**2, photo.aligned, photo.turn_deg)

    def then(self, other: Travel | None) -> Travel | None:
        """Return this way and another one after it; None if the other is unknown or its direction is."""
        if other is None or other.aligned != self.aligned or (not self.aligned and self.turn_deg is None):
            return None
        turn = 0.0 if self.aligned or self.turn_deg is None else math.radians(self.turn_deg)
        both = None if self.turn_deg is None or other.turn_deg is None else self.turn_deg + other.turn_deg
        return Travel(self.east_m + other.east_m * math.cos(turn) + other.north_m * math.sin(turn),
                      self.north_m + other.north_m * math.cos(turn) - other.east_m * math.sin(turn),
                      self.unstated_m + other.unstated_m, self.variance_m2 + other.variance_m2, self.aligned, both)

    def sigma_m(self, drift: float) -> float:
        """Return the standard deviation of the way in metres.

        Args:
            drift: Error of the steps that state none, as a share of their length.
        """
        return _ERROR_M + math.hypot(drift * self.unstated_m, math.sqrt(self.variance_m2))


def motion_after(cells: Lattice, seconds: float, way: Travel | None, speed: float, drift: float,
                 bearings: int = 0) -> Motion | PoseMotion:
    """Return the motion between two photos: odometry where the way is known, otherwise the highest speed.

    A way relative to the camera's direction moves each bearing its own way; without bearings only its length is used.

    Args:
        cells: The lattice.
        seconds: Time between the photos.
        way: The way between them; None if it is unknown.
        speed: Highest speed in metres per second.
        drift: Error of displacements that state none, as a share of the distance.
        bearings: Number of bearings of the drive's states; 0 if they have none.

    Raises:
        ConfigError: If a number is negative or not finite.
    """
    if way is None or way.sigma_m(drift) > _MOST_CELLS * cells.cell_m:
        return speed_limit(cells, seconds, speed)
    if way.aligned:
        return odometry(cells, way.east_m, way.north_m, way.sigma_m(drift))
    if bearings:
        return relative_odometry(cells, bearings, way.east_m, way.north_m, way.sigma_m(drift))
    return travelled(cells, math.hypot(way.east_m, way.north_m), way.sigma_m(drift))
