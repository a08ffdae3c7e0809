"""The furniture of streets: trees, lamps, parked cars, quay walls, boats and parapets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from justzoomin.city import furniture, ground
from justzoomin.city.site import Site
from justzoomin.city.solids import PLAIN, Frame, box, rectangle
from justzoomin.city.streets import STRIP_M, WATER_HALF_M, Edge
from justzoomin.city.vehicles import car


def furnish(site: Site, e: Edge) -> None:
    """Place trees, lamps and parked cars along a street, and walls and boats along a canal."""
    rng = site.rng
    cross = 9.0
    if e.length_m < 2 * cross + 8:
        return
    style = site.style
    species = style.species or str(rng.choice(["round", "round", "tall", "blossom", "copper"]))
    lined = rng.random() < {"main": 0.75, "canal": 0.9, "side": 0.3, "lane": 0.5}[e.kind] + style.lined
    pace = float(rng.uniform(9.0, 15.0)) * style.pace
    for side in (-1, 1):
        offset = side * (e.width_m / 2 + 0.75)
        if lined and e.walk_m > 0.5:
            for s in np.arange(cross + 5, e.length_m - cross - 4, pace):
                p, t = e.at(float(s + rng.normal(0, 0.6)))
                spot = p + offset * np.array([t[1], -t[0]])
                if np.abs(spot).max() < site.half_m - 4:
                    site.canvas.polygon(Frame(spot, t).flat(rectangle(1.1, 1.1)), ground.SOIL, (96, 82, 66))
                    size = float(rng.uniform(0.62, 0.95))
                    site.flora.tree(site.mesh, rng, float(spot[0]), float(spot[1]), species, size, style.leaf)
        for s in np.arange(cross + (2 if side > 0 else 13), e.length_m - cross, 24.0):
            p, t = e.at(float(s))
            if np.abs(p).max() < site.half_m - 4:
                furniture.lamp(site.mesh, Frame(p + offset * np.array([t[1], -t[0]]), -side * -t), *site.lamp_parts)
        parked = e.kind == "side" and e.park[0 if side < 0 else 1]
        if parked:
            for s in np.arange(cross + 6, e.length_m - cross - 6, 5.8):
                if rng.random() < style.parked:
                    p, t = e.at(float(s + rng.normal(0, 0.2)))
                    spot = p + side * (e.width_m / 2 - STRIP_M / 2 + 0.1) * np.array([t[1], -t[0]])
                    if np.abs(spot).max() < site.half_m - 4:
                        car(site.mesh, rng, Frame(spot, t if side > 0 else -t), van=bool(rng.random() < 0.1))
    if e.kind == "canal":
        _canal(site, e)
    elif e.kind in ("main", "side"):
        for end, node in ((False, e.a), (True, e.b)):
            wet = [site.streets.edges[k] for k in site.streets.at_node[node] if site.streets.edges[k].kind == "canal"]
            if wet:
                _parapet(site, e, end)


def _canal(site: Site, e: Edge) -> None:
    rng = site.rng
    stone = site.mesh.part((170, 164, 150))
    for side in (-1, 1):
        line = e.offset_line(side * (WATER_HALF_M + 0.25), 9.0, 9.0, 4.0)
        for a, b in pairwise(line):
            if np.abs(a).max() < site.half_m - 4:
                step = b - a
                wall = box(0, 0, 0, float(np.hypot(*step)) + 0.1, 0.35, 0.45)
                site.mesh.quads(Frame((a + b) / 2, step).place(wall), PLAIN, stone)
        for s in np.arange(16.0, e.length_m - 16.0, 13.0):
            if rng.random() < 0.45:
                p, t = e.at(float(s))
                if np.abs(p).max() < site.half_m - 8:
                    berth = p + side * (WATER_HALF_M - 1.5) * np.array([t[1], -t[0]])
                    furniture.boat(site.mesh, rng, Frame(berth, t * side))


def _parapet(site: Site, e: Edge, end: bool) -> None:
    stone = site.mesh.part((186, 178, 162))
    s = e.length_m - WATER_HALF_M / 2 - 0.6 if end else WATER_HALF_M / 2 + 0.6
    p, t = e.at(s)
    if np.abs(p).max() > site.half_m - 6:
        return
    for side in (-1, 1):
        spot = p + side * (e.half_m - 0.2) * np.array([t[1], -t[0]])
        site.mesh.quads(Frame(spot, t).place(box(0, 0, 0, WATER_HALF_M + 1.4, 0.4, 1.0)), PLAIN, stone)
