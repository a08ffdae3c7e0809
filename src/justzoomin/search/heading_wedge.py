"""A heading with its spread as a wedge on the map, for GeoJSON."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from justzoomin.geometry import move

WEDGE_M = 30.0
"""Length of a wedge in metres."""
_WIDEST_DEG = 179.0
_STEP_DEG = 5.0
Ring = list[list[float]]


def wedge(lat: float, lon: float, heading_deg: float, sigma_deg: float, length_m: float = WEDGE_M) -> dict[str, Any]:
    """Return a GeoJSON geometry: from a position, between one spread left and one spread right of a heading.

    Rings are counter-clockwise. A wedge across the antimeridian is cut in two.

    Args:
        lat: Latitude of the apex in degrees.
        lon: Longitude of the apex in degrees.
        heading_deg: Degrees clockwise from north.
        sigma_deg: The spread in degrees; drawn up to 179.
        length_m: Length in metres.

    Source: RFC 7946, sections 3.1.6 and 3.1.9.
    """
    half = min(sigma_deg, _WIDEST_DEG)
    count = max(2, int(np.ceil(2 * half / _STEP_DEG)) + 1)
    lats, lons = move(lat, lon, heading_deg + np.linspace(half, -half, count), length_m)
    lons = lon + (lons - lon + 180.0) % 360.0 - 180.0                 # without a jump at the antimeridian
    ring = [[lon, lat], *np.stack([lons, lats], 1).tolist(), [lon, lat]]
    if all(abs(x) <= 180.0 for x, _ in ring):
        return {"type": "Polygon", "coordinates": [ring]}
    border = 180.0 if lon > 0 else -180.0
    parts = [_half(ring, border, side) for side in (-1, 1)]
    beyond = 1 if border > 0 else 0
    parts[beyond] = [[x - 2 * border, y] for x, y in parts[beyond]]
    return {"type": "MultiPolygon", "coordinates": [[part] for part in parts if len(part) > 3]}


def _half(ring: Ring, border: float, side: int) -> Ring:
    """Return the part of a closed ring west (-1) or east (1) of a meridian.

    Source: I. Sutherland and G. Hodgman, Reentrant polygon clipping, CACM 17 (1974), for one edge.
    """
    found: Ring = []
    for (x, y), (x2, y2) in pairwise(ring):
        if side * (x - border) >= 0:
            found.append([x, y])
        if (x - border) * (x2 - border) < 0:
            found.append([border, y + (y2 - y) * (border - x) / (x2 - x)])
    return [*found, found[0]] if found else []
