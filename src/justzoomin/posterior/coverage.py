"""How much of each cell of a lattice a polygon or a circle covers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import LatLon, from_local, haversine_m
from justzoomin.posterior.lattice import Floats, Lattice

_FINEST = 64
"""A circle whose radius is less than the cells' edge over this is taken as one of that radius."""
_EDGE_STEPS = 8


def circle_coverage(cells: Lattice, centre: LatLon, radius_m: float) -> Floats:
    """Share (N,) of each cell's area that lies within a distance of a position, on the sphere.

    Cells on the border are sampled at 8 x 8 points or more; cells wholly inside or outside are exact.
    """
    radius = max(radius_m, cells.cell_m / _FINEST)
    distance = haversine_m(cells.lat, cells.lon, *centre)
    reach = cells.cell_m * math.sqrt(0.5) * 1.01 + 2 * cells.grid.sliver_m
    covered = (distance < radius).astype(np.float64)
    border = np.flatnonzero(np.abs(distance - radius) <= reach)
    side = max(_EDGE_STEPS, math.ceil(_EDGE_STEPS * cells.cell_m / radius))
    steps = ((np.arange(side) + 0.5) / side - 0.5) * cells.cell_m
    east, north = (a.ravel() for a in np.meshgrid(steps, steps))
    room = max(1, (1 << 21) // len(east))
    for start in range(0, len(border), room):
        some = border[start:start + room]
        lat, lon = from_local(cells.lat[some, None], cells.lon[some, None], east, north)
        covered[some] = (haversine_m(lat, lon, *centre) <= radius).mean(1)
    return covered


def polygon_coverage(side: int, rings: Sequence[npt.NDArray[np.float64]]) -> Floats:
    """Share of each square of a side x side picture that rings cover.

    Exact areas: each edge is cut at the picture's lines, each piece adds the signed area to its right in its square, and sums
    along rows spread it. Holes are rings that run the other way round. The way of FreeType's and font-rs' rasterizers.

    Args:
        side: Squares along one side.
        rings: Closed rings (K, 2) of x (to the right) and y (downwards) in squares from the top left corner.

    Returns:
        (side, side), between 0 and 1.
    """
    area = np.zeros((side, side + 1))
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring[:-1].tolist(), ring[1:].tolist(), strict=True):
            if y0 != y1 and max(y0, y1) > 0 and min(y0, y1) < side:
                _add_edge(area, side, x0, y0, x1, y1)
    covered: Floats = np.clip(np.abs(np.cumsum(area[:, :side], axis=1)), 0.0, 1.0)
    return covered


def _add_edge(area: Floats, side: int, x0: float, y0: float, x1: float, y1: float) -> None:
    """Add an edge's signed areas: in its square what lies right of it, in the next square the rest of its height."""
    cuts = [np.array([0.0, 1.0])]
    for a, b in ((x0, x1), (y0, y1)):
        if a != b:
            low, high = max(0, math.ceil(min(a, b))), min(side, math.floor(max(a, b)))
            cuts.append((np.arange(low, high + 1) - a) / (b - a))
    t = np.unique(np.clip(np.concatenate(cuts), 0.0, 1.0))
    x, y = x0 + t * (x1 - x0), np.clip(y0 + t * (y1 - y0), 0.0, side)
    x = np.clip(x, 0.0, side)  # left of the picture an edge covers whole rows, right of it none
    height = np.diff(y)
    middle_x, middle_y = (x[:-1] + x[1:]) / 2, (y[:-1] + y[1:]) / 2
    col = np.minimum(middle_x.astype(np.int64), side)
    row = np.minimum(middle_y.astype(np.int64), side - 1)
    share = np.where(col < side, 1.0 - (middle_x - col), 0.0)
    np.add.at(area, (row, col), height * share)
    inside = col < side
    np.add.at(area, (row[inside], col[inside] + 1), (height * (1.0 - share))[inside])
