"""The camera: rays through a pixel grid, light on the surfaces that they hit, and the flaws of a real photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from justzoomin.city import solids
from justzoomin.city.arrays import F32, U8, Array
from justzoomin.city.light import Conditions, sky
from justzoomin.city.solids import Frame, MeshBuilder
from justzoomin.city.surface import Hits, look
from justzoomin.city.vehicles import car
from justzoomin.city.world import Mesh, World


@dataclass(frozen=True)
class Pose:
    """Position and orientation of a camera: metres from the town's centre, degrees.

    Bearings are clockwise from north; positive pitch looks up, positive roll lifts the right side of the camera.
    """

    east_m: float
    north_m: float
    height_m: float = 1.7
    bearing_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    hfov_deg: float = 75.0


def _tone_curve() -> F32:
    x = np.arange(4096) / 4095.0 * 6.0
    light = 1.0 - np.exp(-1.05 * x)
    light = np.clip(light * 1.03, 0.0, 1.0)
    return (255.0 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype(np.float32)


_TONE: F32 = _tone_curve()
_HORIZON_M = 4000.0


def develop(radiance: F32, conditions: Conditions) -> F32:
    """Turn linear light (3, n) into sRGB values 0..255 (3, n), float."""
    gain = np.array([conditions.red_gain, 1.0, conditions.blue_gain], np.float32) * np.float32(conditions.exposure * 4095 / 6)
    index = np.clip(radiance * gain[:, None], 0, 4095).astype(np.int32)
    return np.asarray(np.take(_TONE, index), np.float32)


def illuminate(world: World, hits: Hits, conditions: Conditions) -> F32:
    """Return the light (3, n) that the hits send back along their rays, before haze."""
    looks = look(world, hits, conditions)
    normal = looks.normal
    above, below = conditions.ambient
    lift = (0.5 + 0.5 * normal[2]) * looks.open
    drop = (0.5 - 0.5 * normal[2]) * looks.open
    light = above[:, None] * lift + below[:, None] * drop
    if conditions.casts_shadows:
        sun = conditions.sun.astype(np.float32)
        facing = sun[0] * normal[0] + sun[1] * normal[1] + sun[2] * normal[2]
        a, b = np.searchsorted(hits.material, (solids.LEAF, solids.LEAF + 1))
        facing[a:b] = facing[a:b] * np.float32(0.72) + np.float32(0.28)
        lit = np.flatnonzero(facing > 0.0)
        lift_off = np.full(facing.shape, 0.03, np.float32)
        lift_off[a:b] = 0.22
        rays = np.empty((lit.size, 3), np.float32)
        rays[:] = sun
        origin = np.empty((lit.size, 3), np.float32)
        for k in range(3):
            origin[:, k] = (hits.position[k] + normal[k] * lift_off)[lit] + sun[k] * np.float32(0.03)
        blocked = world.mesh.blocked(origin, rays, 220.0)
        through = np.zeros(facing.shape, np.float32)
        through[a:b] = 0.22  # light that passes through crowns
        share = np.zeros(facing.shape, np.float32)
        share[lit] = np.where(blocked, through[lit], np.float32(1.0)) * facing[lit]
        light += conditions.sun_colour[:, None] * share
    radiance = looks.albedo * light
    glossy = np.flatnonzero(looks.gloss > 0.0)
    if glossy.size:
        d, n = hits.direction[:, glossy], normal[:, glossy]
        r = d - 2.0 * (d * n).sum(axis=0) * n
        r[2] = np.abs(r[2])
        mirrored = sky(conditions, world.noises[2], world.hills, r, far=False)
        g = looks.gloss[glossy]
        radiance[:, glossy] = radiance[:, glossy] * (1.0 - g) + np.minimum(mirrored, 2.2) * g
    return np.asarray(radiance, np.float32)


def directions_of(pose: Pose, width: int, height: int, aspect: float | None = None) -> F32:
    """Return unit directions (n, 3) of the pixels, row by row from the top left.

    Args:
        pose: The camera.
        width: Pixels of a row.
        height: Number of rows.
        aspect: Width of the photo relative to its height; None for square pixels.
    """
    focal = width / 2 / np.tan(np.radians(pose.hfov_deg) / 2)
    x = ((np.arange(width) + 0.5 - width / 2) / focal)[None, :]
    y = ((height / 2 - np.arange(height) - 0.5) / focal)[:, None]
    if aspect is not None:
        y *= width / height / aspect
    roll, pitch, bearing = np.radians([pose.roll_deg, pose.pitch_deg, pose.bearing_deg])
    forward = np.array([np.sin(bearing) * np.cos(pitch), np.cos(bearing) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.cos(bearing), -np.sin(bearing), 0.0])
    up = np.cross(right, forward)
    right, up = right * np.cos(roll) + up * np.sin(roll), up * np.cos(roll) - right * np.sin(roll)
    d = np.empty((height, width, 3), np.float32)
    scale = 1.0 / np.sqrt(1.0 + x * x + y * y)
    for k in range(3):
        d[..., k] = (forward[k] + x * right[k] + y * up[k]) * scale
    return d.reshape(-1, 3)


def _traffic(conditions: Conditions) -> Mesh | None:
    if not conditions.vehicles:
        return None
    builder = MeshBuilder()
    for vehicle in conditions.vehicles:
        bearing = np.radians(vehicle.bearing_deg)
        frame = Frame(np.array([vehicle.east_m, vehicle.north_m]), np.array([np.sin(bearing), np.cos(bearing)]))
        car(builder, np.random.default_rng(vehicle.seed), frame, vehicle.van)
    return Mesh.of(builder)


def render_photo(world: World, pose: Pose, conditions: Conditions, width: int = 256, height: int = 144) -> U8:
    """Take one photo (height, width, 3)."""
    import cv2

    directions = directions_of(pose, width, height)
    n = directions.shape[0]
    origins = np.empty((n, 3), np.float32)
    origins[:] = (pose.east_m, pose.north_m, pose.height_m)
    prim, t = world.mesh.trace(origins, directions)
    d = np.ascontiguousarray(directions.T)
    material = np.take(world.mesh.material, np.maximum(prim, 0))
    t = np.where(prim >= 0, t, np.float32(1e9))
    with np.errstate(divide="ignore"):
        floor = np.where(d[2] < -1e-4, -pose.height_m / d[2], np.float32(1e9)).astype(np.float32)
    on_ground = floor < t
    material[on_ground] = solids.GROUND
    t = np.minimum(t, floor)
    traffic = _traffic(conditions)
    prim = np.maximum(prim, 0)
    if traffic is not None:
        low = np.flatnonzero(np.abs(d[2]) < 0.6)
        other, near = traffic.trace(origins[low], directions[low])
        wins = (other >= 0) & (near < t[low])
        rider = low[wins]
        t[rider] = near[wins]
        material[rider] = traffic.material[other[wins]]
        prim[rider] = len(world.mesh.table) + other[wins]
    seen = np.flatnonzero(t < _HORIZON_M)
    seen = seen[np.argsort(material[seen], kind="stable")]
    ts = t[seen]
    ds = np.take(d, seen, axis=1)
    position = ds * ts
    position += np.array([[pose.east_m], [pose.north_m], [pose.height_m]], np.float32)
    pixel = float(np.radians(pose.hfov_deg)) / width
    hits = Hits(position, ds, ts, material[seen], prim[seen], traffic, pixel, pose.height_m)
    light = illuminate(world, hits, conditions)
    for vehicle in conditions.vehicles:
        _shade_under(light, hits, vehicle.east_m, vehicle.north_m, vehicle.bearing_deg)
    _, horizon = conditions.sky_colours
    haze = 1.0 - np.exp(ts * np.float32(-1.0 / conditions.visibility_m))
    light += (0.92 * horizon[:, None] - light) * haze
    radiance = np.empty((3, n), np.float32)
    radiance[:, seen] = light
    above = np.flatnonzero(t >= _HORIZON_M)
    if above.size:
        radiance[:, above] = sky(conditions, world.noises[2], world.hills, d[:, above])
    image = np.ascontiguousarray(develop(radiance, conditions).T).reshape(height, width, 3)
    if conditions.blur_px > 0:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), conditions.blur_px), np.float32)
    if conditions.noise > 0:
        rng = np.random.default_rng([conditions.seed, 5])
        image += rng.standard_normal((height, width, 1), np.float32) * np.float32(conditions.noise)
        image += rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32).repeat(2, 0).repeat(2, 1)[
            :height, :width] * np.float32(conditions.noise * 0.5)
    return np.asarray(np.clip(image + 0.5, 0, 255), np.uint8)


def _shade_under(light: F32, hits: Hits, east: float, north: float, bearing_deg: float) -> None:
    """Darken the ground under a passing car, in place."""
    b = np.radians(bearing_deg)
    dx, dy = hits.position[0] - np.float32(east), hits.position[1] - np.float32(north)
    along = np.abs(dx * np.float32(np.sin(b)) + dy * np.float32(np.cos(b)))
    across = np.abs(dx * np.float32(np.cos(b)) - dy * np.float32(np.sin(b)))
    depth = np.clip((2.9 - along) * 1.4, 0, 1) * np.clip((1.45 - across) * 1.6, 0, 1) * (hits.position[2] < 0.02)
    light *= 1.0 - 0.75 * depth


def unit(bearing_deg: float) -> Array:
    """Return the unit vector (2,) east, north of a bearing."""
    b = np.radians(bearing_deg)
    return np.array([np.sin(b), np.cos(b)])
