"""The town plan: districts on blocks, houses along streets, trees, cars and lamps between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from justzoomin.city import ground, places
from justzoomin.city.fill import fill
from justzoomin.city.ground import Canvas
from justzoomin.city.kerbside import furnish
from justzoomin.city.lots import frontages
from justzoomin.city.paint import paint_streets
from justzoomin.city.site import Site
from justzoomin.city.solids import Rgb
from justzoomin.city.streets import Block, Streets

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
_PLACES: dict[str, Callable[[Site, Block], None]] = {
    "park": places.park, "square": places.square, "parking": places.parking, "hall": places.halls, "estate": places.estate}


class Town(Site):
    """Everything in the town while it is being placed."""

    def __init__(self, rng: np.random.Generator, streets: Streets, half_m: float, canvas: Canvas, size_m: float) -> None:
        super().__init__(rng, streets, half_m, canvas, size_m)
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

    def build(self) -> None:
        """Place everything."""
        for block, name in zip(self.streets.blocks, self.districts, strict=True):
            kind, colours = _BLOCK_GROUND[name]
            self.canvas.polygon(block.polygon, kind, colours[int(self.rng.integers(len(colours)))])
        paint_streets(self)
        for block, name in zip(self.streets.blocks, self.districts, strict=True):
            if np.abs(block.centre).max() > self.half_m + 10:
                continue
            self._block(block, name)
        for edge in self.streets.edges:
            furnish(self, edge)

    def _block(self, block: Block, name: str) -> None:
        if name in _PLACES:
            _PLACES[name](self, block)
        else:
            frontages(self, block, name)
        fill(self, block, name)
