"""The street network: bent lines of a loose grid, with widths, kinds and positions on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from justzoomin.city.arrays import Array

Kind = Literal["main", "side", "lane", "canal"]
STRIP_M = 2.1  # width of a parking strip
WATER_HALF_M = 4.6  # half the width of the canal's water
CANAL = (2 * (WATER_HALF_M + 5.2), 2.2, (False, False))


@dataclass(frozen=True)
class Edge:
    """A street between two crossings.

    Attributes:
        a: Node at its start.
        b: Node at its end.
        kind: Main and side streets carry cars, a lane only people; a canal is water between two quays.
        width_m: From kerb to kerb, including parking strips and water.
        walk_m: Width of the pavement on each side.
        points: Centre line (k, 2), metres east and north of the town's centre.
        along: Distance of each point from the start (k,), metres.
        park: Whether there is a parking strip on the left and on the right (seen from a to b).
    """

    a: int
    b: int
    kind: Kind
    width_m: float
    walk_m: float
    points: Array
    along: Array
    park: tuple[bool, bool]

    @property
    def length_m(self) -> float:
        """Length of the centre line."""
        return float(self.along[-1])

    @property
    def half_m(self) -> float:
        """Distance from the centre line to the outer border of the pavement."""
        return self.width_m / 2 + self.walk_m

    def at(self, s: float) -> tuple[Array, Array]:
        """Return point and unit tangent (a to b) at distance `s` from the start, each (2,)."""
        s = min(max(s, 0.0), self.length_m)
        k = min(max(int(self.along.searchsorted(s, side="right")) - 1, 0), len(self.along) - 2)
        step = self.points[k + 1] - self.points[k]
        length = float(np.hypot(step[0], step[1]))
        tangent = step / length
        return self.points[k] + tangent * (s - self.along[k]), tangent

    def lane_m(self, forward: bool) -> float:
        """Return the middle of a direction's lane, metres to the right of the centre line seen from a to b."""
        if self.kind == "canal":
            offset = (WATER_HALF_M + self.width_m / 2) / 2
            return offset if forward else -offset
        left, right = (STRIP_M if p else 0.0 for p in self.park)
        middle = (left - right) / 2
        quarter = (self.width_m - left - right) / 4
        return middle + quarter if forward else middle - quarter

    def offset_line(self, offset_m: float, start_m: float = 0.0, end_m: float = 0.0, step_m: float = 3.0) -> Array:
        """Return a line (k, 2) parallel to the centre, `offset_m` to the right, shortened at both ends."""
        stop = self.length_m - end_m
        count = max(2, int((stop - start_m) / step_m) + 1)
        line = []
        for s in np.linspace(start_m, max(stop, start_m + 0.1), count):
            point, t = self.at(float(s))
            line.append(point + offset_m * np.array([t[1], -t[0]]))
        return np.array(line)


@dataclass(frozen=True)
class Block:
    """The land between four streets: corner nodes and (edge, runs forward) counter-clockwise from the south-west."""

    row: int
    col: int
    sides: tuple[tuple[int, bool], ...]
    polygon: Array
    centre: Array


@dataclass(frozen=True)
class Streets:
    """Nodes (n, 2), edges between them, edges at every node, and the blocks between."""

    nodes: Array
    edges: tuple[Edge, ...]
    at_node: tuple[tuple[int, ...], ...]
    blocks: tuple[Block, ...]


def _lines(rng: np.random.Generator, half_m: float) -> Array:
    start = -half_m - rng.uniform(0.0, 30.0)
    places = [start]
    while places[-1] < half_m:
        places.append(places[-1] + rng.uniform(62.0, 86.0))
    return np.array(places)


def _curve(previous: Array, start: Array, end: Array, following: Array, bow_m: float) -> Array:
    """Return a cubic Hermite curve from start to end with Catmull-Rom tangents, bowed sideways in its middle."""
    chord = float(np.linalg.norm(end - start))
    t = np.linspace(0.0, 1.0, max(6, int(chord / 3.0)))[:, None]
    m0, m1 = (end - previous) / 2, (following - start) / 2
    m0, m1 = (m * chord / max(float(np.linalg.norm(m)), 1e-6) for m in (m0, m1))
    h = (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * m0
    h = h + (-2 * t**3 + 3 * t**2) * end + (t**3 - t**2) * m1
    direction = (end - start) / chord
    side = np.array([-direction[1], direction[0]])
    bowed: Array = h + bow_m * np.sin(np.pi * t) ** 2 * side
    return bowed


Course = tuple[Kind, float, float, tuple[bool, bool]]  # kind, width, pavement's width, parking on the left and right


LANE: Course = ("lane", 2.6, 0.6, (False, False))


class Layout(Protocol):
    """Where the crossings are and what runs between them.

    Attributes:
        grid: Crossings (rows, columns, 2), from south to north and from west to east, metres.
    """

    grid: Array

    def line(self, axis: int, line: int) -> None:
        """Begin a line of streets: a row (axis 0) or a column (axis 1)."""

    def course(self, axis: int, row: int, col: int) -> Course | None:
        """Return the street that begins at a crossing; None if there is none."""


class PlainLayout:
    """The layout of a town without districts: one way of building everywhere, and at most one canal."""

    def __init__(self, rng: np.random.Generator, half_m: float, canal: bool) -> None:
        xs, ys = _lines(rng, half_m), _lines(rng, half_m)
        self.rng = rng
        self.grid: Array = np.stack(np.meshgrid(xs, ys), axis=-1).astype(np.float64)  # (ny, nx, 2)
        grid = self.grid
        for _ in range(3):
            k = rng.uniform(2 * np.pi / 420, 2 * np.pi / 190, 2) * rng.choice([-1.0, 1.0], 2)
            phase, amplitude = rng.uniform(0, 2 * np.pi, 2), rng.uniform(-7.0, 7.0, 2)
            wave = grid[..., 0] * k[0] + grid[..., 1] * k[1]
            grid[..., 0] += amplitude[0] * np.sin(wave + phase[0])
            grid[..., 1] += amplitude[1] * np.sin(wave + phase[1])
        grid += rng.uniform(-5.0, 5.0, grid.shape)
        self.canal_row = int(np.argmin(np.abs(ys - rng.uniform(-0.25, 0.25) * half_m))) if canal else -1

    def line(self, axis: int, line: int) -> None:
        """Choose width and parking of a line of streets."""
        rng = self.rng
        if line == 0:
            self.offset = int(rng.integers(0, 3))
        self.main = line % 3 == self.offset
        if axis == 0 and line == self.canal_row:
            self.style: tuple[float, float, tuple[bool, bool]] = CANAL
        elif self.main:
            self.style = (float(rng.uniform(9.0, 10.5)), float(rng.uniform(2.8, 3.6)), (False, False))
        else:
            park = (bool(rng.random() < 0.5), bool(rng.random() < 0.5))
            self.style = (float(rng.uniform(5.6, 6.6)) + STRIP_M * sum(park), float(rng.uniform(1.7, 2.4)), park)

    def course(self, axis: int, row: int, col: int) -> Course:
        """Return the street that begins at a crossing."""
        if axis == 0 and row == self.canal_row:
            return "canal", *self.style
        if not self.main and self.rng.random() < 0.13 and not (
                axis == 1 and self.canal_row >= 0 and row in (self.canal_row - 1, self.canal_row)):
            return LANE
        return "main" if self.main else "side", *self.style


def lay_streets(rng: np.random.Generator, layout: Layout) -> Streets:
    """Lay the streets of a layout (they extend past the borders of the town)."""
    grid = layout.grid
    ny, nx = grid.shape[:2]
    edges: list[Edge] = []
    index: dict[tuple[int, int, int], int] = {}  # (axis, row, col) -> edge

    def add(axis: int, row: int, col: int, course: Course) -> None:
        dr, dc = (0, 1) if axis == 0 else (1, 0)

        def get(step: int) -> Array:
            place: Array = grid[row + dr * step, col + dc * step]
            return place

        last = (nx - 1 - col) if axis == 0 else (ny - 1 - row)
        first = col if axis == 0 else row
        before = get(-1) if first > 0 else 2 * get(0) - get(1)
        after = get(2) if last > 1 else 2 * get(1) - get(0)
        points = _curve(before, get(0), get(1), after, float(rng.uniform(-4.0, 4.0)))
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        index[axis, row, col] = len(edges)
        kind, width, walk, park = course
        edges.append(Edge(row * nx + col, (row + dr) * nx + col + dc, kind, width, walk, points, along, park))

    for axis, lines in ((0, ny), (1, nx)):
        for line in range(lines):
            layout.line(axis, line)
            for step in range((nx if axis == 0 else ny) - 1):
                row, col = (line, step) if axis == 0 else (step, line)
                course = layout.course(axis, row, col)
                if course:
                    add(axis, row, col, course)

    at_node: list[list[int]] = [[] for _ in range(nx * ny)]
    for number, edge in enumerate(edges):
        at_node[edge.a].append(number)
        at_node[edge.b].append(number)
    blocks = []
    for row in range(ny - 1):
        for col in range(nx - 1):
            around = _around(index, row, col)
            if not around:
                continue
            sides = tuple((index[key], forward) for key, forward in around)
            outline = [edges[e].points if forward else edges[e].points[::-1] for e, forward in sides]
            polygon = np.concatenate([line[:-1] for line in outline])
            blocks.append(Block(row, col, sides, polygon, polygon.mean(axis=0)))
    return Streets(grid.reshape(-1, 2), tuple(edges), tuple(tuple(e) for e in at_node), tuple(blocks))


def _around(index: dict[tuple[int, int, int], int], row: int, col: int) -> list[tuple[tuple[int, int, int], bool]]:
    """Return the streets around a cell, and whether each runs counter-clockwise.

    A cell without a street to the east or north is one block with its neighbour there, and that neighbour has none of its own.
    """
    def south(r: int, c: int) -> tuple[tuple[int, int, int], bool]:
        return (0, r, c), True

    def east(r: int, c: int) -> tuple[tuple[int, int, int], bool]:
        return (1, r, c + 1), True

    def north(r: int, c: int) -> tuple[tuple[int, int, int], bool]:
        return (0, r + 1, c), False

    def west(r: int, c: int) -> tuple[tuple[int, int, int], bool]:
        return (1, r, c), False

    if south(row, col)[0] not in index or west(row, col)[0] not in index:
        return []
    if east(row, col)[0] not in index:
        nxt = col + 1
        return [south(row, col), south(row, nxt), east(row, nxt), north(row, nxt), north(row, col), west(row, col)]
    if north(row, col)[0] not in index:
        up = row + 1
        return [south(row, col), east(row, col), east(up, col), north(up, col), west(up, col), west(row, col)]
    return [south(row, col), east(row, col), north(row, col), west(row, col)]
