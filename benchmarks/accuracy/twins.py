"""How often a place in a synthetic town has a twin elsewhere, with and without districts.

    python benchmarks/accuracy/twins.py 320 640 1280 2560 --seeds 9300

A place is a disc of 40 m radius, as the packaged demo model describes the overhead image: the means of its features and
their spread in three rings, which do not depend on how the place is turned. A second look is the same place from another
flight, in other light, turned by 90 degrees, 3 m beside. A place has a twin if some place at least 80 m away, on a lattice
of 10 m, is as near to the second look as the place itself. Places are on streets, drawn at random.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.apps.demo import packaged_model
from justzoomin.city import CityConfig, Router, World, build_world, render_overhead
from justzoomin.city.overhead import FLIGHT
from justzoomin.data import normalize
from justzoomin.models import ZoomModel

Numbers = npt.NDArray[np.float32]
RINGS_M = (0.0, 12.0, 24.0, 40.0)
STEP_M, APART_M, ASIDE_M = 10.0, 80.0, 3.0
OTHER_FLIGHT = replace(FLIGHT, sun_azimuth_deg=216.0, sun_elevation_deg=39.0, weather="hazy", exposure=0.86)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+", help="sides of the towns in metres")
    parser.add_argument("--seeds", type=int, nargs="+", default=[9300])
    parser.add_argument("--places", type=int, default=400)
    parser.add_argument("--districts", nargs="+", choices=("no", "yes"), default=("no", "yes"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = ZoomModel.from_pretrained(packaged_model()).eval()
    print("size  districts  seed  places  with a twin %  distance: best twin / own  seconds")
    for size in arguments.sizes:
        for districts in arguments.districts:
            for seed in arguments.seeds:
                started = time.process_time()
                found = twins(model, build_world(seed, float(size), districts == "yes"), arguments.places)
                print(f"{size:4}  {districts:9}  {seed:4}  {len(found):6}  {100 * (found <= 1).mean():13.1f}"
                      f"  {np.median(found):25.2f}  {time.process_time() - started:7.0f}", flush=True)


def twins(model: ZoomModel, world: World, places: int) -> npt.NDArray[np.float64]:
    """Return the distance of the best twin of each place from its second look, divided by that of the place itself."""
    rng = np.random.default_rng([world.seed, 40])
    edge = world.size_m / 2 - RINGS_M[-1]
    axis = np.arange(-edge, edge + 0.1, STEP_M)
    gallery = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    starts = Router(world, CityConfig(seed=world.seed, size_m=world.size_m), "val").starts
    asked = np.array([world.streets.edges[start.edge].at(start.s)[0] for start in starts])
    asked = asked[(np.abs(asked) < edge - ASIDE_M).all(axis=1)]
    asked = asked[rng.choice(len(asked), min(places, len(asked)), replace=False)]
    first = _described(model, world, turned=False)
    elsewhere = _discs(first, world, gallery)
    scale = elsewhere.std(axis=0) + 1e-6
    angle = rng.uniform(0, 2 * np.pi, len(asked))
    beside = asked + ASIDE_M * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    again = _discs(_described(model, world, turned=True), world, beside) / scale
    own = np.linalg.norm(_discs(first, world, asked) / scale - again, axis=1)
    elsewhere /= scale
    found = []
    for place, look, distance in zip(asked, again, own, strict=True):
        apart = np.hypot(*(gallery - place).T) >= APART_M
        found.append(float(np.linalg.norm(elsewhere[apart] - look, axis=1).min() / distance))
    return np.array(found)


def _described(model: ZoomModel, world: World, *, turned: bool) -> Numbers:
    """Return features (channels, n, n) of the town, north-west first; a second look turns each picture by 90 degrees."""
    assert model.matcher is not None
    config, settings = model.matcher.config, model.config
    place_m, window_m, margin_m = model.matcher.place_m, config.window_m, config.margin_m
    inner, margin = round(window_m / place_m), round(margin_m / place_m)
    side = round(world.size_m / window_m)
    whole = np.empty((config.channels, side * inner, side * inner), np.float32)
    for row in range(side):
        for col in range(side):
            west, north = -world.size_m / 2 + col * window_m - margin_m, world.size_m / 2 - row * window_m + margin_m
            span = window_m + 2 * margin_m
            picture = render_overhead(world, (west, west + span), (north - span, north), config.metres_per_pixel,
                                      OTHER_FLIGHT if turned else FLIGHT)
            tensor = normalize(torch.from_numpy(picture).permute(2, 0, 1)[None], settings.mean, settings.std)[0]
            with torch.inference_mode():
                places = model.describe_ground(tensor.rot90(1, (1, 2)) if turned else tensor).places
            if turned:
                places = places.rot90(-1, (1, 2))
            whole[:, row * inner:(row + 1) * inner, col * inner:(col + 1) * inner] = \
                places[:, margin:margin + inner, margin:margin + inner].numpy()
    return whole


def _discs(features: Numbers, world: World, middles: npt.NDArray[np.float64]) -> Numbers:
    """Return means and spreads (n, 2 rings channels) of the features in rings about middles (n, 2)."""
    place_m = world.size_m / features.shape[1]
    reach = int(RINGS_M[-1] / place_m)
    offsets = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)], indexing="ij"), axis=-1).reshape(-1, 2)
    away = np.hypot(*offsets.T) * place_m
    rows = np.floor((world.size_m / 2 - middles[:, 1]) / place_m).astype(int)
    cols = np.floor((world.size_m / 2 + middles[:, 0]) / place_m).astype(int)
    limit = features.shape[1] - 1
    found = []
    for near, far in pairwise(RINGS_M):
        ring = offsets[(away >= near) & (away < far)]
        total = np.zeros((features.shape[0], len(middles)), np.float32)
        squares = np.zeros_like(total)
        for down, right in ring:
            values = features[:, np.clip(rows + down, 0, limit), np.clip(cols + right, 0, limit)]
            total += values
            squares += values * values
        mean = total / len(ring)
        found += [mean, np.sqrt(np.maximum(squares / len(ring) - mean * mean, 0.0))]
    return np.concatenate(found).T


if __name__ == "__main__":
    main()
