"""The town plan: districts on blocks, houses along streets, trees, cars and lamps in between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from justzoomin.city import furniture, ground, houses
from justzoomin.city.arrays import Array
from justzoomin.city.ground import Canvas, Claims
from justzoomin.city.solids import PLAIN, Frame, MeshBuilder, Rgb, box, rectangle
from justzoomin.city.streets import STRIP_M, WATER_HALF_M, Block, Edge, Streets

WHITE: Rgb = (222, 222, 216)
_BLOCK_GROUND: dict[str, tuple[int, tuple[Rgb, ...]]] = {
    "rows": (ground.YARD, ((128, 118, 98), (110, 120, 84), (140, 130, 116))),
    "suburb": (ground.LAWN, ((98, 128, 62), (110, 136, 70), (88, 118, 60))),
    "downtown": (ground.YARD, ((138, 134, 128), (122, 118, 112), (150, 142, 128))),
    "estate": (ground.LAWN, ((104, 130, 66), (92, 120, 62))),
    "hall": (ground.YARD, ((116, 114, 112), (132, 128, 120))),
    "park": (ground.LAWN, ((92, 130, 58), (84, 122, 58))),
    "square": (ground.PAVING, ((176, 160, 138), (160, 152, 146), (184, 150, 128))),
    "parking": (ground.ROAD, ((86, 86, 90), (98, 98, 100))),
}


class Town:
    """Everything that stands and lies in the town, being placed."""

    def __init__(self, rng: np.random.Generator, streets: Streets, half_m: float, canvas: Canvas, size_m: float) -> None:
        self.rng = rng
        self.streets = streets
        self.half_m = half_m
        self.canvas = canvas
        self.claims = Claims(half_m)
        self.mesh = MeshBuilder()
        self.walls: list[Array] = []
        self.flora = furniture.Flora(rng, 1 if size_m <= 700 else 0)
        self.lamp_parts = (self.mesh.part((70, 74, 72)), self.mesh.part((236, 230, 200)))
        self.districts = self._choose_districts(size_m)

    def _choose_districts(self, size_m: float) -> list[str]:
        """Name the district of every block: special ones near the middle, the rest by distance from it."""
        rng, blocks = self.rng, self.streets.blocks
        centre = rng.uniform(-0.18, 0.18, 2) * size_m
        names = []
        for block in blocks:
            reach = float(np.hypot(*(block.centre - centre))) / max(size_m, 240.0) + rng.normal(0, 0.07)
            ring = "downtown" if reach < 0.2 else "rows" if reach < 0.37 else "suburb"
            if ring == "suburb" and rng.random() < 0.22:
                ring = "estate"
            if ring != "downtown" and rng.random() < 0.07:
                ring = str(rng.choice(["park", "hall", "parking"]))
            names.append(ring)
        inside = [i for i, b in enumerate(blocks) if np.abs(b.centre).max() < size_m / 2 - 22]
        rng.shuffle(inside)
        for i, name in zip(inside, ("square", "park", "parking", "hall", "estate"), strict=False):
            names[i] = name
        return names

    # --- placing -------------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Place everything."""
        for block, name in zip(self.streets.blocks, self.districts, strict=True):
            kind, colours = _BLOCK_GROUND[name]
            self.canvas.polygon(block.polygon, kind, colours[int(self.rng.integers(len(colours)))])
        self._streets()
        for block, name in zip(self.streets.blocks, self.districts, strict=True):
            if np.abs(block.centre).max() > self.half_m + 10:
                continue
            self._block(block, name)
        for edge in self.streets.edges:
            self._along(edge)

    def _streets(self) -> None:
        rng, canvas, edges = self.rng, self.canvas, self.streets.edges
        tone = {e: float(rng.normal(0, 7)) for e in range(len(edges))}
        slabs: tuple[Rgb, ...] = ((176, 170, 160), (160, 158, 156), (182, 166, 146), (150, 146, 138))
        slab = {i: slabs[int(rng.integers(len(slabs)))] for i in range(len(edges))}
        for i, e in enumerate(edges):
            self.claims.take_line(e.points, 2 * e.half_m)
            canvas.stroke(e.points, 2 * e.half_m, ground.PAVEMENT, slab[i])
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
        for e in edges:
            self._markings(e)

    def _bar(self, point: Array, tangent: Array, length: float, width: float) -> None:
        corners = Frame(point, tangent).flat(rectangle(length, width))
        self.canvas.polygon(corners, ground.MARKING, WHITE)

    def _markings(self, e: Edge) -> None:
        if e.kind in ("lane", "canal"):
            return
        left, right = (STRIP_M if p else 0.0 for p in e.park)
        middle, half = (left - right) / 2, (e.width_m - left - right) / 2
        if e.kind == "main":
            for along in np.arange(16.0, e.length_m - 16.0, 6.0):
                p, t = e.at(float(along))
                self._bar(p, t, 3.0, 0.2)
            for side in (-1, 1):
                self.canvas.stroke(e.offset_line(side * (e.width_m / 2 - 0.35), 14, 14), 0.16, ground.MARKING, WHITE)
        for end in (False, True):
            node = e.b if end else e.a
            others = [self.streets.edges[k] for k in self.streets.at_node[node]]
            cross = max(o.half_m for o in others)
            if e.length_m < 2 * cross + 12:
                continue
            s = e.length_m - cross - 2.0 if end else cross + 2.0
            busy = sum(o.kind == "main" for o in others) + (e.kind == "main")
            if busy and self.rng.random() < 0.8:
                p, t = e.at(s)
                n = np.array([t[1], -t[0]])
                for k in np.arange(-half + 0.5, half - 0.2, 1.0):
                    self._bar(p + n * (middle + k), t, 2.8, 0.52)
            p, t = e.at(s + (-2.9 if end else 2.9))
            n = np.array([t[1], -t[0]])
            own = 1.0 if end else -1.0
            self._bar(p + n * (middle + own * half / 2), t, 0.4, half - 0.5)

    # --- blocks --------------------------------------------------------------------------------------------------

    def _block(self, block: Block, name: str) -> None:
        if name == "park":
            self._park(block)
        elif name == "square":
            self._square(block)
        elif name == "parking":
            self._parking(block)
        elif name == "hall":
            self._halls(block)
        elif name == "estate":
            self._estate(block)
        else:
            self._frontages(block, name)
        self._fill(block, name)

    def _frontages(self, block: Block, name: str) -> None:
        rng = self.rng
        palette = houses.Palette(rng)
        setback = {"rows": 0.4, "suburb": float(rng.uniform(3.5, 6.0)), "downtown": 0.6}[name]
        towers = 0
        order = list(range(4))
        rng.shuffle(order)
        for side in order:
            number, forward = block.sides[side]
            edge = self.streets.edges[number]
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
                placed = self._lot(edge, forward, s + w / 2, w, d, setback + (rng.uniform(-0.3, 0.6) if name != "rows" else 0),
                                   kind, palette)
                s += w + gap if placed else 1.5

    def _lot(self, edge: Edge, forward: bool, s: float, w: float, d: float, setback: float, kind: str,
             palette: houses.Palette) -> bool:
        """Try to build on the left side of a block's side (the block lies left of its counter-clockwise outline)."""
        if s + w / 2 > edge.length_m:
            return False
        point, t = edge.at(s if forward else edge.length_m - s)
        along = t if forward else -t
        inward = np.array([-along[1], along[0]])
        for retreat in (0.0, 0.7, 1.5, 2.6):  # bends push wide fronts back from the pavement
            frame = Frame(point + inward * (edge.half_m + setback + retreat + d / 2), along)
            if self.claims.free(frame.flat(rectangle(w - 0.7, d - 0.4))):
                break
        else:
            return False
        self.claims.take(frame.flat(rectangle(w, d)))
        self.walls += houses.house(self.mesh, self.rng, frame, w, d, kind, palette)
        if kind == "suburb":
            self._front_garden(frame, w, d, setback)
        elif kind in ("downtown", "tower"):
            self.canvas.polygon(frame.flat(rectangle(w + 2, d + 2 * setback)), ground.PAVING, (160, 154, 146))
        return True

    def _front_garden(self, frame: Frame, w: float, d: float, setback: float) -> None:
        rng = self.rng
        shade = float(rng.normal(0, 10))
        lawn: Rgb = (98 + shade, 130 + shade, 62 + shade / 2)
        self.canvas.polygon(frame.flat(rectangle(w + 3, d + 2 * setback)), ground.LAWN, lawn)
        x = float(rng.uniform(-w * 0.2, w * 0.2))
        self.canvas.polygon(frame.flat(rectangle(1.3, setback, x, -d / 2 - setback / 2)), ground.PAVING, (170, 150, 130))
        drive = w / 2 + 1.4
        tint = float(rng.uniform(110, 170))
        self.canvas.polygon(frame.flat(rectangle(2.7, setback + 5, drive, -d / 2 - setback / 2 + 2.5)), ground.YARD,
                            (tint, tint - 5, tint - 12))
        spot = frame.at(drive, -d / 2 + 0.2, 90.0)
        outline = spot.flat(rectangle(4.8, 1.9))
        if rng.random() < 0.45 and self.claims.free(outline):
            self.claims.take(outline)
            furniture.car(self.mesh, rng, spot)
        if rng.random() < 0.55:
            y = -d / 2 - setback + 0.5
            furniture.hedge(self.mesh, rng, frame.flat(np.array([-w / 2 - 1.2, y])), frame.flat(np.array([x - 0.9, y])))
            furniture.hedge(self.mesh, rng, frame.flat(np.array([x + 0.9, y])), frame.flat(np.array([w / 2, y])))
        if rng.random() < 0.35:
            self._tree(frame.flat(np.array([rng.uniform(-w / 2, w / 2), -d / 2 - setback * 0.5])), 0.7)

    def _inner(self, block: Block, shrink: float) -> Array:
        """Outline of a block pulled towards its centre by a share."""
        inner: Array = block.centre + (block.polygon - block.centre) * shrink
        return inner

    def _park(self, block: Block) -> None:
        rng = self.rng
        path: Rgb = (186, 170, 138)
        self.canvas.stroke(np.vstack([self._inner(block, 0.62), self._inner(block, 0.62)[:1]]), 2.2, ground.GRAVEL, path)
        nodes = [block.polygon[0], block.polygon[len(block.polygon) // 4], block.polygon[len(block.polygon) // 2],
                 block.polygon[3 * len(block.polygon) // 4]]
        for node in nodes:
            aim = block.centre + rng.normal(0, 3, 2)
            self.canvas.stroke(np.array([node + (aim - node) * 0.16, aim]), 2.0, ground.GRAVEL, path)
        frame = Frame(block.centre, np.array([1.0, 0.3]))
        angles = np.radians(np.arange(0, 360, 12))
        radius = (1 + 0.15 * np.sin(2 * angles + rng.uniform(0, 6)) + 0.1 * np.sin(3 * angles)) * rng.uniform(9, 13)
        shore = np.stack([np.cos(angles) * radius * 1.3, np.sin(angles) * radius * 0.8], axis=1)
        pond = frame.flat(shore + rng.normal(0, 3, 2))
        self.canvas.polygon(block.centre + (pond - block.centre) * 1.09, ground.GRAVEL, (150, 140, 112))
        self.canvas.polygon(pond, ground.WATER, (58, 92, 84))
        self.claims.take(pond)
        for _ in range(5):
            x, y = rng.uniform(-24, 24, 2)
            spread = rng.uniform(1.2, 2.4)
            colour = ((190, 60, 70), (220, 180, 60), (150, 90, 170), (230, 220, 220))[int(rng.integers(4))]
            bed = block.centre + (x, y) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * spread
            if self.claims.free(bed):
                self.canvas.polygon(bed, ground.SOIL, colour)
                self.claims.take(bed)

    def _square(self, block: Block) -> None:
        rng = self.rng
        tone: Rgb = (206, 190, 166)
        frame = Frame(block.centre, rng.normal(size=2))
        for k in range(-5, 6):
            line = frame.flat(np.array([(-60.0, k * 8.0), (60.0, k * 8.0)]))
            inner = [p for p in np.linspace(line[0], line[1], 80) if _inside(p, self._inner(block, 0.7))]
            if len(inner) > 1:
                self.canvas.stroke(np.array(inner), 0.6, ground.PAVING, tone)
        nave = frame.at(0.0, 5.0)
        self.walls += houses.church(self.mesh, rng, nave)
        self.claims.take(nave.flat(rectangle(11.5, 29.0)))
        spot = frame.at(float(rng.uniform(-4, 4)), -19.0)
        if self.claims.free(spot.flat(rectangle(9, 9))):
            furniture.fountain(self.mesh, spot)
            self.claims.take(spot.flat(rectangle(9, 9)))
        for x in (-15.0, 15.0):
            for y in np.arange(-18.0, 22.0, 7.5):
                self._tree(frame.flat(np.array([x, y])), 0.85, "round")

    def _parking(self, block: Block) -> None:
        rng = self.rng
        edge = self.streets.edges[block.sides[0][0]]
        _, t = edge.at(edge.length_m / 2)
        frame = Frame(block.centre, t)
        palette = houses.Palette(rng)
        for width, y in ((38.0, 14.0), (38.0, 11.0), (30.0, 16.0), (30.0, 12.0), (24.0, 14.0), (24.0, 9.0), (18.0, 8.0)):
            shop = frame.at(0.0, y)
            if self.claims.free(shop.flat(rectangle(width, 18.0))):
                self.claims.take(shop.flat(rectangle(width, 18.0)))
                self.walls += houses.house(self.mesh, rng, shop, width, 18.0, "hall", palette)
                break
        for y, turn in ((-4.0, 90.0), (-13.5, 90.0), (-19.0, 90.0), (-28.0, 90.0)):
            for x in np.arange(-28.0, 28.1, 2.7):
                spot = frame.at(float(x), y, turn if rng.random() < 0.5 else turn + 180)
                outline = spot.flat(rectangle(4.8, 2.0))
                if not self.claims.free(spot.flat(rectangle(5.4, 2.7))):
                    continue
                for side in (-1.35, 1.35):
                    self.canvas.polygon(spot.flat(rectangle(5.0, 0.2, 0.0, side)), ground.MARKING, WHITE)
                if rng.random() < 0.62:
                    furniture.car(self.mesh, rng, spot, van=bool(rng.random() < 0.08))
                self.claims.take(outline)

    def _halls(self, block: Block) -> None:
        rng = self.rng
        palette = houses.Palette(rng)
        edge = self.streets.edges[block.sides[0][0]]
        _, t = edge.at(edge.length_m / 2)
        frame = Frame(block.centre, t)
        for _ in range(30):
            w, d = rng.uniform(16, 36), rng.uniform(12, 22)
            spot = _turned(frame, rng)
            if self.claims.free(spot.flat(rectangle(w + 5, d + 5))):
                self.claims.take(spot.flat(rectangle(w, d)))
                self.walls += houses.house(self.mesh, rng, spot, w, d, "hall", palette)

    def _estate(self, block: Block) -> None:
        rng = self.rng
        palette = houses.Palette(rng)
        edge = self.streets.edges[block.sides[0][0]]
        _, t = edge.at(edge.length_m / 2)
        frame = Frame(block.centre, t)
        turn = 0.0 if rng.random() < 0.5 else 90.0
        w, d = rng.uniform(24, 38), rng.uniform(10, 13)
        for y in (0.0, -20.0, 20.0, -38.0, 38.0):
            for width in (w, w * 0.75, w * 0.5, w, w * 0.6):
                spot = frame.at(0.0, 0.0, turn).at(float(rng.uniform(-9, 9)), y + float(rng.uniform(-2, 2)))
                if self.claims.free(spot.flat(rectangle(width + 1, d + 3))):
                    self.claims.take(spot.flat(rectangle(width, d)))
                    self.walls += houses.house(self.mesh, rng, spot, width, d, "estate", palette)
                    self.canvas.stroke(spot.flat(np.array([(-width / 2, -d / 2 - 2.5), (width / 2, -d / 2 - 2.5)])), 1.8,
                                       ground.PAVING, (172, 164, 152))
                    break

    def _fill(self, block: Block, name: str) -> None:
        """Trees, sheds and patios where a block has room left."""
        rng = self.rng
        low, high = block.polygon.min(axis=0), block.polygon.max(axis=0)
        area = float(np.prod(high - low))
        trees = {"park": 0.022, "suburb": 0.008, "estate": 0.005, "rows": 0.004, "downtown": 0.0012, "hall": 0.0018,
                 "parking": 0.0012, "square": 0.0}[name]
        inner = self._inner(block, 0.86)
        favourite = str(rng.choice(["round", "round", "tall", "conifer", "copper", "blossom"]))
        if name in ("hall", "parking", "downtown"):
            for _ in range(int(area * 0.0025)):
                p = rng.uniform(low, high)
                patch = Frame(p, np.array([1.0, 0.2])).flat(rectangle(*rng.uniform(3.0, 12.0, 2)))
                if _inside(p, inner) and self.claims.free(patch):
                    self.canvas.polygon(patch, *((ground.LAWN, (98, 124, 64)), (ground.PAVING, (158, 140, 124)),
                                                 (ground.ROAD, (92, 92, 96)))[int(rng.integers(3))])
        if name in ("rows", "suburb"):
            palette = houses.Palette(rng)
            for _ in range(int(area * 0.0016)):
                p = rng.uniform(low, high)
                frame = Frame(p, rng.normal(size=2) if name == "suburb" else np.array([1.0, 0.1]))
                w, d = rng.uniform(2.2, 4.0), rng.uniform(2.0, 3.2)
                if _inside(p, inner) and self.claims.free(frame.flat(rectangle(w + 1, d + 1))):
                    self.claims.take(frame.flat(rectangle(w, d)))
                    self.walls += houses.house(self.mesh, rng, frame, w, d, "shed", palette)
            for _ in range(int(area * 0.004)):
                p = rng.uniform(low, high)
                frame = Frame(p, rng.normal(size=2))
                patch = frame.flat(rectangle(*rng.uniform(2.5, 7.0, 2)))
                if _inside(p, inner) and self.claims.free(patch):
                    look = ((ground.LAWN, (94, 128, 60)), (ground.PAVING, (166, 150, 134)), (ground.SOIL, (112, 92, 70)),
                            (ground.LAWN, (116, 140, 74)))
                    self.canvas.polygon(patch, *look[int(rng.integers(4))])
        for _ in range(int(area * trees)):
            p = rng.uniform(low, high)
            if _inside(p, inner):
                species = favourite if rng.random() < 0.5 else str(rng.choice(["round", "round", "tall", "conifer", "copper"]))
                self._tree(p, float(rng.uniform(0.75, 1.3)), species)

    def _tree(self, point: Array, size: float, species: str | None = None) -> None:
        spread = 1.3 * size
        corner = Frame(point, np.array([1.0, 0.0])).flat(rectangle(2 * spread, 2 * spread))
        if np.abs(point).max() > self.half_m - 4 or not self.claims.free(corner):
            return
        self.claims.take(corner)
        chosen = species or str(self.rng.choice(["round", "round", "round", "blossom", "conifer", "tall"]))
        self.flora.tree(self.mesh, self.rng, float(point[0]), float(point[1]), chosen, size)

    # --- streets' furniture --------------------------------------------------------------------------------------

    def _along(self, e: Edge) -> None:
        rng = self.rng
        cross = 9.0
        if e.length_m < 2 * cross + 8:
            return
        species = str(rng.choice(["round", "round", "tall", "blossom", "copper"]))
        lined = rng.random() < {"main": 0.75, "canal": 0.9, "side": 0.3, "lane": 0.5}[e.kind]
        pace = float(rng.uniform(9.0, 15.0))
        for side in (-1, 1):
            offset = side * (e.width_m / 2 + 0.75)
            if lined and e.walk_m > 0.5:
                for s in np.arange(cross + 5, e.length_m - cross - 4, pace):
                    p, t = e.at(float(s + rng.normal(0, 0.6)))
                    spot = p + offset * np.array([t[1], -t[0]])
                    if np.abs(spot).max() < self.half_m - 4:
                        self.canvas.polygon(Frame(spot, t).flat(rectangle(1.1, 1.1)), ground.SOIL, (96, 82, 66))
                        size = float(rng.uniform(0.62, 0.95))
                        self.flora.tree(self.mesh, rng, float(spot[0]), float(spot[1]), species, size)
            for s in np.arange(cross + (2 if side > 0 else 13), e.length_m - cross, 24.0):
                p, t = e.at(float(s))
                if np.abs(p).max() < self.half_m - 4:
                    furniture.lamp(self.mesh, Frame(p + offset * np.array([t[1], -t[0]]), -side * -t), *self.lamp_parts)
            parked = e.kind == "side" and e.park[0 if side < 0 else 1]
            if parked:
                for s in np.arange(cross + 6, e.length_m - cross - 6, 5.8):
                    if rng.random() < 0.62:
                        p, t = e.at(float(s + rng.normal(0, 0.2)))
                        spot = p + side * (e.width_m / 2 - STRIP_M / 2 + 0.1) * np.array([t[1], -t[0]])
                        if np.abs(spot).max() < self.half_m - 4:
                            furniture.car(self.mesh, rng, Frame(spot, t if side > 0 else -t), van=bool(rng.random() < 0.1))
        if e.kind == "canal":
            self._canal(e)
        elif e.kind in ("main", "side"):
            for end, node in ((False, e.a), (True, e.b)):
                wet = [self.streets.edges[k] for k in self.streets.at_node[node] if self.streets.edges[k].kind == "canal"]
                if wet:
                    self._parapet(e, end)

    def _canal(self, e: Edge) -> None:
        rng = self.rng
        stone = self.mesh.part((170, 164, 150))
        for side in (-1, 1):
            line = e.offset_line(side * (WATER_HALF_M + 0.25), 9.0, 9.0, 4.0)
            for a, b in pairwise(line):
                if np.abs(a).max() < self.half_m - 4:
                    step = b - a
                    wall = box(0, 0, 0, float(np.hypot(*step)) + 0.1, 0.35, 0.45)
                    self.mesh.quads(Frame((a + b) / 2, step).place(wall), PLAIN, stone)
            for s in np.arange(16.0, e.length_m - 16.0, 13.0):
                if rng.random() < 0.45:
                    p, t = e.at(float(s))
                    if np.abs(p).max() < self.half_m - 8:
                        berth = p + side * (WATER_HALF_M - 1.5) * np.array([t[1], -t[0]])
                        furniture.boat(self.mesh, rng, Frame(berth, t * side))

    def _parapet(self, e: Edge, end: bool) -> None:
        stone = self.mesh.part((186, 178, 162))
        s = e.length_m - WATER_HALF_M / 2 - 0.6 if end else WATER_HALF_M / 2 + 0.6
        p, t = e.at(s)
        if np.abs(p).max() > self.half_m - 6:
            return
        for side in (-1, 1):
            spot = p + side * (e.half_m - 0.2) * np.array([t[1], -t[0]])
            self.mesh.quads(Frame(spot, t).place(box(0, 0, 0, WATER_HALF_M + 1.4, 0.4, 1.0)), PLAIN, stone)


def _turned(frame: Frame, rng: np.random.Generator) -> Frame:
    x, y = rng.uniform(-26, 26, 2)
    return frame.at(float(x), float(y), 90.0 * float(rng.integers(0, 4)))


def _inside(point: Array, polygon: Array) -> bool:
    """Whether a point (2,) lies in a polygon (n, 2), by crossings."""
    x, y = point
    a, b = polygon, np.roll(polygon, -1, axis=0)
    hit = (a[:, 1] > y) != (b[:, 1] > y)
    across = a[hit, 0] + (y - a[hit, 1]) / (b[hit, 1] - a[hit, 1]) * (b[hit, 0] - a[hit, 0])
    return bool((across > x).sum() % 2)
