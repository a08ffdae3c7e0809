"""What a drive's photos gain from each other: the demo model on drives that it never saw, single photos against the filter.

    python benchmarks/drives.py FOLDER [--drives 40] [--photos 20] [--shrink 1 4] [--calibration FILE]

FOLDER gets the demo's town, or that of --seed, if it is not there. Drives are those of the validation router from number 200
on, without those in which the car leaves the town and comes back elsewhere (`--jumps` keeps these). Photos are a second apart
(more where a way is longer than 14 m), the speed limit is 15 m/s, odometry has an error of 5 % of the way, fields of view are
known. `--shrink 4` takes every photo through a quarter of its width and height: a harder setting. Intervals are 95 % bootstrap
intervals over drives.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from justzoomin.apps.demo import SEED, demo_city, packaged_model
from justzoomin.city import build_city
from justzoomin.city.build import positions
from justzoomin.city.camera import render_photo
from justzoomin.city.drives import Router, Shot
from justzoomin.city.world import build_world
from justzoomin.data import PhotoCamera, framed_photo, halves, normalize, to_tensor
from justzoomin.geometry import ZoomGrid, haversine_m
from justzoomin.maps import GridViews, Map
from justzoomin.models import ZoomModel
from justzoomin.posterior import Calibration, Claims, Distance, Motion, Posterior, decide, lattice, odometry, speed_limit, track
from justzoomin.search import ViewVectors, scorer

FIRST_DRIVE, JUMP_M, SPEED, DRIFT = 200, 70.0, 15.0, 0.05
RESAMPLES = 2000


def drives_of(router: Router, count: int, photos: int, farthest_m: float) -> list[list[Shot]]:
    """Return the first drives without a jump over more metres than these."""
    found: list[list[Shot]] = []
    number = FIRST_DRIVE
    while len(found) < count:
        shots = router.shots(number, photos)
        number += 1
        if steps_m(shots).max() <= farthest_m:
            found.append(shots)
    return found


def steps_m(shots: list[Shot]) -> np.ndarray:
    """Lengths (T - 1,) between the photos."""
    return np.asarray(np.hypot(np.diff([s.pose.east_m for s in shots]), np.diff([s.pose.north_m for s in shots])))


def picture(world: object, shot: Shot, size: tuple[int, int], shrink: int) -> bytes:
    """Return a photo as JPEG, optionally shrunk and enlarged again."""
    image = render_photo(world, shot.pose, shot.conditions, *size)  # type: ignore[arg-type]
    if shrink > 1:
        small = cv2.resize(image, (size[0] // shrink, size[1] // shrink), interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, shot.conditions.jpeg_quality])
    assert done
    return data.tobytes()


def motions(shots: list[Shot], grid: ZoomGrid, kind: str, seed: int, *, seconds: float | None) -> list[Motion]:
    """Return what is known about the motion between the photos of a drive."""
    cells, rng = lattice(grid), np.random.default_rng(seed)
    if kind == "speed":
        return [speed_limit(cells, max(1.0, np.ceil(step / 14.0)) if seconds is None else seconds, SPEED)
                for step in steps_m(shots)]
    ways = np.stack([np.diff([s.pose.east_m for s in shots]), np.diff([s.pose.north_m for s in shots])], 1)
    errors = DRIFT * steps_m(shots)
    seen = ways + rng.normal(0, 1, ways.shape) * errors[:, None]
    return [odometry(cells, float(e), float(n), 1.0 + error) for (e, n), error in zip(seen, errors.tolist(), strict=True)]


def figure(values: np.ndarray, of: object) -> str:
    """Return a statistic of values (drives, photos) with its interval over drives."""
    rng = np.random.default_rng(0)
    draws = [of(values[rng.integers(0, len(values), len(values))]) for _ in range(RESAMPLES)]  # type: ignore[operator]
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{of(values):6.2f} [{low:.2f}, {high:.2f}]"  # type: ignore[operator]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--drives", type=int, default=40)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--shrink", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--tempering", type=float, nargs="+", default=[0.35, 0.5, 0.7, 1.0])
    parser.add_argument("--jumps", action="store_true")
    parser.add_argument("--seconds", type=float, help="claim so many seconds between any two photos, whatever the way")
    parser.add_argument("--seed", type=int, default=SEED, help="of the town; the model never saw any but the demo's")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    config = demo_city(16, 16, options.seed)
    if not options.folder.exists():
        build_city(options.folder, config)
    model = ZoomModel.from_pretrained(packaged_model())
    settings = model.config
    calibration = Calibration.load(options.calibration) if options.calibration else None
    if calibration:
        calibration.require_model(model.fingerprint())
    source = Map.open(options.folder)
    grid = source.grid
    score = scorer(model, ViewVectors(model, GridViews(source, grid, model.config.image_pixels)))
    world = build_world(config.seed, config.size_m, config.districts)
    drives = drives_of(Router(world, config, "val"), options.drives, options.photos,
                       np.inf if options.jumps else JUMP_M)
    places = [positions(np.array([s.pose.east_m for s in d]), np.array([s.pose.north_m for s in d])) for d in drives]
    results = {}
    for shrink in options.shrink:
        alone = []
        for shots in drives:
            jpegs = [picture(world, s, (config.photo_width, config.photo_height), shrink) for s in shots]
            pairs = torch.stack([halves(to_tensor(framed_photo(jpeg, "photo", settings.photo_pixels, settings.photo_decode,
                                                               settings.frame, PhotoCamera(s.pose.hfov_deg)).pixels))
                                 for jpeg, s in zip(jpegs, shots, strict=True)])
            with torch.inference_mode():
                photos = model.encode_photos(normalize(pairs, model.config.mean, model.config.std))
            scores = score(photos)
            part = calibration.part(same_map=options.seed == SEED) if calibration else None
            alone.append(part.apply(grid, scores) if part else scores.astype(np.float64))

        rows: dict[str, list[list[Posterior]]] = {"single photos": [[Posterior.of(grid, p) for p in a] for a in alone]}
        for kind in ("speed", "odometry"):
            for tempering in options.tempering:
                for smooth in (False, True):
                    rows[f"{kind}, {'smoothed' if smooth else 'forward'}, {tempering:g}"] = [
                        track(grid, a, motions(d, grid, kind, n, seconds=options.seconds), smooth=smooth,
                              tempering=tempering)
                        for n, (a, d) in enumerate(zip(alone, drives, strict=True))]
        print(f"{len(drives)} drives of {options.photos} photos, shrunk by {shrink}, "
              f"{'calibrated' if calibration else 'not calibrated'}")
        print(f"{'':28}{'median m':>9}{'mean m':>22}{'90 % region holds':>30}")
        for name, found in rows.items():
            errors, inside = [], []
            for posteriors, (lat, lon) in zip(found, places, strict=True):
                errors.append(haversine_m(*decide(grid, np.stack([p.log_probs for p in posteriors]), Distance()), lat, lon))
                claims = Claims.of(grid, np.stack([p.log_probs for p in posteriors]), grid.flatten(grid.encode(lat, lon)))
                inside.append(claims.above < 0.9)
            values, held = np.array(errors), 100.0 * np.array(inside)
            results[f"shrink {shrink}: {name}"] = {"median_m": float(np.median(values)), "mean_m": float(values.mean()),
                                                   "coverage_90": float(held.mean())}
            print(f"{name:28}{figure(values, np.median):22}{figure(values, np.mean):22}{held.mean():5.1f} %", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
