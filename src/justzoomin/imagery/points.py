"""Converts points between projections; as in rasters, x is always east and y always north."""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError
from justzoomin.imagery.base import Bounds

Floats = npt.NDArray[np.float64]
_local = threading.local()
_EDGE_POINTS = 21
_SAME_X = 2e-5
"""Share of a turn by which x may differ between latitudes: old datums differ by some hundred metres."""
DEGREES = "epsg:4326"


def transformer(source: str, target: str) -> Any:
    """Return this thread's PROJ transformer from one projection to another."""
    import pyproj

    known = _local.__dict__.setdefault("transformers", {})
    if (source, target) not in known:
        if len(known) > 64:
            known.clear()
        known[source, target] = pyproj.Transformer.from_crs(source, target, always_xy=True)
    return known[source, target]


def convert(source: str, target: str, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Convert points of one projection to another; infinite where it fails.

    They are converted through WGS 84, like positions on a map: PROJ's direct way between two old datums may differ by metres.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if source == target:
        return x, y
    if DEGREES not in {source, target}:
        x, y = convert(source, DEGREES, x, y)
        return convert(DEGREES, target, x, y)
    found = transformer(source, target).transform(x, y)
    return np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)


@lru_cache(maxsize=64)
def turn(crs: str) -> float | None:
    """Return the length of x once around the earth if x is the longitude times a scale; else None.

    In such projections (degrees, Mercator and similar ones) x jumps by this length at one meridian, usually the antimeridian.
    """
    known = projection(crs, "crs")
    if known.is_geographic:
        return 2.0 * math.pi / float(known.axis_info[0].unit_conversion_factor)
    lon = np.arange(-179.0, 180.0, 2.0)
    rows = [convert(DEGREES, crs, lon, np.full_like(lon, lat))[0] for lat in (0.0, 45.0)]
    if not np.isfinite(rows).all():
        return None
    step = float(np.median(np.diff(rows[0])))
    around, small = step * 180.0, abs(step) * 180.0 * _SAME_X
    jumps = np.abs(np.diff(rows[0]) - step) > small
    straight = step > 0 and np.count_nonzero(jumps) <= 1 and np.abs(rows[0] - rows[1]).max() <= small
    return around if straight else None


def unwrapped(crs: str, x: npt.ArrayLike, middle: float) -> Floats:
    """Return east coordinates within half a turn of a middle, so that they do not jump at the antimeridian; see `turn`."""
    around = turn(crs)
    if around is None:
        return np.asarray(x, np.float64)
    return np.asarray(middle + np.mod(np.asarray(x, np.float64) - middle + around / 2, around) - around / 2)


def along(low: npt.ArrayLike, high: npt.ArrayLike, steps: int = _EDGE_POINTS) -> tuple[Floats, Floats]:
    """Return points along the border of the rectangle between two corners, in order: x and y, each (4 * steps,)."""
    (x0, y0), (x1, y1) = np.asarray(low, np.float64), np.asarray(high, np.float64)
    t = np.linspace(0.0, 1.0, steps)
    zeros, ones = np.zeros_like(t), np.ones_like(t)
    u, v = np.concatenate([t, ones, t[::-1], zeros]), np.concatenate([zeros, t, ones, t[::-1]])
    return x0 + u * (x1 - x0), y0 + v * (y1 - y0)


def bounds_of(x: Floats, y: Floats) -> Bounds | None:
    """Return the rectangle around points; None if one is not finite."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def convert_bounds(source: str, target: str, bounds: Bounds) -> Bounds | None:
    """Return the rectangle in one projection around a rectangle of another; None if it fails.

    Across the antimeridian its east edge is beyond the end of the projection, like 181 degrees.
    """
    return convert_border(source, target, *along(bounds[:2], bounds[2:]))


def convert_border(source: str, target: str, x: Floats, y: Floats) -> Bounds | None:
    """Return the rectangle in one projection around a border of `along` in another; None if it fails."""
    found_x, found_y = convert(source, target, x, y)
    around = turn(target)
    if around is None or not np.isfinite(found_x).all():
        return bounds_of(found_x, found_y)
    found_x = np.unwrap(found_x, period=around)
    bounds = bounds_of(found_x, found_y)
    if bounds is None:
        return None
    far = len(x) // 2  # the opposite corner
    middle = float(convert(source, target, (x[0] + x[far]) / 2, (y[0] + y[far]) / 2)[0])
    return shifted(target, bounds, middle) if math.isfinite(middle) else bounds


def shifted(crs: str, bounds: Bounds, middle: float) -> Bounds:
    """Return the same rectangle of the earth, moved by full turns so that its middle is nearest to an east coordinate."""
    own = (bounds[0] + bounds[2]) / 2
    move = float(unwrapped(crs, own, middle)) - own
    return bounds[0] + move, bounds[1], bounds[2] + move, bounds[3]


@lru_cache(maxsize=64)
def projection(crs: str, where: str) -> Any:
    """Return the pyproj object of a projection.

    Raises:
        ConfigError: If PROJ does not know it; it names `where`.
    """
    import pyproj

    try:
        return pyproj.CRS.from_user_input(int(crs) if crs.isdigit() else crs)
    except pyproj.exceptions.CRSError as error:
        raise ConfigError(where, f"PROJ does not know {crs[:80]!r}", "Name a projection such as EPSG:32633.") from error


def metres_between(lon: Floats, lat: Floats) -> float:
    """Return the metres between two positions on the ellipsoid WGS 84, given as longitudes (2,) and latitudes (2,)."""
    import pyproj

    return float(pyproj.Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])[2])


def ground_scale(crs: str, x: float, y: float, step: float) -> tuple[float, float]:
    """Return the metres on the ground per unit of a projection at a point, along x and along y.

    Args:
        crs: The projection.
        x: East coordinate.
        y: North coordinate.
        step: Number of units over which it is measured.
    """
    half = step / 2.0
    lon, lat = convert(crs, DEGREES, [x - half, x + half, x, x], [y, y, y - half, y + half])
    return metres_between(lon[:2], lat[:2]) / step, metres_between(lon[2:], lat[2:]) / step
