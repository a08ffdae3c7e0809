"""Drives: where a camera car goes, in which light, and how it looks around."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from justzoomin.city.arrays import Array
from justzoomin.city.camera import Pose
from justzoomin.city.config import CityConfig
from justzoomin.city.light import Conditions, Season, Weather
from justzoomin.city.vehicles import Vehicle
from justzoomin.city.world import World
from justzoomin.errors import ConfigError

Split = Literal["train", "val", "held_out"]
SPLIT_NUMBERS: dict[Split, int] = {"train": 1, "val": 2, "held_out": 3}
PHOTOS_PER_DRIVE = 16
_BORDER_SHARE = 0.005  # a metre in the projection differs by up to 0.3 % from a metre on the sphere
_STALE_M = 70.0


@dataclass(frozen=True)
class Shot:
    """One photo to take: its number in the split, its drive, pose and conditions."""

    index: int
    drive: int
    pose: Pose
    conditions: Conditions


@dataclass
class _Car:
    edge: int
    s: float
    forward: bool


class Router:
    """Finds the drives of one split of one town.

    Raises:
        ConfigError: If no street of the town is left for the split.
    """

    def __init__(self, world: World, config: CityConfig, split: Split) -> None:
        self.world, self.config, self.split = world, config, split
        self.limit_m = config.size_m / 2 * (1.0 - _BORDER_SHARE) - 0.2
        self.starts = self._starts()
        self.reserved = _val_blocks(self._places(), config) if config.split == "block" else None
        if self.reserved is not None:
            keep = [self.allowed(*p) for p in self._places()]
            self.starts = [s for s, k in zip(self.starts, keep, strict=True) if k]
        if not self.starts:
            raise ConfigError(f"split {split!r} of town {config.seed}", "the split has no street left for its photos",
                              "Use a larger size_m, a smaller guard_m or block_m, or the split 'drive'.")

    def _starts(self) -> list[_Car]:
        found = []
        for number, edge in enumerate(self.world.streets.edges):
            if edge.kind == "lane":
                continue
            for s in np.arange(0.5, edge.length_m, 2.0):
                for forward in (True, False):
                    x, y = self._place(_Car(number, float(s), forward), 0.0)[0]
                    if self._inside(x, y):
                        found.append(_Car(number, float(s), forward))
        return found

    def _places(self) -> Array:
        return np.array([self._place(car, 0.0)[0] for car in self.starts])

    def _inside(self, x: float, y: float) -> bool:
        return max(abs(x), abs(y)) < self.limit_m and not self.world.obstacle(x, y)

    def allowed(self, x: float, y: float) -> bool:
        """Return whether the split may have a photo at a position (metres from the town's centre)."""
        if not self._inside(x, y):
            return False
        if self.reserved is None:
            return True
        if self.split == "val":
            return _in_block(self.reserved, self.config, x, y)
        g = self.config.guard_m
        return not any(_in_block(self.reserved, self.config, x + dx, y + dy)
                       for dx in np.linspace(-g, g, 5) for dy in np.linspace(-g, g, 5))

    def _place(self, car: _Car, jitter_m: float) -> tuple[Array, Array]:
        """Return position (2,) and driving direction (2,) of a car."""
        edge = self.world.streets.edges[car.edge]
        point, t = edge.at(car.s)
        point = point + (edge.lane_m(car.forward) + jitter_m) * np.array([t[1], -t[0]])
        return point, t if car.forward else -t

    def _advance(self, car: _Car, metres: float, rng: np.random.Generator) -> None:
        """Drive on, choosing streets at random; turn around only where a street ends."""
        edges = self.world.streets.edges
        while True:
            edge = edges[car.edge]
            left = edge.length_m - car.s if car.forward else car.s
            if metres < left:
                car.s += metres if car.forward else -metres
                return
            metres -= left
            node = edge.b if car.forward else edge.a
            onward = [e for e in self.world.streets.at_node[node] if e != car.edge and edges[e].kind != "lane"]
            car.edge = onward[int(rng.integers(len(onward)))] if onward else car.edge
            car.forward = edges[car.edge].a == node
            car.s = 0.0 if car.forward else edges[car.edge].length_m

    def shots(self, drive: int, photos: int = PHOTOS_PER_DRIVE) -> list[Shot]:
        """Return the photos of a drive; they depend only on the town, the split and the drive's number.

        A longer drive begins like a shorter one of the same number, but numbers its photos by its own length.
        """
        rng = np.random.default_rng([self.config.seed, SPLIT_NUMBERS[self.split], drive])
        light = draw_conditions(rng)
        height = float(rng.uniform(1.4, 2.2))
        hfov = float(rng.uniform(60.0, 90.0))
        out: list[Shot] = []
        car = _Car(**vars(self.starts[int(rng.integers(len(self.starts)))]))
        stale = 0.0
        while len(out) < photos:
            jitter = float(np.clip(rng.normal(0.0, 0.35), -0.7, 0.7))
            point, direction = self._place(car, jitter)
            if self.allowed(float(point[0]), float(point[1])):
                stale = 0.0
                index = drive * photos + len(out)
                pose = _look_around(rng, point, direction, height, hfov)
                single = np.random.default_rng([self.config.seed, SPLIT_NUMBERS[self.split], drive, len(out) + 1])
                conditions = replace(light, noise=float(single.uniform(0.8, 4.0)),
                                     blur_px=float(single.uniform(0.4, 0.9)) if single.random() < 0.15 else 0.0,
                                     jpeg_quality=int(single.integers(80, 96)), seed=int(single.integers(2**31)),
                                     vehicles=self._traffic(car, single))
                out.append(Shot(index, drive, pose, conditions))
            gap = float(rng.uniform(2.0, 14.0))
            stale += gap
            if stale > _STALE_M:
                car = _Car(**vars(self.starts[int(rng.integers(len(self.starts)))]))
                stale = 0.0
            else:
                self._advance(car, gap, rng)
        return out

    def _traffic(self, car: _Car, rng: np.random.Generator) -> tuple[Vehicle, ...]:
        count = int(rng.choice(4, p=[0.62, 0.27, 0.09, 0.02]))
        edge = self.world.streets.edges[car.edge]
        found = []
        for place in rng.permutation(3)[:count]:
            gap = float(rng.uniform(7.5, 24.0)) * (-1.0 if place == 2 else 1.0)
            s = car.s + (gap if car.forward else -gap)
            forward = not car.forward if place == 1 else car.forward
            van, seed = bool(rng.random() < 0.2), int(rng.integers(2**31))
            if edge.kind == "canal" and place == 1:
                continue  # the other quay is across the water
            if 3.0 < s < edge.length_m - 3.0:
                point, direction = self._place(_Car(car.edge, s, forward), 0.0)
                bearing = float(np.degrees(np.arctan2(direction[0], direction[1])))
                found.append(Vehicle(float(point[0]), float(point[1]), bearing, van, seed))
        return tuple(found)


def _look_around(rng: np.random.Generator, point: Array, direction: Array, height: float, hfov: float) -> Pose:
    ahead = float(np.degrees(np.arctan2(direction[0], direction[1])))
    if rng.random() < 0.65:
        bearing = ahead + (180.0 if rng.random() < 0.25 else 0.0) + float(rng.uniform(-20.0, 20.0))
    else:
        bearing = float(rng.uniform(0.0, 360.0))
    pitch, roll = (float(np.clip(v, -3.0, 3.0)) for v in rng.normal(0.0, 1.3, 2))
    return Pose(float(point[0]), float(point[1]), height + float(rng.uniform(-0.05, 0.05)), bearing % 360.0, pitch, roll, hfov)


def draw_conditions(rng: np.random.Generator) -> Conditions:
    """Draw the light, weather and camera of a drive."""
    seasons: tuple[Season, ...] = ("spring", "summer", "autumn", "winter")
    weathers: tuple[Weather, ...] = ("clear", "hazy", "overcast", "rain")
    season = seasons[int(rng.choice(4, p=[0.25, 0.42, 0.2, 0.13]))]
    weather = weathers[int(rng.choice(4, p=[0.5, 0.2, 0.2, 0.1]))]
    sight = {"clear": (700.0, 1500.0), "hazy": (180.0, 360.0), "overcast": (400.0, 900.0), "rain": (230.0, 450.0)}[weather]
    return Conditions(
        sun_azimuth_deg=float(rng.uniform(95.0, 265.0)), sun_elevation_deg=float(rng.uniform(25.0, 65.0)), season=season,
        weather=weather, cloud_cover=float(rng.uniform(0.1, 0.75)),
        cloud_offset=(float(rng.uniform(0, 512)), float(rng.uniform(0, 512))),
        red_gain=float(rng.normal(1.0, 0.03)), blue_gain=float(rng.normal(1.0, 0.045)),
        exposure=float(np.exp(np.clip(rng.normal(0.0, 0.12), -0.3, 0.3))), visibility_m=float(rng.uniform(*sight)))


def _block_of(config: CityConfig, x: float, y: float) -> tuple[int, int]:
    return int((y + config.size_m / 2) // config.block_m), int((x + config.size_m / 2) // config.block_m)


def _in_block(reserved: frozenset[tuple[int, int]], config: CityConfig, x: float, y: float) -> bool:
    return _block_of(config, x, y) in reserved


def _val_blocks(places: Array, config: CityConfig) -> frozenset[tuple[int, int]]:
    """Return the blocks reserved for validation: about a fifth of those that streets pass through."""
    counts: dict[tuple[int, int], int] = {}
    for x, y in places:
        block = _block_of(config, float(x), float(y))
        counts[block] = counts.get(block, 0) + 1
    candidates = sorted(block for block, n in counts.items() if n >= 8)
    order = np.random.default_rng([config.seed, 9]).permutation(len(candidates))
    return frozenset(candidates[k] for k in order[:max(1, round(0.2 * len(candidates)))])
