"""What searches and decisions bring: the demo model on photos that it never saw, the same ones for every row.

    python benchmarks/decisions.py FOLDER [--split val] [--shrink 1 6] [--closeness 0.1] [--calibration FILE]

FOLDER gets the demo's town with its 400 held-out photos (`val`) and 1 000 more of other drives (`held_out`) if it is not there.
`--shrink 6` takes every photo through a sixth of its width and height: a harder setting. Differences are to the first row, over
the same photos; intervals are 95 % bootstrap intervals over drives.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from confidence import drives_of
from justzoomin.apps.demo import demo_city, packaged_model
from justzoomin.city import build_city
from justzoomin.data import Dataset, framed_photo, halves, open_dataset, to_tensor
from justzoomin.geometry import haversine_m
from justzoomin.models import ZoomModel
from justzoomin.posterior import Calibration, Decision, Within, decide, parse_decision
from justzoomin.search import Localizer, beam, greedy

BATCH, BEAM, MORE, RESAMPLES = 32, 4, 1000, 2000
Points = tuple[np.ndarray, np.ndarray]


def pictures(dataset: Dataset, ids: list[str], model: ZoomModel, shrink: int) -> torch.Tensor:
    """Photos as uint8 halves (B, 2, 3, n, n), perhaps shrunk and blown up again."""
    found, config, cameras = [], model.config, dataset.cameras(ids)
    for image_id in ids:
        data = dataset.photos.read(image_id)
        if shrink > 1:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            size = (image.shape[1], image.shape[0])
            small = cv2.resize(image, (size[0] // shrink, size[1] // shrink), interpolation=cv2.INTER_AREA)
            data = cv2.imencode(".png", cv2.resize(small, size, interpolation=cv2.INTER_LINEAR))[1].tobytes()
        found.append(halves(to_tensor(framed_photo(data, image_id, config.photo_pixels, config.photo_decode, config.frame,
                                                   cameras.get(image_id)).pixels)))
    return torch.stack(found)


def answers(localizer: Localizer, dataset: Dataset, ids: list[str], shrink: int,
            decisions: dict[str, Decision]) -> dict[str, Points]:
    """Latitudes and longitudes (N,) of each row of the table."""
    model, grid, vectors = localizer.model, localizer.grid, localizer.vectors
    paths: dict[str, list[np.ndarray]] = {"greedy": [], f"beam:{BEAM}": []}
    believed = []
    for start in range(0, len(ids), BATCH):
        pairs = pictures(dataset, ids[start:start + BATCH], model, shrink)
        photos = localizer.encode(pairs)
        paths["greedy"].append(greedy(model, photos, vectors, grid.depth).sequences.numpy())
        paths[f"beam:{BEAM}"].append(beam(model, photos, vectors, grid.depth, BEAM).sequences[:, 0].numpy())
        believed.append(localizer.log_probs(pairs))
    log_probs = np.concatenate(believed)
    return {**{name: grid.centres(np.concatenate(found)) for name, found in paths.items()},
            **{name: decide(grid, log_probs, decision) for name, decision in decisions.items()}}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--shrink", type=int, nargs="+", default=[1, 6])
    parser.add_argument("--closeness", type=float, nargs="+", help="compare these instead of the decisions' own")
    parser.add_argument("--calibration", type=Path)
    options = parser.parse_args()

    if not options.folder.exists():
        build_city(options.folder, demo_city(16).model_copy(update={"held_out": MORE}))
    dataset = open_dataset(options.folder)
    calibration = Calibration.load(options.calibration) if options.calibration else None
    localizer = Localizer(ZoomModel.from_pretrained(packaged_model()), dataset.map, search="posterior", calibration=calibration)
    decisions = {f"posterior, {d}": parse_decision(d) for d in ("top", "within:20", "within:40", "distance")}
    if options.closeness:
        decisions = {f"within:{r:g}, closeness {c:g}": Within(r, c) for r in (20.0, 40.0) for c in options.closeness}
    records = dataset.split(options.split)
    drives = np.unique(drives_of(dataset, records.image_ids), return_inverse=True)[1]
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, drives.max() + 1, (RESAMPLES, drives.max() + 1))
    weights = np.stack([np.bincount(d, minlength=drives.max() + 1) for d in drawn])[:, drives]        # (R, N)
    true = dataset.grid.flatten(dataset.sequences(options.split))

    def change(values: np.ndarray) -> str:
        """Return a mean difference with its interval."""
        low, high = np.percentile(weights @ values / weights.sum(1), [2.5, 97.5])
        return f"{values.mean():+6.2f} [{low:+.2f}, {high:+.2f}]"

    for shrink in options.shrink:
        print(f"\n{len(records)} photos of {drives.max() + 1} drives, shrunk {shrink} times, "
              f"{'calibrated' if calibration else 'not calibrated'}\n"
              f"{'':28}{'R@1':>7}{'R@20m':>7}{'R@40m':>7}{'median m':>10}{'mean m':>8}   "
              "to the first row: R@20m, R@40m in points, mean in m")
        first = None
        for name, (lat, lon) in answers(localizer, dataset, records.image_ids, shrink, decisions).items():
            errors = haversine_m(lat, lon, records.lat, records.lon)
            hit = dataset.grid.flatten(dataset.grid.encode(lat, lon)) == true
            first = errors if first is None else first
            near = [f"{100 * (errors <= r).mean():7.1f}" for r in (20, 40)]
            changes = [change(100.0 * (1.0 * (errors <= r) - (first <= r))) for r in (20, 40)]
            print(f"{name:28}{100 * hit.mean():7.1f}{''.join(near)}{np.median(errors):10.2f}{errors.mean():8.2f}   "
                  + "   ".join([*changes, change(errors - first)]), flush=True)


if __name__ == "__main__":
    main()
