"""How the houses, gardens and streets of a block differ from those of other blocks."""

from __future__ import annotations

from dataclasses import dataclass

from justzoomin.city.solids import Rgb


@dataclass(frozen=True)
class Style:
    """The manner in which a block or a street is built. The defaults change nothing: they are a town without districts.

    Attributes:
        width: Factor on the width of houses.
        depth: Factor on their depth.
        gap: Factor on the gaps between them.
        setback: Factor on their distance from the pavement.
        floors: Floors more or fewer than usual.
        pitch: Factor on the height of roofs.
        roof: Kind of most roofs that are not flat; None for a mixture.
        facade: Style of most facades; None for a mixture.
        facades: Colours of facades; empty for a choice of the block.
        roofs: Colours of pitched roofs, likewise.
        flats: Colours of flat roofs, likewise.
        ground: Added to the colour of the ground between the houses.
        lawn: Added to the colour of lawns in front of the houses.
        leaf: Added to the colour of trees and hedges.
        trees: Factor on the number of trees.
        species: Most frequent kind of tree; None for a choice of the block or street.
        hedges: Factor on the share of houses with hedges.
        clutter: Factor on the number of sheds and patches.
        asphalt: Added to the grey of roads.
        slab: Added to the colour of pavements.
        front: Depth in metres of gardens in front of terraced houses.
        verge: Whether grass lies between the pavement and the road.
        cycle: Whether main streets have red cycle lanes.
        pace: Factor on the distance of trees along streets.
        lined: Added to the share of streets with trees.
        parked: Share of parking spaces that are taken.
    """

    width: float = 1.0
    depth: float = 1.0
    gap: float = 1.0
    setback: float = 1.0
    floors: int = 0
    pitch: float = 1.0
    roof: str | None = None
    facade: int | None = None
    facades: tuple[Rgb, ...] = ()
    roofs: tuple[Rgb, ...] = ()
    flats: tuple[Rgb, ...] = ()
    ground: Rgb = (0.0, 0.0, 0.0)
    lawn: Rgb = (0.0, 0.0, 0.0)
    leaf: Rgb = (0.0, 0.0, 0.0)
    trees: float = 1.0
    species: str | None = None
    hedges: float = 1.0
    clutter: float = 1.0
    asphalt: float = 0.0
    slab: Rgb = (0.0, 0.0, 0.0)
    front: float = 0.0
    verge: bool = False
    cycle: bool = False
    pace: float = 1.0
    lined: float = 0.0
    parked: float = 0.62


PLAIN = Style()


def tinted(colour: Rgb, shift: Rgb) -> Rgb:
    """Return a colour with another added to it, at most 255."""
    r, g, b = (min(c + s, 255.0) for c, s in zip(colour, shift, strict=True))
    return max(r, 0.0), max(g, 0.0), max(b, 0.0)
