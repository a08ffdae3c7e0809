"""Parks, squares and other blocks with a single purpose, in towns with districts: no two have the same plan."""

from __future__ import annotations

import numpy as np

from justzoomin.city import furniture, ground, houses
from justzoomin.city.arrays import Array
from justzoomin.city.outlines import inside, shrunk
from justzoomin.city.site import WHITE, Site
from justzoomin.city.solids import PLAIN, Frame, Rgb, box, rectangle
from justzoomin.city.streets import Block
from justzoomin.city.style import tinted
from justzoomin.city.vehicles import car

_PATHS: tuple[tuple[int, Rgb], ...] = (
    (ground.GRAVEL, (186, 170, 138)), (ground.PAVING, (168, 150, 132)), (ground.ROAD, (120, 118, 116)),
    (ground.GRAVEL, (206, 186, 150)), (ground.SOIL, (140, 116, 88)))
_BLOSSOMS: tuple[Rgb, ...] = ((190, 60, 70), (220, 180, 60), (150, 90, 170), (230, 220, 220))


def frame_of(site: Site, block: Block) -> Frame:
    """Return a frame at a block's centre along one of its streets, chosen at random."""
    number = block.sides[int(site.rng.integers(len(block.sides)))][0]
    edge = site.streets.edges[number]
    return Frame(block.centre, edge.at(edge.length_m / 2)[1])


def _somewhere(site: Site, block: Block, share: float = 0.8) -> Array:
    """Return a random point (2,) inside a block."""
    inner = shrunk(block, share)
    low, high = inner.min(axis=0), inner.max(axis=0)
    for _ in range(20):
        point: Array = site.rng.uniform(low, high)
        if inside(point, inner):
            return point
    return block.centre


def _blob(site: Site, middle: Array, radius_m: float) -> Array:
    """Return a rounded outline (30, 2)."""
    rng = site.rng
    angles = np.radians(np.arange(0, 360, 12))
    radius = radius_m * (1 + rng.uniform(0, 0.2) * np.sin(2 * angles + rng.uniform(0, 6.3))
                         + rng.uniform(0, 0.14) * np.sin(3 * angles + rng.uniform(0, 6.3)))
    long = rng.uniform(1.0, 1.6)
    shape = np.stack([np.cos(angles) * radius * long, np.sin(angles) * radius / long], axis=1)
    return Frame(middle, rng.normal(size=2)).flat(shape)


def _clump(site: Site, middle: Array, radius_m: float, count: int, species: str) -> None:
    for _ in range(count):
        site.tree(middle + site.rng.normal(0, radius_m / 2, 2), float(site.rng.uniform(0.75, 1.35)), species)


def park(site: Site, block: Block) -> None:
    """Lay out a park: paths, perhaps ponds, beds, a playground, groups of trees."""
    rng = site.rng
    kind, colour = _PATHS[int(rng.integers(len(_PATHS)))]
    width = float(rng.uniform(1.6, 3.0))
    for share in rng.uniform(0.3, 0.85, int(rng.integers(0, 3))):
        ring = shrunk(block, float(share))
        site.canvas.stroke(np.vstack([ring, ring[:1]]), width, kind, colour)
    aim = _somewhere(site, block, 0.4)
    for k in rng.choice(len(block.polygon), int(rng.integers(2, 7)), replace=False):
        node = block.polygon[k]
        line = np.array([node + (aim - node) * 0.12, (node + aim) / 2 + rng.normal(0, 4, 2), aim])
        site.canvas.stroke(line, width, kind, colour)
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        shore = _blob(site, _somewhere(site, block, 0.5), float(rng.uniform(5, 15)))
        if site.claims.free(shore):
            middle = shore.mean(axis=0)
            site.canvas.polygon(middle + (shore - middle) * 1.09, ground.GRAVEL, (150, 140, 112))
            green = float(rng.normal(0, 8))
            site.canvas.polygon(shore, ground.WATER, (58 + green, 92 + green / 2, 84 - green))
            site.claims.take(shore)
    if rng.random() < 0.45:
        _playground(site, _somewhere(site, block, 0.7))
    for _ in range(int(rng.integers(0, 9))):
        bed = _blob(site, _somewhere(site, block), float(rng.uniform(1.0, 3.4)))
        if site.claims.free(bed):
            site.canvas.polygon(bed, ground.SOIL, _BLOSSOMS[int(rng.integers(len(_BLOSSOMS)))])
            site.claims.take(bed)
    for _ in range(int(rng.integers(1, 7))):
        species = str(rng.choice(["round", "round", "tall", "conifer", "copper", "blossom"]))
        _clump(site, _somewhere(site, block), float(rng.uniform(4, 12)), int(rng.integers(2, 12)), species)


def _playground(site: Site, middle: Array) -> None:
    rng = site.rng
    frame = Frame(middle, rng.normal(size=2))
    w, d = rng.uniform(8, 16, 2)
    if not site.claims.free(frame.flat(rectangle(w, d))):
        return
    site.claims.take(frame.flat(rectangle(w, d)))
    site.canvas.polygon(frame.flat(rectangle(w, d)), ground.GRAVEL, (212, 190, 146))
    for _ in range(int(rng.integers(2, 6))):
        r, g, b = rng.uniform(40, 240, 3)
        part = site.mesh.part((float(r), float(g), float(b)))
        x, y = rng.uniform(-0.35, 0.35, 2) * (w, d)
        across, along = rng.uniform(0.5, 2.4, 2)
        solid = box(float(x), float(y), 0.0, float(across), float(along), float(rng.uniform(0.6, 2.6)), 0.7)
        site.mesh.quads(frame.place(solid), PLAIN, part)


def square(site: Site, block: Block) -> None:
    """Lay out a square: a pattern in the paving, perhaps a church, a fountain, stalls, rows of trees."""
    rng = site.rng
    frame = Frame(block.centre, rng.normal(size=2)) if rng.random() < 0.5 else frame_of(site, block)
    shade = float(rng.normal(0, 22))
    tone: Rgb = (206 + shade, 190 + shade, 166 + shade)
    step, inner = float(rng.uniform(4.0, 14.0)), shrunk(block, 0.7)
    for turn in ((0.0,), (0.0, 90.0), ())[int(rng.integers(3))]:
        for k in range(-9, 10):
            line = frame.at(0.0, 0.0, turn).flat(np.array([(-70.0, k * step), (70.0, k * step)]))
            parts = [p for p in np.linspace(line[0], line[1], 80) if inside(p, inner)]
            if len(parts) > 1:
                site.canvas.stroke(np.array(parts), float(rng.uniform(0.4, 0.9)), ground.PAVING, tone)
    nave = frame.at(float(rng.uniform(-8, 8)), float(rng.uniform(-4, 9)), float(rng.choice([0, 90, 180, 270])))
    church = nave.flat(rectangle(11.5, 29.0))
    if rng.random() < 0.5 and site.claims.free(church):
        site.walls += houses.church(site.mesh, rng, nave)
        site.claims.take(church)
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        spot = Frame(_somewhere(site, block, 0.6), frame.along)
        if site.claims.free(spot.flat(rectangle(9, 9))):
            furniture.fountain(site.mesh, spot)
            site.claims.take(spot.flat(rectangle(9, 9)))
    if rng.random() < 0.45:
        _stalls(site, frame)
    species = str(rng.choice(["round", "round", "tall", "blossom", "copper"]))
    for x in rng.uniform(-28.0, 28.0, int(rng.integers(0, 5))):
        pace = float(rng.uniform(6.0, 10.0))
        for y in np.arange(-26.0, 27.0, pace):
            trunk = frame.flat(np.array([x, y]))
            if inside(trunk, inner):
                site.tree(trunk, float(rng.uniform(0.7, 1.0)), species)


def _stalls(site: Site, frame: Frame) -> None:
    rng = site.rng
    x0, y0 = rng.uniform(-16, 16, 2)
    cloths = rng.uniform(110, 200) + rng.uniform(-50, 50, (3, 3))
    for row in range(int(rng.integers(1, 4))):
        for col in range(int(rng.integers(2, 6))):
            spot = frame.at(float(x0 + 4.2 * col), float(y0 + 5.5 * row))
            outline = spot.flat(rectangle(3.2, 2.6))
            if site.claims.free(outline) and rng.random() < 0.85:
                site.claims.take(outline)
                r, g, b = cloths[int(rng.integers(3))]
                cloth = site.mesh.part((float(r), float(g), float(b)))
                site.mesh.quads(spot.place(box(0, 0, 2.1, 3.2, 2.6, 0.7, 0.4)), PLAIN, cloth)
                site.mesh.quads(spot.place(box(0, 0, 0.0, 2.4, 1.2, 0.9)), PLAIN, site.mesh.part((150, 120, 88)))


def parking(site: Site, block: Block) -> None:
    """Lay out a parking lot: rows of spaces, islands of trees, perhaps a shop."""
    rng = site.rng
    frame = frame_of(site, block)
    reach = float(np.ptp(block.polygon, axis=0).max()) / 2
    inner = shrunk(block, 0.86)
    if rng.random() < 0.75:
        w, d = rng.uniform(14, 44), rng.uniform(11, 24)
        for _ in range(8):
            shop = Frame(_somewhere(site, block, 0.6), frame.along).at(0.0, 0.0, 90.0 * float(rng.integers(4)))
            if site.claims.free(shop.flat(rectangle(w, d))):
                site.claims.take(shop.flat(rectangle(w, d)))
                site.walls += houses.house(site.mesh, rng, shop, w, d, "hall", houses.Palette(rng, site.style))
                break
            w, d = w * 0.85, d * 0.9
    pace, slant, filled = float(rng.uniform(8.0, 11.0)), float(rng.choice([90, 90, 60, 120])), float(rng.uniform(0.15, 0.95))
    islands = rng.random() < 0.5
    for y in np.arange(-reach + float(rng.uniform(0, 5)), reach, pace):
        for number, x in enumerate(np.arange(-reach, reach, 2.7)):
            spot = frame.at(float(x), float(y), slant if rng.random() < 0.5 else slant + 180)
            outline = spot.flat(rectangle(5.4, 2.7))
            if not (inside(spot.centre, inner) and site.claims.free(outline)):
                continue
            if islands and number % 8 == 0:
                site.canvas.polygon(spot.flat(rectangle(4.6, 2.2)), ground.LAWN, (98, 124, 64))
                site.tree(spot.centre, 0.75)
                continue
            for side in (-1.35, 1.35):
                site.canvas.polygon(spot.flat(rectangle(5.0, 0.2, 0.0, side)), ground.MARKING, WHITE)
            if rng.random() < filled:
                car(site.mesh, rng, spot, van=bool(rng.random() < 0.08))
            site.claims.take(spot.flat(rectangle(4.8, 2.0)))


def works(site: Site, block: Block) -> None:
    """Place halls, and containers and tanks between them."""
    rng = site.rng
    palette, frame = houses.Palette(rng, site.style), frame_of(site, block)
    scale = float(rng.uniform(0.7, 1.5))
    for _ in range(int(rng.integers(12, 40))):
        w, d = rng.uniform(14, 38) * scale, rng.uniform(10, 22) * scale
        spot = Frame(_somewhere(site, block, 0.75), frame.along).at(0.0, 0.0, 90.0 * float(rng.integers(4)))
        if site.claims.free(spot.flat(rectangle(w + 5, d + 5))):
            site.claims.take(spot.flat(rectangle(w, d)))
            site.walls += houses.house(site.mesh, rng, spot, w, d, "hall", palette)
    for _ in range(int(rng.integers(0, 26))):
        spot = Frame(_somewhere(site, block, 0.85), frame.along).at(0.0, 0.0, 90.0 * float(rng.integers(2)))
        outline = spot.flat(rectangle(6.1, 2.5))
        if site.claims.free(outline):
            site.claims.take(outline)
            r, g, b = rng.uniform(60, 170) + rng.uniform(-40, 40, 3)
            site.mesh.quads(spot.place(box(0, 0, 0, 6.0, 2.4, 2.6 * float(rng.integers(1, 3)))), PLAIN,
                            site.mesh.part((float(r), float(g), float(b))))


def estate(site: Site, block: Block) -> None:
    """Put up flats: parallel slabs, a court, or single towers, with paths and lawns."""
    rng = site.rng
    palette, frame = houses.Palette(rng, site.style), frame_of(site, block)
    frame = frame.at(0.0, 0.0, float(rng.choice([0, 0, 0, 90, 90, rng.uniform(0, 90)])))
    reach = float(np.ptp(block.polygon, axis=0).max()) / 2
    plan = str(rng.choice(["slabs", "slabs", "court", "towers"]))
    path = (172.0, 164.0, 152.0)
    w, d = float(rng.uniform(20, 42)), float(rng.uniform(9.5, 14))

    def put(spot: Frame, width: float, depth: float) -> bool:
        if not site.claims.free(spot.flat(rectangle(width + 1, depth + 3))):
            return False
        site.claims.take(spot.flat(rectangle(width, depth)))
        site.walls += houses.house(site.mesh, rng, spot, width, depth, "estate", palette)
        site.canvas.stroke(spot.flat(np.array([(-width / 2, -depth / 2 - 2.5), (width / 2, -depth / 2 - 2.5)])), 1.8,
                           ground.PAVING, tinted(path, site.style.slab))
        return True

    if plan == "slabs":
        pace, slip = float(rng.uniform(d + 7, d + 20)), float(rng.uniform(-8, 8))
        for number, y in enumerate(np.arange(-reach + float(rng.uniform(0, 12)), reach, pace)):
            for x in np.arange(-reach + w / 2, reach, w + float(rng.uniform(4, 14))):
                for width in (w, w * 0.75, w * 0.5):
                    if put(frame.at(float(x + slip * number + rng.uniform(-3, 3)), float(y)), width, d):
                        break
    elif plan == "court":
        half = float(rng.uniform(14, 26))
        for turn in (0.0, 90.0, 180.0, 270.0):
            for width in (2 * half - 4, 1.4 * half, half):
                if put(frame.at(0.0, 0.0, turn).at(0.0, -half), width, d):
                    break
    else:
        side = float(rng.uniform(12, 18))
        for _ in range(int(rng.integers(4, 14))):
            put(Frame(_somewhere(site, block, 0.75), frame.along), side, side * float(rng.uniform(0.8, 1.0)))
    if rng.random() < 0.5:
        _playground(site, _somewhere(site, block, 0.6))
    if rng.random() < 0.5:
        spot = Frame(_somewhere(site, block, 0.8), frame.along)
        if site.claims.free(spot.flat(rectangle(20, 6))):
            site.canvas.polygon(spot.flat(rectangle(20, 6)), ground.ROAD, (96, 96, 98))
            for x in np.arange(-8.5, 9, 2.7):
                if rng.random() < 0.6:
                    car(site.mesh, rng, spot.at(float(x), 0.0, 90.0))
            site.claims.take(spot.flat(rectangle(20, 6)))


def sports(site: Site, block: Block) -> None:
    """Lay out playing fields: one or more pitches with lines, and a hut."""
    rng = site.rng
    frame = frame_of(site, block)
    looks: tuple[tuple[int, Rgb, float, float], ...] = (
        (ground.LAWN, (88, 138, 62), 46.0, 30.0), (ground.LAWN, (104, 146, 70), 38.0, 24.0),
        (ground.PAVING, (168, 84, 62), 24.0, 12.0), (ground.PAVING, (72, 110, 150), 24.0, 12.0),
        (ground.PAVING, (84, 128, 96), 26.0, 14.0))
    hut = Frame(_somewhere(site, block, 0.8), frame.along)
    w, d = rng.uniform(9, 20), rng.uniform(6, 9)
    if site.claims.free(hut.flat(rectangle(w, d))):
        site.claims.take(hut.flat(rectangle(w, d)))
        site.walls += houses.house(site.mesh, rng, hut, w, d, "hall", houses.Palette(rng, site.style))
    for _ in range(10):
        kind, colour, w, d = looks[int(rng.integers(len(looks)))]
        scale = float(rng.uniform(0.75, 1.15))
        w, d = w * scale, d * scale
        spot = Frame(_somewhere(site, block, 0.5), frame.along).at(0.0, 0.0, 90.0 * float(rng.integers(2)))
        if not site.claims.free(spot.flat(rectangle(w + 3, d + 3))):
            continue
        site.claims.take(spot.flat(rectangle(w + 3, d + 3)))
        site.canvas.polygon(spot.flat(rectangle(w + 3, d + 3)), kind, tinted(colour, (-14.0, -14.0, -14.0)))
        site.canvas.polygon(spot.flat(rectangle(w, d)), kind, colour)
        for outline in (rectangle(w, d), rectangle(w * 0.18, d * 0.5, -w * 0.41), rectangle(w * 0.18, d * 0.5, w * 0.41)):
            placed = spot.flat(outline)
            site.canvas.stroke(np.vstack([placed, placed[:1]]), 0.3, ground.MARKING, WHITE)
        site.canvas.stroke(spot.flat(np.array([(0.0, -d / 2), (0.0, d / 2)])), 0.3, ground.MARKING, WHITE)


def allotments(site: Site, block: Block) -> None:
    """Divide a block into garden plots with beds, hedges and sheds."""
    rng = site.rng
    frame, palette, inner = frame_of(site, block), houses.Palette(rng, site.style), shrunk(block, 0.84)
    reach = float(np.ptp(block.polygon, axis=0).max()) / 2
    w, d = float(rng.uniform(8, 15)), float(rng.uniform(11, 20))
    beds: tuple[tuple[int, Rgb], ...] = (
        (ground.SOIL, (112, 92, 70)), (ground.LAWN, (112, 142, 72)), (ground.SOIL, (96, 104, 60)),
        (ground.LAWN, (94, 128, 60)), (ground.GRAVEL, (170, 158, 134)))
    for y in np.arange(-reach, reach, d + 2.0):
        for x in np.arange(-reach, reach, w + 0.8):
            plot = frame.at(float(x), float(y))
            if not inside(plot.centre, inner) or rng.random() < 0.08:
                continue
            for k in np.arange(-d / 2 + 1.5, d / 2 - 1, 3.0):
                kind, colour = beds[int(rng.integers(len(beds)))]
                site.canvas.polygon(plot.flat(rectangle(w, 2.8, 0.0, float(k))), kind, tinted(colour, site.style.ground))
            if rng.random() < 0.6:
                hut = plot.at(float(rng.uniform(-w / 4, w / 4)), d / 2 - 2.4)
                site.claims.take(hut.flat(rectangle(3.0, 2.6)))
                site.walls += houses.house(site.mesh, rng, hut, 3.0, 2.6, "shed", palette)
            if rng.random() < 0.4 * site.style.hedges:
                furniture.hedge(site.mesh, rng, plot.flat(np.array([-w / 2, -d / 2])), plot.flat(np.array([w / 2, -d / 2])))
            if rng.random() < 0.5:
                site.tree(plot.flat(rng.uniform(-0.4, 0.4, 2) * (w, d)), float(rng.uniform(0.5, 0.8)))


def grove(site: Site, block: Block) -> None:
    """Plant a block with trees: in rows or as a wood with a path."""
    rng = site.rng
    frame, inner = frame_of(site, block), shrunk(block, 0.86)
    reach = float(np.ptp(block.polygon, axis=0).max()) / 2
    species = str(rng.choice(["round", "tall", "conifer", "blossom", "copper"]))
    kind, colour = _PATHS[int(rng.integers(len(_PATHS)))]
    a, b = rng.choice(len(block.polygon), 2, replace=False)
    middle = _somewhere(site, block, 0.5)
    site.canvas.stroke(np.array([block.polygon[a], middle, block.polygon[b]]), float(rng.uniform(1.6, 2.6)), kind, colour)
    pace, rows = float(rng.uniform(4.8, 8.5)), rng.random() < 0.5
    for y in np.arange(-reach, reach, pace):
        for x in np.arange(-reach, reach, pace):
            spot = frame.flat(np.array([x, y]) + (0.0 if rows else rng.normal(0, pace / 2.5, 2)))
            if inside(spot, inner) and rng.random() < 0.85:
                site.tree(spot, float(rng.uniform(0.7, 1.1) if rows else rng.uniform(0.7, 1.4)),
                          species if rows or rng.random() < 0.5 else None)


def backs(site: Site, block: Block, name: str) -> None:
    """Use the land behind the houses of a block: garages, workshops, further houses, or gardens with hedges."""
    rng = site.rng
    frame, palette = frame_of(site, block), houses.Palette(rng, site.style)
    plan = str(rng.choice(["", "garages", "workshops", "houses", "gardens"], p=[0.2, 0.15, 0.2, 0.2, 0.25]))
    large = len(block.sides) > 4
    if plan == "garages":
        for _ in range(2 + 2 * large):
            row, count = Frame(_somewhere(site, block, 0.6), frame.along), int(rng.integers(4, 11))
            yard = row.flat(rectangle(3.0 * count, 11.0, 0.0, -2.5))
            if site.claims.free(yard):
                site.canvas.polygon(yard, ground.ROAD, (104, 103, 102))
                site.claims.take(yard)
                tone = float(rng.uniform(110, 200))
                wall, roof = site.mesh.part((tone, tone, tone - 8)), site.mesh.part((tone - 40, tone - 42, tone - 44))
                solid = box(0, 0, 0, 3.0 * count, 5.5, 2.4)
                site.mesh.quads(row.place(solid[:4]), PLAIN, wall)
                site.mesh.quads(row.place(solid[4:]), PLAIN, roof)
                site.walls.append(row.flat(rectangle(3.0 * count, 5.5)))
    elif plan in ("workshops", "houses"):
        kind = "hall" if plan == "workshops" else "suburb" if name == "suburb" else "rows"
        for _ in range(int(rng.integers(2, 9)) * (1 + large)):
            w, d = rng.uniform(9, 20, 2) if kind == "hall" else rng.uniform(7, 12, 2)
            spot = Frame(_somewhere(site, block, 0.6), frame.along).at(0.0, 0.0, 90.0 * float(rng.integers(4)))
            if site.claims.free(spot.flat(rectangle(w + 2, d + 3))):
                site.claims.take(spot.flat(rectangle(w, d)))
                site.walls += houses.house(site.mesh, rng, spot, w, d, kind, palette)
    elif plan == "gardens":
        looks: tuple[tuple[int, Rgb], ...] = (
            (ground.LAWN, (94, 128, 60)), (ground.LAWN, (116, 140, 74)), (ground.SOIL, (112, 92, 70)),
            (ground.PAVING, (166, 150, 134)), (ground.LAWN, (104, 118, 66)))
        for _ in range(int(rng.integers(8, 22)) * (1 + large)):
            plot = Frame(_somewhere(site, block, 0.7), frame.along)
            w, d = rng.uniform(4, 8), rng.uniform(7, 15)
            if not site.claims.free(plot.flat(rectangle(w, d))):
                continue
            bed, colour = looks[int(rng.integers(len(looks)))]
            site.canvas.polygon(plot.flat(rectangle(w, d)), bed, tinted(colour, site.style.lawn))
            if rng.random() < 0.5 * site.style.hedges:
                furniture.hedge(site.mesh, rng, plot.flat(np.array([-w / 2, -d / 2])), plot.flat(np.array([-w / 2, d / 2])))
