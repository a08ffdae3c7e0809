"""What a town's map and photos show, known exactly: kinds of surface, heights, distances. Supervision for training."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from justzoomin.city import ground, solids
from justzoomin.city.arrays import F32, I32, U8
from justzoomin.city.camera import Pose, directions_of
from justzoomin.city.config import CityConfig
from justzoomin.city.drives import PHOTOS_PER_DRIVE, Router
from justzoomin.city.world import World, build_world
from justzoomin.errors import DataError
from justzoomin.files import atomic_file

KINDS = ("road", "marking", "pavement", "grass", "bare ground", "water", "building", "tree", "object")
"""Kinds of surface by number."""
SKY = 255
"""Number for what has no surface: the sky."""
PIXEL_M, MARGIN_M = 0.625, 48.0
"""Pixels of the map's labels, and how far these reach beyond the region."""
COLUMNS, ROWS = 24, 24
"""Rays of a photo's labels. A photo is twice as wide as high, as the ray matcher sees it."""
LABELS_FILE = "labels.npz"

_ROAD, _MARKING, _PAVEMENT, _GRASS, _BARE, _WATER, _BUILDING, _TREE, _OBJECT = range(len(KINDS))
_GROUND = {ground.MEADOW: _GRASS, ground.LAWN: _GRASS, ground.YARD: _BARE, ground.PAVEMENT: _PAVEMENT, ground.ROAD: _ROAD,
           ground.MARKING: _MARKING, ground.WATER: _WATER, ground.PAVING: _PAVEMENT, ground.GRAVEL: _BARE, ground.SOIL: _BARE,
           ground.DECK: _BARE}
_SOLID = {solids.WALL: _BUILDING, solids.FRONT: _BUILDING, solids.ROOF: _BUILDING, solids.FLAT: _BUILDING, solids.LEAF: _TREE,
          solids.TRUNK: _TREE, solids.PLAIN: _OBJECT, solids.PAINT: _OBJECT, solids.GLASS: _OBJECT}
_GROUND_KIND = np.array([_GROUND[k] for k in range(len(_GROUND))], np.uint8)
_SOLID_KIND = np.array([_SOLID.get(m, _OBJECT) for m in range(len(_SOLID) + 1)], np.uint8)
_CEILING_M = 120.0


@dataclass(frozen=True)
class TownLabels:
    """The labels of a town.

    Attributes:
        kinds: (n, n) kinds of surface seen from above, row 0 in the north, pixels of `PIXEL_M` from `MARGIN_M` outside the
            north-western corner of the region.
        heights: (n, n) height of these surfaces above the ground in metres, float16.
        ranges: (N, ROWS, COLUMNS) horizontal distance of what each training photo shows, in metres, float16; infinite for sky.
            Moving vehicles are left out.
        seen: (N, ROWS, COLUMNS) kinds of these surfaces; `SKY` for sky.
    """

    kinds: U8
    heights: np.ndarray
    ranges: np.ndarray
    seen: U8

    @classmethod
    def of(cls, config: CityConfig, world: World | None = None) -> TownLabels:
        """Compute the labels of the town of these settings; it is built again unless its world is given."""
        world = world or build_world(config.seed, config.size_m, config.districts)
        router, photos = Router(world, config, "train"), []
        for start in range(0, config.photos, PHOTOS_PER_DRIVE):
            shots = router.shots(start // PHOTOS_PER_DRIVE)[:config.photos - start]
            photos += [_photo(world, shot.pose) for shot in shots]
        ranges = np.array([r for r, _ in photos], np.float16).reshape(-1, ROWS, COLUMNS)
        seen = np.array([k for _, k in photos], np.uint8).reshape(-1, ROWS, COLUMNS)
        return cls(*_overhead(world, config.size_m), ranges, seen)

    def save(self, town: Path) -> Path:
        """Write the labels into the folder of the town."""
        with atomic_file(town / LABELS_FILE) as file:
            np.savez_compressed(file, kinds=self.kinds, heights=self.heights, ranges=self.ranges, seen=self.seen)
        return town / LABELS_FILE

    @classmethod
    def load(cls, town: Path) -> TownLabels:
        """Read the labels of a town.

        Raises:
            DataError: If they are missing or damaged.
        """
        path = town / LABELS_FILE
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = cls(stored["kinds"], stored["heights"], stored["ranges"], stored["seen"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(path, f"the labels cannot be read ({error})",
                            "Make the town again with --labels, or train with matching.supervision=0.") from error
        count, side = len(found.ranges), len(found.kinds)
        if (found.kinds.shape, found.heights.shape) != ((side, side), (side, side)) or (
                found.ranges.shape != (count, ROWS, COLUMNS) or found.seen.shape != found.ranges.shape):
            raise DataError(path, "the shapes of the labels do not fit together", "Make the town again.")
        return found

    def window(self, left_m: float, top_m: float, size_m: float) -> tuple[U8, np.ndarray]:
        """Return kinds and heights (n, n) of a square of the map, given in metres east and south of the region's corner.

        Raises:
            DataError: If the labels do not reach so far.
        """
        row, column, n = (round(v / PIXEL_M) for v in (top_m + MARGIN_M, left_m + MARGIN_M, size_m))
        if min(row, column) < 0 or max(row, column) + n > len(self.kinds):
            raise DataError(LABELS_FILE, f"they end {MARGIN_M:g} m outside the region, and a piece of map reaches further",
                            "Use a smaller matcher.margin_m, or a window_m that divides the town.")
        return self.kinds[row:row + n, column:column + n], self.heights[row:row + n, column:column + n]


def _kinds(world: World, prim: I32, x: F32, y: F32) -> U8:
    """Return the kinds of surface of hits (n,); a triangle below zero is the ground at x, y."""
    solid = _SOLID_KIND[world.mesh.material[np.maximum(prim, 0)]] if len(world.mesh.material) else np.zeros(len(prim), np.uint8)
    return np.where(prim >= 0, solid, _GROUND_KIND[world.canvas.kind_at(x, y)]).astype(np.uint8)


def _overhead(world: World, size_m: float) -> tuple[U8, np.ndarray]:
    half = size_m / 2 + MARGIN_M
    axis = np.arange(round(2 * half / PIXEL_M)) * PIXEL_M + PIXEL_M / 2 - half
    x, y = (v.ravel().astype(np.float32) for v in np.meshgrid(axis, -axis))
    origins = np.stack([x, y, np.full_like(x, _CEILING_M)], 1)
    down = np.broadcast_to(np.array([0.0, 0.0, -1.0], np.float32), origins.shape).copy()
    prim, t = world.mesh.trace(origins, down)
    prim = np.where(t < _CEILING_M, prim, -1).astype(np.int32)
    height = np.where(prim >= 0, _CEILING_M - t, 0.0).astype(np.float16)
    return _kinds(world, prim, x, y).reshape(len(axis), -1), height.reshape(len(axis), -1)


def _photo(world: World, pose: Pose) -> tuple[F32, U8]:
    rays = directions_of(pose, COLUMNS, ROWS, aspect=2.0)
    origins = np.broadcast_to(np.array([pose.east_m, pose.north_m, pose.height_m], np.float32), rays.shape).copy()
    prim, t = world.mesh.trace(origins, rays)
    t = np.where(prim >= 0, t, np.float32(np.inf))
    with np.errstate(divide="ignore"):
        floor = np.where(rays[:, 2] < -1e-4, -pose.height_m / rays[:, 2], np.float32(np.inf)).astype(np.float32)
    prim = np.where(floor < t, -1, prim).astype(np.int32)
    t = np.minimum(t, floor)
    sky = ~np.isfinite(t)
    flat = np.hypot(rays[:, 0], rays[:, 1]).astype(np.float32) * np.where(sky, 0.0, t).astype(np.float32)
    at = origins[:, :2] + rays[:, :2] * np.where(sky, 0.0, t)[:, None].astype(np.float32)
    kinds = np.where(sky, np.uint8(SKY), _kinds(world, prim, at[:, 0], at[:, 1])).astype(np.uint8)
    return np.where(sky, np.float32(np.inf), flat).astype(np.float32), kinds
