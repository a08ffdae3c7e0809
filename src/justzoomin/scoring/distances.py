"""Distances between an answer and a photo's position: on the sphere, or in the plane of a projection."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.geometry import haversine_m
from justzoomin.scoring.resampling import Floats
from justzoomin.untrusted import printable

Distance = Callable[[Floats, Floats], Floats]
"""Function from answers (N, 2) and positions (N, 2), latitude before longitude, to metres (N,)."""


def on_sphere(answers: Floats, positions: Floats) -> Floats:
    """Return great-circle distances (N,) in metres on the sphere of the grids."""
    return haversine_m(answers[:, 0], answers[:, 1], positions[:, 0], positions[:, 1])


def in_projection(crs: str) -> Distance:
    """Return a function for straight-line distances in the plane of a projection, given by a name that PROJ knows.

    Distances are in metres of the projection. In web mercator, such a metre is less than a metre on the ground, except at the
    equator.

    Raises:
        ConfigError: If there is no such projection, or its unit is not the metre.
    """
    import pyproj

    try:
        plane = pyproj.CRS.from_user_input(crs)
        to_plane = pyproj.Transformer.from_crs("epsg:4326", plane, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise ConfigError(f"projection {printable(crs, 80)!r}", "PROJ does not know this projection",
                          "Give one such as epsg:26918.") from error
    if not plane.is_projected or any(axis.unit_conversion_factor != 1 for axis in plane.axis_info[:2]):
        raise ConfigError(f"projection {printable(crs, 80)!r}", "its unit is not the metre", "Give a projection in metres.")

    def distance(answers: Floats, positions: Floats) -> Floats:
        east, north = to_plane.transform(answers[:, 1], answers[:, 0])
        own_east, own_north = to_plane.transform(positions[:, 1], positions[:, 0])
        found = np.hypot(np.subtract(east, own_east), np.subtract(north, own_north))
        if not np.isfinite(found).all():
            bad = int(np.flatnonzero(~np.isfinite(found))[0])
            raise ConfigError(f"projection {printable(crs, 80)!r}", f"it does not cover position {positions[bad].tolist()}",
                              "Give the projection of the map.")
        return np.asarray(found)

    return distance
