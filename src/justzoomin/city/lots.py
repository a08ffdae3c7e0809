"""Houses in lots along the sides of a block, with their gardens."""

from __future__ import annotations

import numpy as np

from justzoomin.city import furniture, ground, houses
from justzoomin.city.site import Site
from justzoomin.city.solids import Frame, rectangle
from justzoomin.city.streets import Block, Edge
from justzoomin.city.style import tinted
from justzoomin.city.vehicles import car


def frontages(site: Site, block: Block, name: str) -> None:
    """Line the sides of a block of rows, a suburb or downtown with houses."""
    rng = site.rng
    style = site.style
    palette = houses.Palette(rng, style)
    setback = style.setback * {"rows": 0.4, "suburb": float(rng.uniform(3.5, 6.0)), "downtown": 0.6}[name]
    setback += style.front if name == "rows" else 0.0
    towers = 0
    order = list(range(len(block.sides)))
    rng.shuffle(order)
    for side in order:
        number, forward = block.sides[side]
        edge = site.streets.edges[number]
        s = 4.0
        while s < edge.length_m - 6.0:
            kind = name
            if name == "rows":
                w, d, gap = rng.uniform(6.0, 9.5), rng.uniform(8.5, 10.5), 0.0 if rng.random() < 0.9 else 2.5
            elif name == "suburb":
                w, d, gap = rng.uniform(8.5, 12.5), rng.uniform(7.5, 10.0), rng.uniform(3.5, 8.0)
            else:
                w, d, gap = rng.uniform(10.0, 17.0), rng.uniform(10.0, 13.5), 0.0 if rng.random() < 0.65 else 3.0
                if towers < 1 and rng.random() < 0.12:
                    kind, w, d, towers = "tower", rng.uniform(15, 19), rng.uniform(15, 18), towers + 1
            w, d, gap = w * style.width, d * style.depth, gap * style.gap
            placed = _lot(site, edge, forward, s + w / 2, w, d, setback + (rng.uniform(-0.3, 0.6) if name != "rows" else 0),
                          kind, palette)
            s += w + gap if placed else 1.5


def _lot(site: Site, edge: Edge, forward: bool, s: float, w: float, d: float, setback: float, kind: str,
         palette: houses.Palette) -> bool:
    """Try to build on the left side of a block's side; the block is left of its counter-clockwise outline."""
    if s + w / 2 > edge.length_m:
        return False
    point, t = edge.at(s if forward else edge.length_m - s)
    along = t if forward else -t
    inward = np.array([-along[1], along[0]])
    for retreat in (0.0, 0.7, 1.5, 2.6):  # at bends wide fronts must be farther from the pavement
        frame = Frame(point + inward * (edge.half_m + setback + retreat + d / 2), along)
        if site.claims.free(frame.flat(rectangle(w - 0.7, d - 0.4))):
            break
    else:
        return False
    site.claims.take(frame.flat(rectangle(w, d)))
    site.walls += houses.house(site.mesh, site.rng, frame, w, d, kind, palette)
    if kind == "suburb" or (kind == "rows" and site.style.front):
        _front_garden(site, frame, w, d, setback)
    elif kind in ("downtown", "tower"):
        site.canvas.polygon(frame.flat(rectangle(w + 2, d + 2 * setback)), ground.PAVING, (160, 154, 146))
    return True


def _front_garden(site: Site, frame: Frame, w: float, d: float, setback: float) -> None:
    rng = site.rng
    shade = float(rng.normal(0, 10))
    lawn = tinted((98 + shade, 130 + shade, 62 + shade / 2), site.style.lawn)
    site.canvas.polygon(frame.flat(rectangle(w + 3, d + 2 * setback)), ground.LAWN, lawn)
    x = float(rng.uniform(-w * 0.2, w * 0.2))
    site.canvas.polygon(frame.flat(rectangle(1.3, setback, x, -d / 2 - setback / 2)), ground.PAVING, (170, 150, 130))
    drive = w / 2 + 1.4
    tint = float(rng.uniform(110, 170))
    site.canvas.polygon(frame.flat(rectangle(2.7, setback + 5, drive, -d / 2 - setback / 2 + 2.5)), ground.YARD,
                        (tint, tint - 5, tint - 12))
    spot = frame.at(drive, -d / 2 + 0.2, 90.0)
    outline = spot.flat(rectangle(4.8, 1.9))
    if rng.random() < 0.45 and site.claims.free(outline):
        site.claims.take(outline)
        car(site.mesh, rng, spot)
    if rng.random() < 0.55 * site.style.hedges:
        y = -d / 2 - setback + 0.5
        furniture.hedge(site.mesh, rng, frame.flat(np.array([-w / 2 - 1.2, y])), frame.flat(np.array([x - 0.9, y])))
        furniture.hedge(site.mesh, rng, frame.flat(np.array([x + 0.9, y])), frame.flat(np.array([w / 2, y])))
    if rng.random() < 0.35 * site.style.trees:
        site.tree(frame.flat(np.array([rng.uniform(-w / 2, w / 2), -d / 2 - setback * 0.5])), 0.7)
