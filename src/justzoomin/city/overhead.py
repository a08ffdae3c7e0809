"""The overhead image: parallel rays from above, in sunlight, with cast shadows."""

from __future__ import annotations

import numpy as np

from justzoomin.city import solids
from justzoomin.city.arrays import U8
from justzoomin.city.camera import develop, illuminate
from justzoomin.city.light import Conditions
from justzoomin.city.surface import Hits
from justzoomin.city.world import World

FLIGHT = Conditions(sun_azimuth_deg=152.0, sun_elevation_deg=47.0, weather="clear", season="summer", exposure=0.80,
                    cloud_cover=0.15)
_CEILING_M = 120.0
_CHUNK = 1 << 17


def render_overhead(world: World, east_m: tuple[float, float], north_m: tuple[float, float], gsd_m: float,
                    conditions: Conditions = FLIGHT) -> U8:
    """Render the ground seen from above, north up (rows, columns, 3).

    Args:
        world: The town.
        east_m: West and east border, metres from the town's centre.
        north_m: South and north border.
        gsd_m: Metres per pixel.
        conditions: Light during the flight.
    """
    columns, rows = round((east_m[1] - east_m[0]) / gsd_m), round((north_m[1] - north_m[0]) / gsd_m)
    x = (east_m[0] + (np.arange(columns) + 0.5) * gsd_m).astype(np.float32)
    out = np.empty((rows, columns, 3), np.uint8)
    step = max(1, _CHUNK // columns)
    for start in range(0, rows, step):
        lines = np.arange(start, min(rows, start + step))
        y = (north_m[1] - (lines + 0.5) * gsd_m).astype(np.float32)
        n = columns * lines.size
        origins = np.empty((n, 3), np.float32)
        origins[:, 0] = np.tile(x, lines.size)
        origins[:, 1] = np.repeat(y, columns)
        origins[:, 2] = _CEILING_M
        down = np.empty((n, 3), np.float32)
        down[:] = (0.0, 0.0, -1.0)
        prim, t = world.mesh.trace(origins, down)
        hit = (prim >= 0) & (t < _CEILING_M)
        t = np.where(hit, t, np.float32(_CEILING_M))
        prim = np.where(hit, prim, 0)
        material = np.where(hit, world.mesh.material[prim], np.uint8(solids.GROUND)).astype(np.uint8)
        order = np.argsort(material, kind="stable")
        position = np.ascontiguousarray(origins[order].T)
        t = t[order]
        position[2] -= t
        hits = Hits(position, np.ascontiguousarray(down.T), t, material[order], prim[order], None, 0.0, _CEILING_M)
        image = np.empty((3, n), np.float32)
        image[:, order] = develop(illuminate(world, hits, conditions), conditions)
        out[lines] = np.clip(image.T.reshape(lines.size, columns, 3) + 0.5, 0, 255).astype(np.uint8)
    return out
