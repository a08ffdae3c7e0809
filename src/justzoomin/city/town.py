"""The town plan: districts on blocks, houses along streets, trees, cars and lamps between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from justzoomin.city import commons, ground, places
from justzoomin.city.arrays import Array
from justzoomin.city.districts import Districts
from justzoomin.city.fill import fill
from justzoomin.city.furniture import Flora
from justzoomin.city.ground import Canvas
from justzoomin.city.kerbside import furnish
from justzoomin.city.lots import frontages
from justzoomin.city.paint import paint_streets
from justzoomin.city.site import Site
from justzoomin.city.solids import Rgb
from justzoomin.city.streets import Block, Streets
from justzoomin.city.style import PLAIN, tinted

_BLOCK_GROUND: dict[str, tuple[int, tuple[Rgb, ...]]] = {
    "rows": (ground.YARD, ((128, 118, 98), (110, 120, 84), (140, 130, 116))),
    "suburb": (ground.LAWN, ((98, 128, 62), (110, 136, 70), (88, 118, 60))),
    "downtown": (ground.YARD, ((138, 134, 128), (122, 118, 112), (150, 142, 128))),
    "estate": (ground.LAWN, ((104, 130, 66), (92, 120, 62))),
    "hall": (ground.YARD, ((116, 114, 112), (132, 128, 120))),
    "park": (ground.LAWN, ((92, 130, 58), (84, 122, 58))),
    "square": (ground.PAVING, ((176, 160, 138), (160, 152, 146), (184, 150, 128))),
    "parking": (ground.ROAD, ((86, 86, 90), (98, 98, 100))),
    "sports": (ground.LAWN, ((104, 134, 68), (92, 122, 60))),
    "allotments": (ground.LAWN, ((112, 126, 74), (124, 118, 84))),
    "grove": (ground.LAWN, ((88, 112, 56), (104, 118, 64), (110, 104, 72))),
}
_PLACES: dict[str, Callable[[Site, Block], None]] = {
    "park": places.park, "square": places.square, "parking": places.parking, "hall": places.halls, "estate": places.estate}
_DISTRICT_PLACES: dict[str, Callable[[Site, Block], None]] = {
    "park": commons.park, "square": commons.square, "parking": commons.parking, "hall": commons.works, "estate": commons.estate,
    "sports": commons.sports, "allotments": commons.allotments, "grove": commons.grove}


class Town(Site):
    """Everything in the town while it is being placed.

    Args:
        rng: The random generator.
        streets: The street network.
        half_m: Half the side of the built ground.
        canvas: The ground.
        size_m: Side of the town.
        districts: Its districts; None for a town without.
    """

    def __init__(self, rng: np.random.Generator, streets: Streets, half_m: float, canvas: Canvas, size_m: float,
                 districts: Districts | None = None) -> None:
        super().__init__(rng, streets, half_m, canvas, size_m, Flora(rng, 1, balls=9, hollow=True) if districts else None)
        self.districts = districts
        if districts:
            self.kinds, self.places = districts.kinds(streets.blocks), _DISTRICT_PLACES
            self.block_styles = districts.styles(np.array([block.centre for block in streets.blocks]))
            self.street_styles = districts.styles(np.array([_middle(edge.points) for edge in streets.edges]))
        else:
            self.kinds, self.places = self._rings(size_m), _PLACES
            self.block_styles = [PLAIN] * len(streets.blocks)
            self.street_styles = [PLAIN] * len(streets.edges)

    def _rings(self, size_m: float) -> list[str]:
        """Name the kind of every block: special ones near the middle, the rest by distance from it."""
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

    def build(self) -> None:
        """Place everything."""
        plan = list(zip(self.streets.blocks, self.kinds, self.block_styles, strict=True))
        for block, name, style in plan:
            kind, colours = _BLOCK_GROUND[name]
            colour = colours[int(self.rng.integers(len(colours)))]
            self.canvas.polygon(block.polygon, kind, tinted(colour, style.ground))
        paint_streets(self)
        for block, name, style in plan:
            if np.abs(block.centre).max() > self.half_m + 10:
                continue
            self.style = style
            self._block(block, name)
        for edge, style in zip(self.streets.edges, self.street_styles, strict=True):
            self.style = style
            furnish(self, edge)

    def _block(self, block: Block, name: str) -> None:
        if name in self.places:
            self.places[name](self, block)
        else:
            frontages(self, block, name)
            if self.districts:
                commons.backs(self, block, name)
        fill(self, block, name)


def _middle(line: Array) -> Array:
    middle: Array = line[len(line) // 2]
    return middle
