"""What cameras cost and a known camera brings: the packaged model, whose matcher learned from known cameras, on other cameras.

    python benchmarks/camera.py FOLDER [--photos 60] [--seeds 21 22]

In each new synthetic town the same places are photographed by several cameras. Every photo is brought into the model's frame
with its true field of view, pitch and roll (`crop`, as it learned; `fit`), and without knowing them (`crop, unknown`), or it is
squeezed to 2:1, as zoomers see it (`squeeze`). Rows are R@40m of the decision within:40 and nats of the true cell, before any
calibration.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from justzoomin.apps.shared.demo_names import packaged_model
from justzoomin.city import CityConfig, Pose, Router, Shot, build_city, build_world, positions, render_photo
from justzoomin.data import Frame, PhotoCamera, halves, to_tensor
from justzoomin.data.framing import framed
from justzoomin.data.transforms import plain_resize
from justzoomin.geometry import haversine_m
from justzoomin.maps import Map
from justzoomin.models import open_model
from justzoomin.posterior import decide, log_normalized, parse_decision
from justzoomin.search import Localizer

Pixels = npt.NDArray[np.uint8]
CAMERAS = {  # width, height, field of view, further pitch and roll in degrees; None for the shot's own field of view
    "16:9, 60 to 90 degrees, as trained": (192, 108, None, 0.0, 0.0),
    "16:9, 50 degrees": (192, 108, 50.0, 0.0, 0.0),
    "16:9, 105 degrees": (192, 108, 105.0, 0.0, 0.0),
    "4:3, 65 degrees": (192, 144, 65.0, 0.0, 0.0),
    "4:3, 100 degrees": (192, 144, 100.0, 0.0, 0.0),
    "3:4, 50 degrees": (144, 192, 50.0, 0.0, 0.0),
    "16:9, 75 degrees, pitch 8, roll 8": (192, 108, 75.0, 8.0, 8.0),
}
WAYS = ("crop", "crop, unknown", "fit", "squeeze")


def shots(router: Router, count: int) -> list[Shot]:
    """Return shots spread over drives."""
    def every() -> Iterator[Shot]:
        drive = 0
        while True:
            yield from router.shots(drive)[::4]
            drive += 1

    return list(islice(every(), count))


def prepared(image: Pixels, way: str, pixels: int, pose: Pose) -> Pixels:
    """Return a photo at the model's size by one of the ways."""
    camera = PhotoCamera(pose.hfov_deg, pose.pitch_deg, pose.roll_deg)
    if way == "squeeze":
        return plain_resize(image, (pixels, 2 * pixels))
    if way == "crop, unknown":
        return framed(image, Frame("crop", 75.0), pixels)[0]
    return framed(image, Frame(way, 75.0), pixels, camera)[0]  # type: ignore[arg-type]


def measure(localizer: Localizer, photos: list[tuple[Pixels, Pose]], way: str, true: npt.NDArray[np.float64],
            cells: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the errors in metres and the nats of the true cells."""
    pixels = localizer.model.config.photo_pixels
    pairs = torch.stack([halves(to_tensor(prepared(image, way, pixels, pose))) for image, pose in photos])
    pairs = pairs.repeat(1, len(localizer.model.config.frame.parts), 1, 1, 1)  # the zoomer has no weight in new towns
    score = localizer.posteriors.score
    found = np.concatenate([log_normalized(score(localizer.encode(some)).astype(np.float64)) for some in pairs.split(16)])
    lat, lon = decide(localizer.grid, found, parse_decision("within:40"))
    return haversine_m(lat, lon, true[:, 0], true[:, 1]), -found[np.arange(len(found)), cells]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    model = open_model(packaged_model())
    results: dict[tuple[str, str], list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]] = {}
    for seed in options.seeds:
        config = CityConfig(seed=seed, size_m=320.0, photos=16, val_photos=16, depth=3, photo_width=192, photo_height=108)
        root = build_city(options.folder / f"town-{seed}", config)
        localizer = Localizer(model, Map.open(root), search="posterior")
        world = build_world(seed, config.size_m)
        taken = shots(Router(world, config, "val"), options.photos)
        true = np.stack(positions(np.array([s.pose.east_m for s in taken]), np.array([s.pose.north_m for s in taken])), 1)
        cells = localizer.grid.flatten(localizer.grid.encode(true[:, 0], true[:, 1]))
        for name, (width, height, fov, pitch, roll) in CAMERAS.items():
            poses = [replace(s.pose, hfov_deg=fov or s.pose.hfov_deg, pitch_deg=s.pose.pitch_deg + pitch,
                             roll_deg=s.pose.roll_deg + roll) for s in taken]
            photos = [(render_photo(world, pose, s.conditions, width, height), pose)
                      for pose, s in zip(poses, taken, strict=True)]
            for way in WAYS:
                results.setdefault((name, way), []).append(measure(localizer, photos, way, true, cells))
    print("| camera | " + " | ".join(WAYS) + " |\n|---|" + "---|" * len(WAYS))
    for name in CAMERAS:
        row = []
        for way in WAYS:
            errors, nats = (np.concatenate(part) for part in zip(*results[name, way], strict=True))
            row.append(f"{100 * np.mean(errors <= 40):.1f} % {nats.mean():.2f}")
        print(f"| {name} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
