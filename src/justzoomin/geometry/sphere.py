"""Distances and moves on the benchmark's sphere.

The published system measures all distances on a sphere of radius 6 378 137 m (the equatorial radius of WGS 84), as
tiledwebmaps' `geo` module does. Positions are (lat, lon) in degrees; bearings are degrees clockwise from north. All functions
are vectorized over numpy arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

EARTH_RADIUS_M = 6_378_137.0

Floats = npt.NDArray[np.float64]


class LatLon(NamedTuple):
    """A position in degrees, WGS 84, latitude first."""

    lat: float
    lon: float


def wrap_lon(lon: npt.ArrayLike) -> Floats:
    """Bring longitudes in degrees into [-180, 180)."""
    lon = np.asarray(lon, np.float64)
    wrapped = np.mod(lon + 180.0, 360.0) - 180.0
    return np.where((lon >= -180.0) & (lon < 180.0), lon, wrapped)


def stated_bearings(degrees: npt.ArrayLike) -> Floats:
    """Return bearings in [0, 360) from values of a source in degrees from -180 to 360; NaN for all others and for -1.

    Phones and their libraries write -1 if they have no heading. It could also mean 359; this cannot be distinguished.
    """
    degrees = np.asarray(degrees, np.float64)
    known = (degrees >= -180.0) & (degrees <= 360.0) & (degrees != -1.0)
    return np.mod(np.mod(np.where(known, degrees, np.nan), 360.0), 360.0)  # a tiny negative value becomes 360 in the first mod


def move(
    lat: npt.ArrayLike, lon: npt.ArrayLike, bearing_deg: npt.ArrayLike, distance_m: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Go `distance_m` metres from a position along the great circle that leaves it at a bearing.

    Args:
        lat: Latitudes in degrees, any shape.
        lon: Longitudes in degrees, broadcast with `lat`.
        bearing_deg: Bearings in degrees clockwise from north.
        distance_m: Distances in metres; negative goes backwards.

    Returns:
        Latitudes and longitudes in degrees, longitudes in [-180, 180).

    Source: direct problem on the sphere (spherical law of cosines and sines).
    """
    phi = np.radians(np.asarray(lat, np.float64))
    theta = np.radians(np.asarray(bearing_deg, np.float64))
    delta = np.asarray(distance_m, np.float64) / EARTH_RADIUS_M
    sin_end = np.sin(phi) * np.cos(delta) + np.cos(phi) * np.sin(delta) * np.cos(theta)
    end = np.arcsin(np.clip(sin_end, -1.0, 1.0))
    turn = np.arctan2(np.sin(theta) * np.sin(delta) * np.cos(phi), np.cos(delta) - np.sin(phi) * sin_end)
    return np.degrees(end), wrap_lon(np.asarray(lon, np.float64) + np.degrees(turn))


def haversine_m(lat1: npt.ArrayLike, lon1: npt.ArrayLike, lat2: npt.ArrayLike, lon2: npt.ArrayLike) -> Floats:
    """Return the great-circle distances in metres between positions in degrees, by the haversine formula."""
    phi1, phi2 = np.radians(np.asarray(lat1, np.float64)), np.radians(np.asarray(lat2, np.float64))
    half_dphi = (phi2 - phi1) / 2.0
    half_dlam = np.radians(np.asarray(lon2, np.float64) - np.asarray(lon1, np.float64)) / 2.0
    a = np.sin(half_dphi) ** 2 + np.cos(phi1) * np.cos(phi2) * np.sin(half_dlam) ** 2
    distance: Floats = 2.0 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(a, 0.0, 1.0)))
    return distance


def from_local(
    lat: npt.ArrayLike, lon: npt.ArrayLike, east_m: npt.ArrayLike, north_m: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Return the positions reached by going `east_m` along bearing 90 and then `north_m` along bearing 0.

    This is the benchmark's order: first east along a great circle, then north along the meridian.
    """
    phi = np.radians(np.asarray(lat, np.float64))
    delta = np.asarray(east_m, np.float64) / EARTH_RADIUS_M
    end = np.arcsin(np.sin(phi) * np.cos(delta))
    turn = np.arctan2(np.sin(delta), np.cos(delta) * np.cos(phi))
    end_deg = np.degrees(end + np.asarray(north_m, np.float64) / EARTH_RADIUS_M)
    return end_deg, wrap_lon(np.asarray(lon, np.float64) + np.degrees(turn))


def to_local(
    lat0: npt.ArrayLike, lon0: npt.ArrayLike, lat: npt.ArrayLike, lon: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Return metres east and north of (lat0, lon0) for positions: the exact inverse of `from_local`.

    They are infinite for positions that are 90 degrees of longitude or more away, which have no such coordinates.
    """
    phi0 = np.radians(np.asarray(lat0, np.float64))
    dlam = np.radians(wrap_lon(np.asarray(lon, np.float64) - np.asarray(lon0, np.float64)))
    # Napier's rule in the right spherical triangle: tan(dlam) = tan(e / R) / cos(lat0).
    delta = np.arctan(np.tan(dlam) * np.cos(phi0))
    foot = np.arcsin(np.sin(phi0) * np.cos(delta))
    near = np.abs(dlam) < np.pi / 2.0
    east = np.where(near, delta * EARTH_RADIUS_M, np.inf)
    north = np.where(near, (np.radians(np.asarray(lat, np.float64)) - foot) * EARTH_RADIUS_M, np.inf)
    return east, north
