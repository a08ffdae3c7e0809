"""The building site: everything placed so far, and which ground is taken."""

from __future__ import annotations

import numpy as np

from justzoomin.city import furniture
from justzoomin.city.arrays import Array
from justzoomin.city.ground import Canvas, Claims
from justzoomin.city.solids import Frame, MeshBuilder, Rgb, rectangle
from justzoomin.city.streets import Streets
from justzoomin.city.style import PLAIN, Style

WHITE: Rgb = (222, 222, 216)  # markings on roads and parking lots


class Site:
    """The ground, the solids and the random generator shared by everything placed in a town.

    Everything placed draws from `rng`, so the order of placing is part of the town.

    Attributes:
        rng: The random generator.
        streets: The street network.
        half_m: Half the side of the built ground.
        canvas: The ground, painted in place.
        claims: Which ground is taken.
        mesh: All solids.
        walls: Outlines of houses, each (n, 2), metres.
        flora: Templates of trees.
        style: How the block or street is built that is being placed.
        street_styles: How every street is built.
        lamp_parts: Parts of the mesh shared by the posts and heads of lamps.
    """

    def __init__(self, rng: np.random.Generator, streets: Streets, half_m: float, canvas: Canvas, size_m: float,
                 flora: furniture.Flora | None = None) -> None:
        self.rng = rng
        self.streets = streets
        self.half_m = half_m
        self.canvas = canvas
        self.claims = Claims(half_m)
        self.mesh = MeshBuilder()
        self.walls: list[Array] = []
        self.flora = flora or furniture.Flora(rng, 1 if size_m <= 700 else 0)
        self.style: Style = PLAIN
        self.street_styles: list[Style] = [PLAIN] * len(streets.edges)
        self.lamp_parts = (self.mesh.part((70, 74, 72)), self.mesh.part((236, 230, 200)))

    def tree(self, point: Array, size: float, species: str | None = None) -> None:
        """Plant a tree at a point (2,) if there is room; default: a random common species."""
        spread = 1.3 * size
        corner = Frame(point, np.array([1.0, 0.0])).flat(rectangle(2 * spread, 2 * spread))
        if np.abs(point).max() > self.half_m - 4 or not self.claims.free(corner):
            return
        self.claims.take(corner)
        chosen = species or str(self.rng.choice(["round", "round", "round", "blossom", "conifer", "tall"]))
        self.flora.tree(self.mesh, self.rng, float(point[0]), float(point[1]), chosen, size,
                        self.style.leaf)
