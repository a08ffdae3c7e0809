"""The heading of a photo from the way of the camera, for a camera that looks ahead."""

from __future__ import annotations

import math

from justzoomin.posterior import FLOOR, HeadingPrior

LEAST_WAY_M = 1.0
"""Shorter ways have no direction: odometry has an error of about a metre."""
Way = tuple[float, float]
"""Metres east and north."""


def heading_along(before: Way | None, after: Way | None, sigma_deg: float, drift: float,
                  floor: float = FLOOR) -> HeadingPrior | None:
    """Return the direction of the way from the previous photo to the next one; None if it is unknown or too short.

    Args:
        before: Metres moved since the previous photo; None if unknown.
        after: Metres moved to the next photo; None if unknown.
        sigma_deg: Spread between the way and the direction of view.
        drift: Error of the ways, as a share of their lengths; another metre is added, as for the motion.
        floor: Even share of the prior; see `HeadingPrior`.
    """
    known = [way for way in (before, after) if way is not None]
    east, north = (sum(way[axis] for way in known) for axis in (0, 1))
    length = math.hypot(east, north)
    if length < LEAST_WAY_M:
        return None
    error = math.degrees(math.atan2(1.0 + drift * sum(math.hypot(*way) for way in known), length))
    heading = math.degrees(math.atan2(east, north)) % 360.0
    return HeadingPrior(heading, min(math.hypot(sigma_deg, error), 180.0), floor, "direction of the way")
