"""The paint of streets: pavements, roads, water, parking strips and markings."""

from __future__ import annotations

import numpy as np

from justzoomin.city import ground
from justzoomin.city.arrays import Array
from justzoomin.city.site import WHITE, Site
from justzoomin.city.solids import Frame, Rgb, rectangle
from justzoomin.city.streets import STRIP_M, WATER_HALF_M, Edge
from justzoomin.city.style import tinted

VERGE_M = 1.0  # width of grass between pavement and road


def paint_streets(site: Site) -> None:
    """Paint all streets, layer by layer, and take their ground."""
    rng, canvas, edges = site.rng, site.canvas, site.streets.edges
    tone = {e: float(rng.normal(0, 7)) + site.street_styles[e].asphalt for e in range(len(edges))}
    slabs: tuple[Rgb, ...] = ((176, 170, 160), (160, 158, 156), (182, 166, 146), (150, 146, 138))
    slab = {i: tinted(slabs[int(rng.integers(len(slabs)))], site.street_styles[i].slab) for i in range(len(edges))}
    for i, e in enumerate(edges):
        site.claims.take_line(e.points, 2 * e.half_m)
        canvas.stroke(e.points, 2 * e.half_m, ground.PAVEMENT, slab[i])
    for i, e in enumerate(edges):
        if site.street_styles[i].verge and e.kind == "side":
            canvas.stroke(e.points, e.width_m + 2 * VERGE_M, ground.LAWN, tinted((100, 130, 62), site.street_styles[i].lawn))
    for e in edges:
        if e.kind != "lane":
            canvas.stroke(e.points, e.width_m + 0.4, ground.PAVEMENT, (198, 196, 190))
    for e in edges:
        if e.kind == "lane":
            canvas.stroke(e.points, e.width_m, ground.PAVING, (158, 122, 100))
        elif e.kind == "canal":
            canvas.stroke(e.points, e.width_m, ground.PAVING, (132, 118, 108))
    for e in edges:
        if e.kind == "canal":
            canvas.stroke(e.points, 2 * WATER_HALF_M + 0.9, ground.PAVING, (184, 178, 164))
            canvas.stroke(e.points, 2 * WATER_HALF_M, ground.WATER, (52, 84, 82))
    for i, e in sorted(enumerate(edges), key=lambda item: (item[1].kind == "main", item[1].width_m)):
        if e.kind in ("side", "main"):
            grey = (84 if e.kind == "main" else 96) + tone[i]
            canvas.stroke(e.points, e.width_m, ground.ROAD, (grey, grey, grey + 3))
            for side, on in ((-1, e.park[0]), (1, e.park[1])):
                if on and e.length_m > 34:
                    line = e.offset_line(side * (e.width_m / 2 - STRIP_M / 2), 13, 13)
                    canvas.stroke(line, STRIP_M - 0.3, ground.PAVING, (136 + tone[i], 124 + tone[i], 116 + tone[i]))
    for i, e in enumerate(edges):
        if site.street_styles[i].cycle and e.kind == "main":
            for side in (-1, 1):
                line = e.offset_line(side * (e.width_m / 2 - 1.0), 9, 9)
                canvas.stroke(line, 1.3, ground.PAVING, (150 + tone[i], 82 + tone[i] / 2, 70 + tone[i] / 2))
        _markings(site, e)


def _bar(site: Site, point: Array, tangent: Array, length: float, width: float) -> None:
    corners = Frame(point, tangent).flat(rectangle(length, width))
    site.canvas.polygon(corners, ground.MARKING, WHITE)


def _markings(site: Site, e: Edge) -> None:
    """Paint centre and edge lines of main roads, zebra crossings and stop lines."""
    if e.kind in ("lane", "canal"):
        return
    left, right = (STRIP_M if p else 0.0 for p in e.park)
    middle, half = (left - right) / 2, (e.width_m - left - right) / 2
    if e.kind == "main":
        for along in np.arange(16.0, e.length_m - 16.0, 6.0):
            p, t = e.at(float(along))
            _bar(site, p, t, 3.0, 0.2)
        for side in (-1, 1):
            site.canvas.stroke(e.offset_line(side * (e.width_m / 2 - 0.35), 14, 14), 0.16, ground.MARKING, WHITE)
    for end in (False, True):
        node = e.b if end else e.a
        others = [site.streets.edges[k] for k in site.streets.at_node[node]]
        cross = max(o.half_m for o in others)
        if e.length_m < 2 * cross + 12:
            continue
        s = e.length_m - cross - 2.0 if end else cross + 2.0
        busy = sum(o.kind == "main" for o in others) + (e.kind == "main")
        if busy and site.rng.random() < 0.8:
            p, t = e.at(s)
            n = np.array([t[1], -t[0]])
            for k in np.arange(-half + 0.5, half - 0.2, 1.0):
                _bar(site, p + n * (middle + k), t, 2.8, 0.52)
        p, t = e.at(s + (-2.9 if end else 2.9))
        n = np.array([t[1], -t[0]])
        own = 1.0 if end else -1.0
        _bar(site, p + n * (middle + own * half / 2), t, 0.4, half - 0.5)
