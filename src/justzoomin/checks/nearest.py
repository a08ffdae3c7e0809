"""Nearest positions on the sphere, exactly and without a further library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.geometry import EARTH_RADIUS_M, haversine_m

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEAF = 48
_CHUNK = 256
_SLACK_M = 1e-3


def unit_vectors(lat: npt.ArrayLike, lon: npt.ArrayLike) -> Floats:
    """Positions (N,) as unit vectors (N, 3)."""
    phi, lam = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64))
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], -1)


def nearest(lat: npt.ArrayLike, lon: npt.ArrayLike, lat_of: npt.ArrayLike, lon_of: npt.ArrayLike) -> tuple[Ints, Floats]:
    """For every position (N,), the nearest of others (M,).

    The others are halved along their widest axis until at most 48 lie together. A position then looks only into the groups
    whose sphere can hold anything nearer than the nearest sphere's far side, so the answer is exact.

    Args:
        lat: Latitudes (N,) in degrees.
        lon: Longitudes (N,).
        lat_of: Latitudes (M,) of the others.
        lon_of: Longitudes (M,) of them.

    Returns:
        Index (N,) of the nearest of the others, and its great-circle distance (N,) in metres.

    Raises:
        DataError: If there are no others.
    """
    ask, points = unit_vectors(lat, lon) * EARTH_RADIUS_M, unit_vectors(lat_of, lon_of) * EARTH_RADIUS_M
    if not len(points):
        raise DataError("nearest position", "there is none to look for", "Give a split that holds photos.")
    groups = _groups(points)
    order = np.concatenate(groups)
    starts = np.cumsum([0, *map(len, groups)])[:-1]
    sizes = np.diff([*starts, len(order)])
    centres = np.add.reduceat(points[order], starts) / sizes[:, None]
    offsets = np.linalg.norm(points[order] - np.repeat(centres, sizes, axis=0), axis=1)
    radii = np.maximum.reduceat(offsets, starts)
    found = np.empty(len(ask), np.int64)
    for start in range(0, len(ask), _CHUNK):
        part = ask[start:start + _CHUNK]
        # Against a centre near by: far from the earth's middle the squares would cancel.
        middle = part.mean(0)
        a, c = part - middle, centres - middle
        square = (a**2).sum(1)[:, None] + (c**2).sum(1) - 2 * a @ c.T
        away = np.sqrt(np.maximum(square, 0.0))
        limit = (away + radii).min(1) + _slack(away)
        rows, leaves = np.nonzero(away - radii <= limit[:, None])
        counts = sizes[leaves]
        pairs = np.repeat(rows, counts)
        ends = np.cumsum(counts)
        members = order[np.arange(ends[-1]) - np.repeat(ends - counts, counts) + np.repeat(starts[leaves], counts)]
        distance = ((part[pairs] - points[members]) ** 2).sum(1)
        first = np.searchsorted(rows, np.arange(len(part)))
        bounds = np.concatenate([ends - counts, ends[-1:]])[first]
        best = np.minimum.reduceat(distance, bounds)
        hits = np.flatnonzero(distance == best[pairs])
        found[start + pairs[hits[::-1]]] = members[hits[::-1]]
    return found, haversine_m(lat, lon, np.asarray(lat_of)[found], np.asarray(lon_of)[found])


def _slack(away: Floats) -> Floats:
    """What the squared distances may be wrong by, as a distance (N,)."""
    slack: Floats = _SLACK_M + 1e-7 * away.max(1)
    return slack


def _groups(points: Floats) -> list[Ints]:
    """Indices of points, in groups of at most `_LEAF` that lie together."""
    waiting, done = [np.arange(len(points))], []
    while waiting:
        part = waiting.pop()
        if len(part) <= _LEAF:
            done.append(part)
            continue
        axis = int(np.ptp(points[part], axis=0).argmax())
        middle = len(part) // 2
        part = part[np.argpartition(points[part, axis], middle)]
        waiting += [part[:middle], part[middle:]]
    return done
