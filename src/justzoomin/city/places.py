"""Blocks with a single purpose: park, square, parking lot, halls, estate."""

from __future__ import annotations

import numpy as np

from justzoomin.city import furniture, ground, houses
from justzoomin.city.outlines import inside, shrunk
from justzoomin.city.site import WHITE, Site
from justzoomin.city.solids import Frame, Rgb, rectangle
from justzoomin.city.streets import Block
from justzoomin.city.vehicles import car


def park(site: Site, block: Block) -> None:
    """Lay out a park: paths, a pond, flower beds."""
    rng = site.rng
    path: Rgb = (186, 170, 138)
    site.canvas.stroke(np.vstack([shrunk(block, 0.62), shrunk(block, 0.62)[:1]]), 2.2, ground.GRAVEL, path)
    nodes = [block.polygon[0], block.polygon[len(block.polygon) // 4], block.polygon[len(block.polygon) // 2],
             block.polygon[3 * len(block.polygon) // 4]]
    for node in nodes:
        aim = block.centre + rng.normal(0, 3, 2)
        site.canvas.stroke(np.array([node + (aim - node) * 0.16, aim]), 2.0, ground.GRAVEL, path)
    frame = Frame(block.centre, np.array([1.0, 0.3]))
    angles = np.radians(np.arange(0, 360, 12))
    radius = (1 + 0.15 * np.sin(2 * angles + rng.uniform(0, 6)) + 0.1 * np.sin(3 * angles)) * rng.uniform(9, 13)
    shore = np.stack([np.cos(angles) * radius * 1.3, np.sin(angles) * radius * 0.8], axis=1)
    pond = frame.flat(shore + rng.normal(0, 3, 2))
    site.canvas.polygon(block.centre + (pond - block.centre) * 1.09, ground.GRAVEL, (150, 140, 112))
    site.canvas.polygon(pond, ground.WATER, (58, 92, 84))
    site.claims.take(pond)
    for _ in range(5):
        x, y = rng.uniform(-24, 24, 2)
        spread = rng.uniform(1.2, 2.4)
        colour = ((190, 60, 70), (220, 180, 60), (150, 90, 170), (230, 220, 220))[int(rng.integers(4))]
        bed = block.centre + (x, y) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * spread
        if site.claims.free(bed):
            site.canvas.polygon(bed, ground.SOIL, colour)
            site.claims.take(bed)


def square(site: Site, block: Block) -> None:
    """Lay out a square: a church, a fountain, two rows of trees."""
    rng = site.rng
    tone: Rgb = (206, 190, 166)
    frame = Frame(block.centre, rng.normal(size=2))
    for k in range(-5, 6):
        line = frame.flat(np.array([(-60.0, k * 8.0), (60.0, k * 8.0)]))
        inner = [p for p in np.linspace(line[0], line[1], 80) if inside(p, shrunk(block, 0.7))]
        if len(inner) > 1:
            site.canvas.stroke(np.array(inner), 0.6, ground.PAVING, tone)
    nave = frame.at(0.0, 5.0)
    site.walls += houses.church(site.mesh, rng, nave)
    site.claims.take(nave.flat(rectangle(11.5, 29.0)))
    spot = frame.at(float(rng.uniform(-4, 4)), -19.0)
    if site.claims.free(spot.flat(rectangle(9, 9))):
        furniture.fountain(site.mesh, spot)
        site.claims.take(spot.flat(rectangle(9, 9)))
    for x in (-15.0, 15.0):
        for y in np.arange(-18.0, 22.0, 7.5):
            site.tree(frame.flat(np.array([x, y])), 0.85, "round")


def parking(site: Site, block: Block) -> None:
    """Lay out a parking lot with a shop."""
    rng = site.rng
    edge = site.streets.edges[block.sides[0][0]]
    _, t = edge.at(edge.length_m / 2)
    frame = Frame(block.centre, t)
    palette = houses.Palette(rng)
    for width, y in ((38.0, 14.0), (38.0, 11.0), (30.0, 16.0), (30.0, 12.0), (24.0, 14.0), (24.0, 9.0), (18.0, 8.0)):
        shop = frame.at(0.0, y)
        if site.claims.free(shop.flat(rectangle(width, 18.0))):
            site.claims.take(shop.flat(rectangle(width, 18.0)))
            site.walls += houses.house(site.mesh, rng, shop, width, 18.0, "hall", palette)
            break
    for y, turn in ((-4.0, 90.0), (-13.5, 90.0), (-19.0, 90.0), (-28.0, 90.0)):
        for x in np.arange(-28.0, 28.1, 2.7):
            spot = frame.at(float(x), y, turn if rng.random() < 0.5 else turn + 180)
            outline = spot.flat(rectangle(4.8, 2.0))
            if not site.claims.free(spot.flat(rectangle(5.4, 2.7))):
                continue
            for side in (-1.35, 1.35):
                site.canvas.polygon(spot.flat(rectangle(5.0, 0.2, 0.0, side)), ground.MARKING, WHITE)
            if rng.random() < 0.62:
                car(site.mesh, rng, spot, van=bool(rng.random() < 0.08))
            site.claims.take(outline)


def halls(site: Site, block: Block) -> None:
    """Place halls at random, each turned by a multiple of 90 degrees."""
    rng = site.rng
    palette = houses.Palette(rng)
    edge = site.streets.edges[block.sides[0][0]]
    _, t = edge.at(edge.length_m / 2)
    frame = Frame(block.centre, t)
    for _ in range(30):
        w, d = rng.uniform(16, 36), rng.uniform(12, 22)
        spot = _turned(frame, rng)
        if site.claims.free(spot.flat(rectangle(w + 5, d + 5))):
            site.claims.take(spot.flat(rectangle(w, d)))
            site.walls += houses.house(site.mesh, rng, spot, w, d, "hall", palette)


def estate(site: Site, block: Block) -> None:
    """Put up parallel blocks of flats with a path along each."""
    rng = site.rng
    palette = houses.Palette(rng)
    edge = site.streets.edges[block.sides[0][0]]
    _, t = edge.at(edge.length_m / 2)
    frame = Frame(block.centre, t)
    turn = 0.0 if rng.random() < 0.5 else 90.0
    w, d = rng.uniform(24, 38), rng.uniform(10, 13)
    for y in (0.0, -20.0, 20.0, -38.0, 38.0):
        for width in (w, w * 0.75, w * 0.5, w, w * 0.6):
            spot = frame.at(0.0, 0.0, turn).at(float(rng.uniform(-9, 9)), y + float(rng.uniform(-2, 2)))
            if site.claims.free(spot.flat(rectangle(width + 1, d + 3))):
                site.claims.take(spot.flat(rectangle(width, d)))
                site.walls += houses.house(site.mesh, rng, spot, width, d, "estate", palette)
                site.canvas.stroke(spot.flat(np.array([(-width / 2, -d / 2 - 2.5), (width / 2, -d / 2 - 2.5)])), 1.8,
                                   ground.PAVING, (172, 164, 152))
                break


def _turned(frame: Frame, rng: np.random.Generator) -> Frame:
    x, y = rng.uniform(-26, 26, 2)
    return frame.at(float(x), float(y), 90.0 * float(rng.integers(0, 4)))
