"""Exact search for near positions on the sphere, in a k-d tree of vectors, in which longitudes do not jump."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.geometry.sphere import EARTH_RADIUS_M, Floats, haversine_m

Ints = npt.NDArray[np.int64]


def nearest(lat: npt.ArrayLike, lon: npt.ArrayLike, lat_of: npt.ArrayLike, lon_of: npt.ArrayLike) -> tuple[Ints, Floats]:
    """Find the nearest of other positions (M,) for every position (N,).

    Args:
        lat: Latitudes (N,) in degrees.
        lon: Longitudes (N,).
        lat_of: Latitudes (M,) of the others.
        lon_of: Longitudes (M,) of the others.

    Returns:
        Index (N,) of the nearest of the others, and its great-circle distance (N,) in metres.

    Raises:
        DataError: If there are no others.
    """
    from scipy.spatial import cKDTree

    others = _vectors(lat_of, lon_of)
    if not len(others):
        raise DataError("nearest position", "there is no position to compare with", "Give a split with photos.")
    found = np.asarray(cKDTree(others).query(_vectors(lat, lon))[1], np.int64)
    return found, haversine_m(lat, lon, np.asarray(lat_of)[found], np.asarray(lon_of)[found])


def pairs_within(lat: npt.ArrayLike, lon: npt.ArrayLike, lat_of: npt.ArrayLike, lon_of: npt.ArrayLike,
                 radii_m: npt.ArrayLike) -> Ints:
    """Count the pairs of a position (N,) and another one (M,) that are within each of some distances (K,).

    Args:
        lat: Latitudes (N,) in degrees.
        lon: Longitudes (N,).
        lat_of: Latitudes (M,) of the others.
        lon_of: Longitudes (M,) of the others.
        radii_m: Great-circle distances (K,) in metres.
    """
    from scipy.spatial import cKDTree

    chords = 2 * EARTH_RADIUS_M * np.sin(np.asarray(radii_m, np.float64) / (2 * EARTH_RADIUS_M))
    trees = cKDTree(_vectors(lat, lon)), cKDTree(_vectors(lat_of, lon_of))
    return np.asarray(trees[0].count_neighbors(trees[1], chords), np.int64)


def _vectors(lat: npt.ArrayLike, lon: npt.ArrayLike) -> Floats:
    """Return positions (N,) as vectors (N, 3) in metres from the centre of the sphere."""
    phi, lam = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64))
    return EARTH_RADIUS_M * np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], -1)
