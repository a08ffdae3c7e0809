"""Triangles with materials: the mesh builder and the simple solids that everything is made of."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from justzoomin.city.arrays import F32, I32, U8, Array, linear

# materials
GROUND, WALL, FRONT, ROOF, FLAT, LEAF, TRUNK, PLAIN, PAINT, GLASS = range(10)

# columns of the part table
COLOUR_A, COLOUR_B, COLOUR_C = slice(0, 3), slice(3, 6), slice(6, 9)
(FLOOR_H, WIN_W, WIN_H, BASE_Z, EAVE_Z, SHOP, STYLE, HASH) = range(9, 17)
CENTRE = slice(17, 20)
RADIUS_Z, BAY_M = 20, 21
PART_COLUMNS = 24

# columns of the triangle table
NORMAL = slice(0, 3)
AXIS_X, AXIS_Y, U0, BAY, DOOR = 3, 4, 5, 6, 7
TRIANGLE_COLUMNS = 8

Rgb = tuple[float, float, float]

_COLUMNS = {"floor_h": FLOOR_H, "win_w": WIN_W, "win_h": WIN_H, "base_z": BASE_Z, "eave_z": EAVE_Z, "shop": SHOP,
            "style": STYLE, "hash": HASH, "radius_z": RADIUS_Z, "bay_m": BAY_M, "x": 17, "y": 18, "z": 19}
_linear = lru_cache(maxsize=256)(linear)  # most parts have the same few colours
_AT_ONCE = 1 << 15


class MeshBuilder:
    """Collects quads and triangles; `finish` returns the arrays of a `Mesh`."""

    def __init__(self) -> None:
        self._quads: list[Array] = []
        self._quad_tags: list[tuple[int, int, int]] = []  # count, material, part
        self._triangles: list[Array] = []
        self._triangle_tags: list[tuple[int, int, int]] = []
        self._parts: list[F32] = []

    def part(self, a: Rgb, b: Rgb = (200.0, 200.0, 200.0), c: Rgb = (90.0, 60.0, 50.0), **values: float) -> int:
        """Register a part (a building, a tree) with sRGB colours; return its number."""
        row = np.zeros(PART_COLUMNS, np.float32)
        row[COLOUR_A], row[COLOUR_B], row[COLOUR_C] = _linear(a), _linear(b), _linear(c)
        for name, value in values.items():
            row[_COLUMNS[name]] = value
        self._parts.append(row)
        return len(self._parts) - 1

    def quads(self, corners: Array, material: int, part: int) -> None:
        """Add quads (n, 4, 3): the first two corners are the lower edge, and from outside all are counter-clockwise."""
        corners = np.asarray(corners, np.float32).reshape(-1, 4, 3)
        self._quads.append(corners)
        self._quad_tags.append((len(corners), material, part))

    def triangles(self, corners: Array, material: int, part: int) -> None:
        """Add triangles (n, 3, 3)."""
        corners = np.asarray(corners, np.float32).reshape(-1, 3, 3)
        self._triangles.append(corners)
        self._triangle_tags.append((len(corners), material, part))

    def finish(self) -> tuple[F32, U8, I32, F32, F32]:
        """Return corners (t, 3, 3), material (t,), part (t,), triangle table (t, 8) and part table (p, 24)."""
        quads = np.concatenate([*self._quads, np.zeros((0, 4, 3), np.float32)])
        tris = np.concatenate([*self._triangles, np.zeros((0, 3, 3), np.float32)])
        tags = np.array([*self._quad_tags, *self._triangle_tags], np.int64).reshape(-1, 3)
        n_quad = len(self._quad_tags)
        material = np.concatenate([np.repeat(tags[:n_quad, 1], tags[:n_quad, 0] * 2),
                                   np.repeat(tags[n_quad:, 1], tags[n_quad:, 0])]).astype(np.uint8)
        part = np.concatenate([np.repeat(tags[:n_quad, 2], tags[:n_quad, 0] * 2),
                               np.repeat(tags[n_quad:, 2], tags[n_quad:, 0])]).astype(np.int32)
        corners = np.concatenate([quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 3), tris])
        parts = np.array(self._parts, np.float32).reshape(-1, PART_COLUMNS)

        table = np.zeros((len(corners), TRIANGLE_COLUMNS), np.float32)
        n2 = 2 * len(quads)
        for start in range(0, len(corners), _AT_ONCE):
            table[start:start + _AT_ONCE, NORMAL] = _normals(corners[start:start + _AT_ONCE], max(0, n2 - start))
        edge = quads[:, 1, :2] - quads[:, 0, :2]
        length = np.hypot(edge[:, 0], edge[:, 1])
        axis = edge / np.maximum(length, 1e-6)[:, None]
        u0 = (quads[:, 0, :2] * axis).sum(axis=1)
        target = np.maximum(parts[part[:n2:2], BAY_M], 0.5) if len(parts) else np.ones(len(quads))
        bays = np.maximum(np.round(length / target), 1)
        bay = np.where(length < 1.6, 0.0, length / bays)
        door = np.where(material[:n2:2] == FRONT, parts[part[:n2:2], HASH] % bays, -1.0) if len(parts) else -bays
        table[:n2, AXIS_X:] = np.repeat(np.stack([axis[:, 0], axis[:, 1], u0, bay, door], axis=1), 2, axis=0)
        table[n2:, BAY], table[n2:, DOOR] = 0.0, -1.0
        return corners.astype(np.float32, copy=False), material, part, table, parts


def _normals(corners: Array, quads: int) -> Array:
    """Return unit normals (n, 3) of triangles (n, 3, 3), of which the first `quads` are halves of quads."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = np.linalg.norm(normal[1:quads:2], axis=1) < 1e-7  # a degenerate half of a quad gets the other half's normal
    normal[1:quads:2][flat] = normal[0:quads:2][flat]
    unit: Array = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return unit


class Frame:
    """A local frame on the ground: x along a street, y away from it, z up."""

    def __init__(self, centre: Array, along: Array) -> None:
        self.centre = np.asarray(centre, np.float64)
        self.along = np.asarray(along, np.float64) / max(float(np.hypot(*along)), 1e-9)
        self.back = np.array([-self.along[1], self.along[0]])

    def place(self, local: Array) -> Array:
        """Return world points (..., 3) of local points (..., 3)."""
        local = np.asarray(local, np.float64)
        xy = self.centre + local[..., :1] * self.along + local[..., 1:2] * self.back
        return np.concatenate([xy, local[..., 2:3]], axis=-1)

    def flat(self, local: Array) -> Array:
        """Return world points (..., 2) of local points (..., 2)."""
        local = np.asarray(local, np.float64)
        placed: Array = self.centre + local[..., :1] * self.along + local[..., 1:2] * self.back
        return placed

    def at(self, x: float, y: float, turn_deg: float = 0.0) -> Frame:
        """Return this frame moved to its point (x, y) and turned."""
        c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
        return Frame(self.flat(np.array([x, y])), c * self.along + s * self.back)


def rectangle(width: float, depth: float, x: float = 0.0, y: float = 0.0) -> Array:
    """Return corners (4, 2) of a rectangle about (x, y), counter-clockwise, the front edge (least y) first."""
    w, d = width / 2, depth / 2
    return np.array([(-w + x, -d + y), (w + x, -d + y), (w + x, d + y), (-w + x, d + y)], np.float64)


def prism(corners: Array, z0: float, z1: float) -> Array:
    """Return walls (n, 4, 3) over a counter-clockwise outline (n, 2)."""
    walls = np.empty((len(corners), 4, 3))
    walls[:, 0, :2] = walls[:, 3, :2] = corners
    walls[:-1, 1, :2] = walls[:-1, 2, :2] = corners[1:]
    walls[-1, 1, :2] = walls[-1, 2, :2] = corners[0]
    walls[:, :2, 2], walls[:, 2:, 2] = z0, z1
    return walls


def box(x: float, y: float, z: float, w: float, d: float, h: float, top_scale: float = 1.0) -> Array:
    """Return a box (5, 4, 3) without a floor, its base centred at (x, y, z); the top may be smaller."""
    base, top = (_corners(w, d, x, y, z), _corners(w * top_scale, d * top_scale, x, y, z + h))
    walls = [(base[k], base[k - 3], top[k - 3], top[k]) for k in range(4)]
    return np.array([*walls, top], np.float64)


def _corners(w: float, d: float, x: float, y: float, z: float) -> tuple[tuple[float, float, float], ...]:
    """Return the corners of `rectangle` at height z, as plain numbers."""
    w, d = w / 2, d / 2
    return (-w + x, -d + y, z), (w + x, -d + y, z), (w + x, d + y, z), (-w + x, d + y, z)


def icosphere(subdivisions: int) -> Array:
    """Return triangles (n, 3, 3) of a unit sphere from a subdivided icosahedron."""
    p = (1 + 5**0.5) / 2
    v = np.array([(-1, p, 0), (1, p, 0), (-1, -p, 0), (1, -p, 0), (0, -1, p), (0, 1, p), (0, -1, -p), (0, 1, -p),
                  (p, 0, -1), (p, 0, 1), (-p, 0, -1), (-p, 0, 1)], np.float64)
    f = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2), (10, 7, 6),
         (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5), (2, 4, 11), (6, 2, 10), (8, 6, 7),
         (9, 8, 1)]
    tris: Array = v[np.array(f)]
    tris /= np.linalg.norm(tris, axis=-1, keepdims=True)
    for _ in range(subdivisions):
        a, b, c = tris[:, 0], tris[:, 1], tris[:, 2]
        ab, bc, ca = a + b, b + c, c + a
        tris = np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
        tris /= np.linalg.norm(tris, axis=-1, keepdims=True)
    return tris
