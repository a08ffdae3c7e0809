"""How much of each cell of a lattice a polygon or a circle covers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError
from justzoomin.geometry import LatLon, from_local, haversine_m
from justzoomin.posterior.lattices import Floats, Ints, Lattice

_FINEST = 64
"""A circle whose radius is less than the cells' edge over this is taken as one of that radius."""
_EDGE_STEPS = 8
_ROOM = 1 << 20
"""Squares of polygons' rectangles that are in memory at once."""
_PIECES = 1 << 15
"""Pieces of edges that are worked on at once: they stay in the processor's cache."""
_MOST = 1 << 29
"""Squares of rectangles and pieces of edges, which count four times, that polygons may take: some 20 seconds."""
_ROUNDING = 1e-12


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


class Edges(NamedTuple):
    """Edges of polygons on a picture, in squares from its top left corner; those of a polygon lie together.

    Attributes:
        start: Where they start: x (to the right) and y (downwards). (E, 2)
        end: Where they end. (E, 2)
        sign: 1, or -1 where the edge's ring is to be taken the other way round: holes run against outlines. (E,)
        polygon: Number of the polygon, never falling. (E,)
    """

    start: Floats
    end: Floats
    sign: Floats
    polygon: Ints


def polygon_coverage(side: int, edges: Edges, name: str) -> Floats:
    """Share of each square of a side x side picture that polygons cover, where several lie their sum, up to 1.

    Areas are exact: each edge is cut at the picture's lines, each piece adds the signed area to its right in its square, and
    sums along rows spread it, as FreeType and font-rs do. Each polygon takes room and time for the squares of the rectangle
    around it alone; small ones are done together. shapely's intersections agree to 1e-12 and take 10 to 800 times as long.

    Args:
        side: Squares along one side.
        edges: Edges of closed rings.
        name: What they are, for the error.

    Returns:
        (side, side), between 0 and 1.

    Raises:
        ConfigError: If the polygons are so many and so large that it would take minutes.
    """
    image = np.zeros((side, side))
    slope = edges.end - edges.start
    top, bottom = (np.clip(side_of[:, 1], 0, side) for side_of in (edges.start, edges.end))
    used = top != bottom  # level edges add no area
    along = np.where(used, slope[:, 0] / np.where(used, slope[:, 1], 1.0), 0.0)
    lines = np.stack([edges.start[:, 0] + (top - edges.start[:, 1]) * along, top,
                      edges.start[:, 0] + (bottom - edges.start[:, 1]) * along, bottom, edges.sign], 1)[used]
    if not len(lines):
        return image
    firsts = np.flatnonzero(np.diff(edges.polygon[used], prepend=-1))
    low, high = (fold.reduceat(pick(lines[:, :2], lines[:, 2:4]), firsts) for fold, pick in
                 ((np.minimum, np.minimum), (np.maximum, np.maximum)))
    boxes = np.concatenate([np.clip(np.floor(low), 0, side - 1), np.clip(np.floor(high), 0, side - 1)], 1).astype(np.int64)
    squares = (boxes[:, 2] - boxes[:, 0] + 2) * (boxes[:, 3] - boxes[:, 1] + 1)
    pieces = (np.abs(lines[:, 2:4] - lines[:, :2]) + 2).clip(max=side + 2).sum(1)
    if squares.sum() + 4 * pieces.sum() > _MOST:
        raise ConfigError(name, f"its {len(firsts):,} polygons and {len(lines):,} edges lie over so many cells that it would "
                          "take minutes to weigh them", "Simplify them, merge them, or use a grid of fewer levels.")
    ends = np.append(firsts[1:], len(lines))
    for polygons in _groups(squares, _ROOM):
        base = np.cumsum(squares[polygons]) - squares[polygons]
        area = np.zeros(squares[polygons].sum())
        here = slice(firsts[polygons][0], ends[polygons][-1])
        owner = np.repeat(np.arange(len(base)), (ends - firsts)[polygons])
        for some in _groups(pieces[here], _PIECES):
            _add_edges(area, side, lines[here][some], boxes[polygons][owner[some]], base[owner[some]])
        for first, (c0, r0, c1, r1) in zip(base.tolist(), boxes[polygons].tolist(), strict=True):
            rows, columns = r1 - r0 + 1, c1 - c0 + 2
            covered = np.abs(np.cumsum(area[first:first + rows * columns].reshape(rows, columns)[:, :-1], axis=1))
            covered[covered < _ROUNDING] = 0.0  # beside a polygon there is nothing, not what sums leave over
            image[r0:r1 + 1, c0:c1 + 1] += np.minimum(covered, 1.0)
    return np.minimum(image, 1.0)


def _groups(sizes: npt.NDArray[Any], room: int) -> Iterator[slice]:
    """Neighbours whose sizes add up to about `room`; what is larger is alone."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + room, "right")))
        yield slice(start, stop)
        start = stop


def _add_edges(area: Floats, side: int, lines: Floats, boxes: Ints, base: Ints) -> None:
    """Add the signed areas of edges (E, 5): in its square what lies right of a piece, in the next the rest of its height."""
    x0, y0, x1, y1, sign = lines.T
    line, row, start, end = _cut(y0, y1, 0, side - 1)
    along = ((x1 - x0) / (y1 - y0))[line]
    left, right = (x0[line] + (y - y0[line]) * along for y in (start, end))
    start, end = start - row, end - row
    piece, col, x_start, x_end = _cut(left, right, 0, side)
    width = (right - left)[piece]
    steep = (end - start)[piece] / np.where(width == 0, 1.0, width)
    begin, stop = (np.where(x == edge[piece], y[piece], start[piece] + (x - left[piece]) * steep)
                   for x, edge, y in ((x_start, left, start), (x_end, right, end)))
    owner = line[piece]
    height = (stop - begin) * sign[owner]
    share = np.where(col < 0, 1.0, np.where(col < side, 1.0 - ((x_start + x_end) / 2 - col), 1.0))
    c0, r0, c1, _ = boxes[owner].T
    slot = base[owner] + (row[piece] - r0) * (c1 - c0 + 2) + np.maximum(col, 0) - c0
    np.add.at(area, slot, height * share)
    inside = share < 1.0
    np.add.at(area, slot[inside] + 1, (height * (1.0 - share))[inside])


def _cut(a: Floats, b: Floats, low: int, high: int) -> tuple[Ints, Ints, Floats, Floats]:
    """Cut stretches from a to b at the whole numbers `low` to `high`.

    Returns:
        For each piece, in order: its stretch; the number below it, low - 1 for what lies before `low`; its start; its end.
    """
    first, last = (np.clip(np.floor(v), low - 1, high).astype(np.int64) for v in (a, b))
    count = np.abs(last - first) + 1
    owner = np.repeat(np.arange(len(a)), count)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    up = (last >= first)[owner]
    number = first[owner] + np.where(up, step, -step)
    start = np.where(step == 0, a[owner], number + ~up)
    end = np.where(step == count[owner] - 1, b[owner], number + up)
    return owner, number, start, end
