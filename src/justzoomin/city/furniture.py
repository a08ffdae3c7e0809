"""Trees, lamps, hedges, boats: the objects between the houses."""

from __future__ import annotations

import numpy as np

from justzoomin.city.arrays import Array
from justzoomin.city.solids import GLASS, LEAF, PAINT, PLAIN, TRUNK, Frame, MeshBuilder, Rgb, box, icosphere

TREES: dict[str, tuple[Rgb, ...]] = {
    "round": ((84, 116, 54), (72, 102, 50), (98, 122, 58)),
    "tall": ((78, 108, 56), (92, 114, 52)),
    "conifer": ((46, 76, 54), (54, 86, 64)),
    "copper": ((104, 58, 54), (118, 68, 52)),
    "blossom": ((196, 150, 160), (204, 178, 176)),
}


class Flora:
    """Templates of crowns, bumpy spheres and cones, placed many times.

    Args:
        rng: The random generator.
        subdivisions: How round the spheres are.
        balls: Number of spheres around the middle one.
        hollow: Whether to leave out triangles inside a crown, which nobody sees.
    """

    def __init__(self, rng: np.random.Generator, subdivisions: int, *, balls: int = 13, hollow: bool = False) -> None:
        sphere = icosphere(subdivisions)
        self.crowns = []
        for _ in range(8):
            blobs, spheres = [self._blob(rng, sphere, np.zeros(3), 0.72)], [np.array([0.0, 0.0, 0.0, 0.72])]
            golden = np.pi * (3 - 5**0.5)
            for k in range(balls):  # directions spread evenly by the golden angle, then jittered
                z = 0.92 - 1.55 * k / (balls - 1) + rng.normal(0, 0.08)
                turn, ring = golden * k + rng.normal(0, 0.25), np.sqrt(max(0.0, 1 - min(abs(z), 1.0) ** 2))
                centre = np.array([np.cos(turn) * ring, np.sin(turn) * ring, z]) * rng.uniform(0.55, 0.72)
                ball = float(rng.uniform(0.3, 0.46))
                blobs.append(self._blob(rng, sphere, centre, ball))
                spheres.append(np.append(centre, ball))
            self.crowns.append(_visible(blobs, np.array(spheres)) if hollow else np.concatenate(blobs))
        angles = np.linspace(0, 2 * np.pi, 13)
        self.cones = []
        for _ in range(4):
            tris = []
            for level in range(4):
                z0, z1 = -1.0 + level * 0.48, -0.2 + level * 0.4 if level < 3 else 1.05
                radius = (1.0 - level * 0.23) * (1 + 0.13 * np.where(np.arange(13) % 2, 1, -1) + rng.normal(0, 0.04, 13))
                radius[-1] = radius[0]
                ring = np.stack([np.cos(angles) * radius, np.sin(angles) * radius, np.full(13, z0)], axis=1)
                tip = np.array([0.0, 0.0, max(z1, z0 + 0.75) if level < 3 else 1.05])
                tris += [np.stack([ring[i], ring[i + 1], tip]) for i in range(12)]
            self.cones.append(np.array(tris))

    @staticmethod
    def _blob(rng: np.random.Generator, sphere: Array, centre: Array, radius: float) -> Array:
        ripple = np.sin(sphere @ rng.normal(0, 6.0, (3, 3)) + rng.uniform(0, 6.28, 3)).mean(axis=-1)
        blob: Array = centre + sphere * (radius * (1 + 0.22 * ripple))[..., None]
        return blob

    def tree(self, mesh: MeshBuilder, rng: np.random.Generator, x: float, y: float, species: str, size: float = 1.0,
             tint: Rgb = (0.0, 0.0, 0.0)) -> float:
        """Plant a tree; return the radius of its crown, metres."""
        turn = rng.uniform(0, 2 * np.pi)
        c, s = np.cos(turn), np.sin(turn)
        rotation = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
        colour = TREES[species][int(rng.integers(len(TREES[species])))]
        colour = tuple(float(v) for v in np.clip(np.array(colour) + rng.normal(0, 9, 3) + tint, 10, 250))  # type: ignore[assignment]
        trunk_h = rng.uniform(2.4, 3.4) * size
        radius = rng.uniform(1.7, 2.9) * size
        stretch = {"round": 1.05, "tall": 2.4, "conifer": 2.6, "copper": 1.1, "blossom": 0.9}[species]
        if species in ("tall", "conifer"):
            radius *= 0.72
        half = radius * stretch
        z = (0.9 if species == "conifer" else trunk_h) + half * (1.0 if species == "conifer" else 0.86)
        kind = {"round": 0.0, "tall": 0.0, "conifer": 1.0, "copper": 2.0, "blossom": 3.0}[species]
        part = mesh.part(colour, x=x, y=y, z=z, radius_z=half, bay_m=radius, style=kind, hash=float(rng.integers(1024)))
        shapes = self.cones if species == "conifer" else self.crowns
        main = shapes[int(rng.integers(len(shapes)))] @ rotation * (radius, radius, half) + (x, y, z)
        mesh.triangles(main, LEAF, part)
        bark = mesh.part((96, 80, 64) if species != "blossom" else (80, 62, 60))
        mesh.quads(box(x, y, 0.0, 0.34 * size, 0.34 * size, z - half * 0.3, 0.6)[:4], TRUNK, bark)
        return float(radius)


def _visible(blobs: list[Array], spheres: Array) -> Array:
    """Return the triangles (n, 3, 3) of blobs that are not inside another of the spheres (b, 4): centre, radius."""
    kept = []
    for number, blob in enumerate(blobs):
        others = np.delete(spheres, number, axis=0)
        apart = np.linalg.norm(blob[:, :, None] - others[:, :3], axis=-1)  # (n, corners, spheres)
        kept.append(blob[~(apart < 0.88 * others[:, 3]).all(axis=1).any(axis=1)])
    return np.concatenate(kept)


def lamp(mesh: MeshBuilder, frame: Frame, part: int, head: int) -> None:
    """Put up a street lamp whose arm points along the frame's y."""
    mesh.quads(frame.place(box(0, 0, 0, 0.13, 0.13, 5.6, 0.6)[:4]), PLAIN, part)
    mesh.quads(frame.place(box(0, 0.7, 5.5, 0.12, 1.5, 0.1)), PLAIN, part)
    mesh.quads(frame.place(box(0, 1.3, 5.4, 0.3, 0.7, 0.16)), PLAIN, head)


def hedge(mesh: MeshBuilder, rng: np.random.Generator, start: Array, end: Array) -> None:
    """Plant a hedge from one point (2,) to another."""
    step = end - start
    length = float(np.hypot(*step))
    if length < 0.8:
        return
    height = float(rng.uniform(0.8, 1.5))
    middle = (start + end) / 2
    part = mesh.part((float(rng.uniform(58, 84)), float(rng.uniform(96, 120)), 50.0), x=middle[0], y=middle[1], z=height / 2,
                     radius_z=height / 2, style=4.0, hash=float(rng.integers(1024)))
    mesh.quads(Frame(middle, step).place(box(0, 0, 0, length, 0.8, height, 0.97)), LEAF, part)


def fountain(mesh: MeshBuilder, frame: Frame) -> None:
    """Build a fountain with a column."""
    stone, water, bronze = mesh.part((190, 184, 172)), mesh.part((60, 100, 116)), mesh.part((90, 130, 112))
    angles = np.radians(np.arange(0, 360, 45))
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    from justzoomin.city.solids import prism

    mesh.quads(frame.place(prism(ring * 4.0, 0.0, 0.6)), PLAIN, stone)
    disc = np.hstack([ring * 4.0, np.full((8, 1), 0.55)])
    fan = np.stack([np.broadcast_to([0.0, 0.0, 0.55], (8, 3)), disc, np.roll(disc, -1, 0)], axis=1)
    mesh.triangles(frame.place(fan), GLASS, water)
    mesh.quads(frame.place(box(0, 0, 0, 1.4, 1.4, 2.2, 0.7)), PLAIN, stone)
    mesh.quads(frame.place(box(0, 0, 2.2, 0.7, 0.5, 1.9, 0.6)), PLAIN, bronze)


def boat(mesh: MeshBuilder, rng: np.random.Generator, frame: Frame) -> None:
    """Place a moored boat (its length along the frame's x)."""
    colours: tuple[Rgb, ...] = ((30, 60, 90), (120, 40, 36), (40, 84, 66), (230, 226, 214), (60, 60, 64))
    hull = mesh.part(colours[int(rng.integers(len(colours)))])
    cabin = mesh.part((224, 214, 190))
    length = float(rng.uniform(6, 11))
    mesh.quads(frame.place(box(0, 0, 0.0, length, 2.3, 0.8, 1.04)), PAINT, hull)
    mesh.quads(frame.place(box(-length * 0.1, 0, 0.8, length * 0.5, 1.8, 1.1, 0.92)), PLAIN, cabin)
