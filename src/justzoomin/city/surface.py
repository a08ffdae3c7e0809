"""What surfaces look like: colour, gloss and normal of the points hit by rays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from justzoomin.city import ground, solids
from justzoomin.city.arrays import F32, I32, LINEAR_OF_BYTE, U8, sample, sample_smooth
from justzoomin.city.houses import BRICK, CHURCH, CURTAIN, RIBBON, SIDING
from justzoomin.city.light import Conditions
from justzoomin.city.world import Mesh, World

_HASHES: F32 = np.random.default_rng(4711).random(4096).astype(np.float32)


@dataclass
class Hits:
    """Points hit by n rays, sorted by material, component-major so that whole components are contiguous.

    Attributes:
        position: (3, n) metres.
        direction: (3, n) of the rays that hit them.
        distance: (n,) metres.
        material: (n,), ascending; GROUND or a material of `solids`.
        triangle: (n,) numbers in the town's mesh, followed by those of the traffic; undefined for ground.
        traffic: The mesh of passing cars.
        pixel: Angle of a pixel, radians; 0 for parallel rays.
        height_m: Height of the camera, for the size of a pixel on the ground.
    """

    position: F32
    direction: F32
    distance: F32
    material: U8
    triangle: I32
    traffic: Mesh | None
    pixel: float
    height_m: float

    def cut(self, a: int, b: int) -> Hits:
        """Return the hits from a to b, as views."""
        return Hits(self.position[:, a:b], self.direction[:, a:b], self.distance[a:b], self.material[a:b],
                    self.triangle[a:b], self.traffic, self.pixel, self.height_m)

    def rows(self, world: World) -> tuple[F32, F32]:
        """Return columns of the triangle table (8, n) and of the part table (24, n) of these hits."""
        own = len(world.mesh.table)
        if self.traffic is None:
            table = np.take(world.mesh.table, self.triangle, axis=0)
            parts = np.take(world.mesh.parts, np.take(world.mesh.part, self.triangle), axis=0)
        else:
            table = np.take(world.mesh.table, self.triangle, axis=0, mode="clip")
            parts = np.take(world.mesh.parts, np.take(world.mesh.part, self.triangle, mode="clip"), axis=0)
            extra = np.flatnonzero(self.triangle >= own)
            other = self.triangle[extra] - own
            table[extra], parts[extra] = self.traffic.table[other], self.traffic.parts[self.traffic.part[other]]
        return np.ascontiguousarray(table.T), np.ascontiguousarray(parts.T)


@dataclass
class Looks:
    """Albedo (3, n) linear, normal (3, n), reflecting share (n,), ambient occlusion (n,)."""

    albedo: F32
    normal: F32
    gloss: F32
    open: F32

    def cut(self, a: int, b: int) -> Looks:
        """Return the looks of the hits from a to b, as views."""
        return Looks(self.albedo[:, a:b], self.normal[:, a:b], self.gloss[a:b], self.open[a:b])


def look(world: World, hits: Hits, conditions: Conditions) -> Looks:
    """Find colour and normal of every hit."""
    n = hits.distance.size
    looks = Looks(np.empty((3, n), np.float32), np.empty((3, n), np.float32), np.zeros(n, np.float32), np.ones(n, np.float32))
    bounds = np.searchsorted(hits.material, np.arange(solids.GLASS + 2))
    for material in range(solids.GLASS + 1):
        a, b = int(bounds[material]), int(bounds[material + 1])
        if a == b:
            continue
        group, out = hits.cut(a, b), looks.cut(a, b)
        if material == solids.GROUND:
            _ground(world, group, out, conditions)
            continue
        table, parts = group.rows(world)
        p = group.position
        out.normal[:] = table[solids.NORMAL]
        out.albedo[:] = parts[solids.COLOUR_A]
        if material in (solids.WALL, solids.FRONT):
            _facade(world, p, table, parts, out, group.distance * np.float32(group.pixel))
        elif material == solids.ROOF:
            _tiles(world, p, table, parts, out)
        elif material == solids.FLAT:
            grain = sample(world.noises[0], p[0] * 4, p[1] * 4) * 0.3 + sample_smooth(world.noises[1], p[0] * 3, p[1] * 3) * 0.5
            out.albedo *= 0.62 + grain
        elif material == solids.LEAF:
            _leaves(p, parts, out, conditions)
            continue
        elif material == solids.PAINT:
            out.gloss[:] = 0.10
        elif material == solids.GLASS:
            out.gloss[:] = 0.45
        elif material == solids.TRUNK:
            out.albedo *= 0.6 + 0.8 * sample(world.noises[0], p[0] * 30 + p[1] * 30, p[2] * 6)
        d = group.direction
        away = out.normal[0] * d[0] + out.normal[1] * d[1] + out.normal[2] * d[2] > 0
        if away.any():
            out.normal *= np.where(away, np.float32(-1.0), np.float32(1.0))
    return looks


def _ground(world: World, hits: Hits, out: Looks, conditions: Conditions) -> None:
    import cv2

    x, y, distance = hits.position[0], hits.position[1], hits.distance
    canvas, half = world.canvas, np.float32(world.half_m)
    res0 = canvas.metres_per_pixel
    rows = -(-distance.size // 1024)
    maps = np.full((2, rows * 1024), -9.0, np.float32)
    rgb = np.empty((distance.size, 3), np.uint8)
    if hits.pixel:
        footprint = distance * distance * np.float32(hits.pixel / hits.height_m)
        limits = (-1.0, 1.4 * res0 * 4, 1.4 * res0 * 16, 1e12)
    for level, image in enumerate(world.pyramid):
        j: Any = slice(None)
        count = distance.size
        if hits.pixel:
            j = np.flatnonzero((footprint > limits[level]) & (footprint <= limits[level + 1]))
            count = j.size
        if not count:
            continue
        res = np.float32(canvas.kind.shape[0] * res0 / image.shape[0])
        lines = -(-count // 1024)
        maps[0, :count] = (x[j] + half) / res - np.float32(0.5)
        maps[1, :count] = (half - y[j]) / res - np.float32(0.5)
        maps[:, count:lines * 1024] = -9.0
        found = cv2.remap(image, maps[0, :lines * 1024].reshape(lines, 1024), maps[1, :lines * 1024].reshape(lines, 1024),
                          cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(122, 134, 84))
        rgb[j] = found.reshape(-1, 3)[:count]
        if not hits.pixel:
            break
    albedo = out.albedo
    np.take(LINEAR_OF_BYTE, rgb.T, out=albedo, mode="clip")
    kind = canvas.kind_at(x, y)
    if hits.pixel:  # grain too fine for the raster, near the camera only
        near = np.flatnonzero(distance < 14.0)
        if near.size:
            fade = (1.0 - distance[near] * np.float32(1 / 14.0)) * np.float32(0.7)
            albedo[:, near] *= 1.0 + (sample(world.noises[0], x[near] * 28, y[near] * 28) - np.float32(0.5)) * fade
    if conditions.season != "summer":
        albedo *= np.take(_SEASON_GROUND[conditions.season], kind, axis=1)
    normal = out.normal
    normal[0], normal[1], normal[2] = 0.0, 0.0, 1.0
    w = np.flatnonzero(kind == ground.WATER)
    if w.size:
        normal[0, w] = (sample_smooth(world.noises[1], x[w] * 42, y[w] * 33) - 0.5) * 0.16
        normal[1, w] = (sample_smooth(world.noises[1], y[w] * 36 + 99, x[w] * 39) - 0.5) * 0.16
        grazing = 1.0 + np.minimum(hits.direction[2, w], 0.0)
        out.gloss[w] = 0.10 + 0.75 * grazing**3
    if conditions.weather == "rain":
        wet = np.flatnonzero((kind == ground.ROAD) | (kind == ground.PAVEMENT) | (kind == ground.PAVING))
        albedo[:, wet] *= 0.62
        grazing = 1.0 + np.minimum(hits.direction[2, wet], 0.0)
        puddle = sample_smooth(world.noises[1], x[wet] * 6, y[wet] * 6)
        out.gloss[wet] = np.clip(0.45 * grazing**4 * (0.4 + 1.4 * puddle), 0.0, 0.6)


def _season_table() -> dict[str, F32]:
    tables = {}
    green = {"spring": (1.0, 1.08, 0.9), "summer": (1.0, 1.0, 1.0), "autumn": (1.16, 0.95, 0.8), "winter": (1.15, 0.92, 0.95)}
    for season, factor in green.items():
        table = np.ones((3, 11), np.float32)
        table[:, [ground.MEADOW, ground.LAWN]] = np.array(factor, np.float32)[:, None]
        tables[season] = table
    return tables


_SEASON_GROUND = _season_table()
# leaves: factor on (round or tall, conifer, copper, blossom, hedge) per season
_SEASON_LEAVES: dict[str, F32] = {
    "spring": np.array([(1.15, 1.18, 0.9), (1, 1, 1), (1.1, 1, 1), (1.25, 1.15, 1.2), (1.05, 1.1, 0.9)], np.float32).T,
    "summer": np.array([(1, 1, 1), (1, 1, 1), (1, 1, 1), (0.62, 1.0, 0.5), (1, 1, 1)], np.float32).T,
    "autumn": np.array([(2.3, 1.15, 0.6), (1, 1, 1), (1.3, 0.9, 0.7), (1.15, 0.75, 0.35), (1.15, 1, 0.9)], np.float32).T,
    "winter": np.array([(1.35, 0.92, 1.15), (0.95, 1, 1.05), (0.9, 1, 1), (0.7, 0.66, 0.7), (0.95, 0.9, 1)], np.float32).T}


def _facade(world: World, p: F32, table: F32, parts: F32, out: Looks, footprint: F32) -> None:
    z, floor_h, eave = p[2], parts[solids.FLOOR_H], parts[solids.EAVE_Z]
    style, shop = parts[solids.STYLE], parts[solids.SHOP] > 0.5
    u = p[0] * table[solids.AXIS_X] + p[1] * table[solids.AXIS_Y] - table[solids.U0]
    bay = table[solids.BAY]
    blank = bay <= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        fu = np.where(blank, 0.0, u / np.where(blank, 1.0, bay)).astype(np.float32)
    iu = np.floor(fu)
    fu -= iu
    lift = parts[solids.BASE_Z] + np.where(shop, np.float32(0.7), np.float32(0.0))
    fv = (z - lift) / np.maximum(floor_h, 0.5)
    iv = np.floor(fv)
    ground_floor = iv <= 0
    fv -= iv
    hashed = _HASHES[(iu * 37 + iv * 101 + parts[solids.HASH] * 13).astype(np.int32) & 4095]

    albedo = out.albedo
    trim = parts[solids.COLOUR_B]
    # the wall's own texture
    grain = sample(world.noises[0], u * 9, z * 9) * 0.22
    grain += sample_smooth(world.noises[1], u * 5 + parts[solids.HASH], z * 7) * 0.34
    bricks = style == BRICK
    course = np.where(bricks, np.where(np.mod(z, 0.3) < 0.07, np.float32(0.14), np.float32(0.0)), np.float32(0.0))
    boards = np.where(style == SIDING, np.where(np.mod(z, 0.42) < 0.1, np.float32(0.2), np.float32(0.0)), np.float32(0.0))
    fine = np.clip(1.6 - footprint * 9, 0.0, 1.0)
    albedo *= 0.72 + grain - (course + boards) * fine
    # bands
    band = (z > eave - 0.35) & (z < eave + 0.6) & (style != CURTAIN)
    plinth = (z < 0.55) & ~shop
    albedo[:, plinth] *= 0.62
    albedo[:, band] = trim[:, band] * 0.85

    win_w, win_h = parts[solids.WIN_W], parts[solids.WIN_H]
    ribbon, curtain, church = style == RIBBON, style == CURTAIN, style == CHURCH
    half_w = np.where(ribbon, np.float32(0.49), np.where(curtain, np.float32(0.465), win_w))
    half_h = np.where(curtain, np.float32(0.45), win_h)
    du, dv = np.abs(fu - 0.5), np.abs(fv - 0.52)
    above = (z > lift) & (z < eave - 0.35) & ~blank
    upper = above & ~(shop & ground_floor)
    arch = np.where(church, np.float32(0.06) * np.clip((fv - 0.7) * 20, 0, 4), np.float32(0.0))
    pane = upper & (du < half_w - arch) & (dv < half_h)
    inset_u = np.float32(0.09) / np.maximum(bay, 0.5)
    inset_v = np.float32(0.09) / np.maximum(floor_h, 0.5)
    surround = upper & (du < half_w - arch + inset_u * 1.3) & (dv < half_h + inset_v * 1.6) & ~curtain
    cross = (du < inset_u * 0.4) | (np.abs(fv - 0.62) < inset_v * 0.4)
    glass = pane & (du < half_w - arch - inset_u) & (dv < half_h - inset_v) & ~(cross & ~curtain & ~church & (footprint < 0.12))
    albedo[:, surround] = trim[:, surround] * 0.9
    # shop fronts
    front = shop & ground_floor & (z < 3.3) & ~blank
    sign = front & (z > 2.75)
    albedo[:, sign] = parts[solids.COLOUR_C][:, sign]
    shopglass = front & (du < 0.44) & (z > 0.45) & (z < 2.65)
    albedo[:, front & ~sign] *= 0.7
    door = (iu == table[solids.DOOR]) & (z < lift + 2.25) & (du < np.float32(0.55) / np.maximum(bay, 0.5))
    glass |= shopglass
    glass &= ~door
    albedo[:, door] = parts[solids.COLOUR_C][:, door] * 0.9
    # glass: dark rooms, some curtains, some lamps
    g = np.flatnonzero(glass)
    if g.size:
        h = hashed[g]
        room = np.where(h > 0.78, np.float32(0.34), np.float32(0.025) + h * np.float32(0.06))
        tint = np.array([0.95, 1.0, 1.06], np.float32)[:, None]
        albedo[:, g] = room * tint
        warm = np.flatnonzero(shopglass[g] | (h < 0.06))
        albedo[:, g[warm]] = np.array([0.36, 0.27, 0.16], np.float32)[:, None] * (0.4 + h[warm])
        tilt = _HASHES[(iu[g] * 53 + iv[g] * 7).astype(np.int32) & 4095]  # every pane is tilted a little differently
        out.gloss[g] = np.where(curtain[g], np.float32(0.55), np.float32(0.34)) * (0.6 + 0.7 * tilt)
    out.open[:] = 0.62 + 0.38 * np.clip(z / 3.5, 0.0, 1.0)


def _tiles(world: World, p: F32, table: F32, parts: F32, out: Looks) -> None:
    u = p[0] * table[solids.AXIS_X] + p[1] * table[solids.AXIS_Y] - table[solids.U0]
    grain = sample(world.noises[0], u * 5, p[2] * 9) * 0.34
    stain = sample_smooth(world.noises[1], u * 6 + parts[solids.HASH] * 7, p[2] * 10) * 0.4
    rows = np.where(np.mod(p[2], 0.3) < 0.1, np.float32(-0.1), np.float32(0.0))
    out.albedo *= 0.66 + grain + stain + rows


def _leaves(p: F32, parts: F32, out: Looks, conditions: Conditions) -> None:
    kind = parts[solids.STYLE].astype(np.int32)
    hedge = kind == 4
    rz, rxy = np.maximum(parts[solids.RADIUS_Z], 0.3), np.maximum(parts[solids.BAY_M], 0.3)
    normal = out.normal
    rel = p - parts[solids.CENTRE]
    rel[:2] /= rxy
    rel[2] /= rz
    depth = np.sqrt(rel[0] * rel[0] + rel[1] * rel[1] + rel[2] * rel[2]) + np.float32(1e-5)  # about 1 at the crown's surface
    share = np.where(hedge, np.float32(0.0), np.float32(0.4)) / depth
    normal *= np.float32(0.6)
    normal += rel * share
    clumps, leaves = _cells(p, 3.1), _cells(p, 8.0)
    normal[0] += (clumps - 0.5) * 0.9
    normal[1] += (leaves - 0.5) * 0.9
    normal /= np.sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]) + np.float32(1e-5)
    high = np.clip(rel[2], -1.0, 1.0)
    gain = 0.45 + 0.5 * clumps + 0.5 * leaves
    out.albedo *= np.take(_SEASON_LEAVES[conditions.season], kind, axis=1) * gain
    hollow = np.where(hedge, np.float32(1.0), np.clip(1.9 * depth - 0.85, 0.3, 1.0))
    out.open[:] = (0.68 + 0.32 * high) * hollow


def _cells(p: F32, per_metre: float) -> F32:
    """Return random numbers (n,) of the cubic cells that contain the points (3, n)."""
    q = np.floor(p * np.float32(per_metre)).astype(np.int32)
    return np.asarray(np.take(_HASHES, (q[0] * 73 + q[1] * 1279 + q[2] * 283) & 4095), np.float32)
