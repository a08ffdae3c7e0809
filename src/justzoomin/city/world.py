"""The world: mesh, ground and streets of one town, and the rays through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from justzoomin.city.arrays import F32, I32, U8, noise_tile
from justzoomin.city.districts import DistrictLayout, Districts
from justzoomin.city.ground import MEADOW, Canvas, weather
from justzoomin.city.solids import MeshBuilder
from justzoomin.city.streets import Layout, PlainLayout, Streets, lay_streets
from justzoomin.city.town import Town
from justzoomin.errors import MissingExtraError

MARGIN_M = 48.0  # built-up land beyond the region's border
DISTRICT_PIXEL_M = 0.2  # of the ground in a town with districts, whatever its size


class Mesh:
    """Triangles with their tables, and ray queries against them."""

    def __init__(self, corners: F32, material: U8, part: I32, table: F32, parts: F32) -> None:
        self.corners, self.material, self.part, self.table, self.parts = corners, material, part, table, parts

    @classmethod
    def of(cls, builder: MeshBuilder) -> Mesh:
        """Return the mesh of everything that a builder collected."""
        return cls(*builder.finish())

    @cached_property
    def _scene(self) -> Any:
        try:
            from embreex import rtcore_scene
            from embreex.mesh_construction import TriangleMesh
        except ImportError as error:
            raise MissingExtraError("embreex", "synth") from error
        scene = rtcore_scene.EmbreeScene()
        TriangleMesh(scene, self.corners)
        return scene

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the ray tracer's tree, which cannot be passed between processes."""
        return {k: v for k, v in self.__dict__.items() if k != "_scene"}

    def trace(self, origins: F32, directions: F32) -> tuple[I32, F32]:
        """Return nearest triangles (n,), -1 for none, and distances (n,) of rays (n, 3)."""
        if not len(self.corners):
            return np.full(len(origins), -1, np.int32), np.full(len(origins), 1e30, np.float32)
        hit = self._scene.run(origins, directions, output=1)
        return hit["primID"], hit["tfar"]

    def blocked(self, origins: F32, directions: F32, reach_m: float) -> Any:
        """Return whether rays (n, 3) hit anything within a distance (n,)."""
        if not len(self.corners) or not len(origins):
            return np.zeros(len(origins), bool)
        dists = np.full(len(origins), reach_m, np.float32)
        return self._scene.run(origins, directions, dists=dists, query="OCCLUDED") != -1


@dataclass
class World:
    """One town. Positions are metres east and north of its centre, z is up.

    Attributes:
        seed: Number of the town.
        size_m: Side of the region in which photos are taken; the town extends a little beyond it.
        half_m: Half the side of the built ground.
        streets: The street network.
        canvas: The weathered ground.
        mesh: All solids.
        noises: Periodic noise tiles: fine, cloudy, very smooth.
        hills: Height of the horizon (tangent of elevation) for 1024 bearings, (1024,).
    """

    seed: int
    size_m: float
    half_m: float
    streets: Streets
    canvas: Canvas
    mesh: Mesh
    taken: U8
    noises: tuple[F32, F32, F32]
    hills: F32
    pyramid: tuple[U8, ...] = field(default=())

    def obstacle(self, x: float, y: float) -> bool:
        """Return whether a position is inside a house or a trunk, or off the built ground."""
        from justzoomin.city.ground import Claims

        col = int((x + self.half_m) / Claims.RESOLUTION_M)
        row = int((self.half_m - y) / Claims.RESOLUTION_M)
        n = self.taken.shape[0]
        return not (0 <= col < n and 0 <= row < n) or int(self.taken[row, col]) & 3 == 1


def build_world(seed: int, size_m: float, districts: bool = False) -> World:
    """Build the town of a seed. The same arguments give the same town.

    Args:
        seed: Number of the town.
        size_m: Side of its region.
        districts: Whether it has districts. Otherwise a larger town is a small one spread out, with coarser ground and trees.
    """
    import cv2

    rng = np.random.default_rng([seed, 1])
    half = size_m / 2 + MARGIN_M
    plan = Districts(seed, half) if districts else None
    layout: Layout = DistrictLayout(rng, plan) if plan else PlainLayout(rng, half, canal=size_m >= 180)
    streets = lay_streets(rng, layout)
    canvas = Canvas(half, DISTRICT_PIXEL_M if plan else 0.125 if size_m <= 800 else 0.25, (124, 138, 82))
    canvas.kind[:] = MEADOW
    town = Town(rng, streets, half, canvas, size_m, plan)
    town.build()
    weather(canvas, town.walls, seed)
    pyramid = [canvas.rgb]
    for _ in range(2):
        last = pyramid[-1]
        size = (last.shape[1] // 4, last.shape[0] // 4)
        pyramid.append(np.asarray(cv2.resize(last, size, interpolation=cv2.INTER_AREA), np.uint8))
    angle = np.arange(1024) / 1024 * 2 * np.pi
    hills = np.zeros(1024)
    for k in range(1, 24):
        hills += rng.normal(0, 1) / k**1.1 * np.sin(k * angle + rng.uniform(0, 2 * np.pi))
    hills = 0.035 + 0.022 * hills
    noises = (noise_tile(seed + 11, 0.2), noise_tile(seed + 12, 1.1), noise_tile(seed + 13, 1.75))
    return World(seed, size_m, half, streets, canvas, Mesh.of(town.mesh), town.claims.taken, noises,
                 hills.astype(np.float32), tuple(pyramid))
