"""Cars and vans: those that pass while a photo is taken, and how one is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from justzoomin.city.solids import GLASS, PAINT, PLAIN, Frame, MeshBuilder, Rgb, box

CAR_COLOURS: tuple[Rgb, ...] = (
    (225, 225, 225), (190, 192, 196), (60, 62, 66), (28, 28, 32), (150, 30, 34), (40, 70, 130), (120, 130, 140),
    (90, 110, 80), (210, 170, 60), (80, 130, 160), (170, 90, 50), (240, 240, 236))


@dataclass(frozen=True)
class Vehicle:
    """A passing car: position (metres), bearing of its nose, whether it is a van, and a seed for its looks."""

    east_m: float
    north_m: float
    bearing_deg: float
    van: bool
    seed: int


def car(mesh: MeshBuilder, rng: np.random.Generator, frame: Frame, van: bool = False) -> None:
    """Put a car (its length along the frame's x) or a van on the ground."""
    colour = CAR_COLOURS[int(rng.integers(len(CAR_COLOURS)))]
    body = mesh.part(colour)
    glass = mesh.part((30, 36, 42))
    dark = mesh.part((26, 26, 28))
    red, white = mesh.part((190, 30, 26)), mesh.part((240, 238, 220))
    if van:
        length, width, sill, waist, roof = rng.uniform(5.0, 5.9), 2.0, 0.35, 1.25, rng.uniform(2.1, 2.6)
        cabin, shift, taper = length * 0.98, 0.0, 0.95
    else:
        length, width, sill, waist, roof = rng.uniform(3.9, 4.7), 1.78, 0.3, 0.9, rng.uniform(1.38, 1.6)
        cabin, shift, taper = length * rng.uniform(0.54, 0.68), -length * rng.uniform(0.02, 0.1), 0.8
    mesh.quads(frame.place(box(0, 0, sill, length, width, waist - sill, 0.97)), PAINT, body)
    upper = box(shift, 0, waist, cabin, width * 0.94, roof - waist, taper)
    if van:
        mesh.quads(frame.place(box(-length * 0.12, 0, waist, cabin * 0.76, width * 0.97, roof - waist, 0.97)), PAINT, body)
        front = box(length * 0.36, 0, waist, length * 0.24, width * 0.95, (roof - waist) * 0.85, 0.8)
        mesh.quads(frame.place(front[:4]), GLASS, glass)
        mesh.quads(frame.place(front[4:]), PAINT, body)
        rear = box(-length * 0.5, 0, waist + 0.15, 0.08, width * 0.7, 0.6)
        mesh.quads(frame.place(rear[:4]), GLASS, glass)
    else:
        mesh.quads(frame.place(upper[:4]), GLASS, glass)
        mesh.quads(frame.place(upper[4:]), PAINT, body)
    for x in (-0.31 * length, 0.31 * length):
        mesh.quads(frame.place(box(x, 0, 0.0, 0.64, width * 1.01, 0.62)), PLAIN, dark)
    for y in (-width * 0.36, width * 0.36):
        mesh.quads(frame.place(box(-length / 2, y, 0.62, 0.06, 0.36, 0.18)), PLAIN, red)
        mesh.quads(frame.place(box(length / 2, y, 0.58, 0.06, 0.36, 0.18)), PLAIN, white)
