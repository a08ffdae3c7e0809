"""What a camera, a heading and the other photos of a drive add on new ground: share of photos within 40 m, packaged model.

    python benchmarks/accuracy/make_set.py areas SETS/areas
    python benchmarks/accuracy/known_more.py SETS/areas/score-320-* SETS/areas/score-1280-*

Five ways to ask, with the packaged calibration and the decision within 40 m: the photo alone, of an unknown camera; with the
field of view that the dataset states, as EXIF has it; with its pitch and roll, too, as in all ways that follow; with a compass
whose error has a standard deviation of 20 degrees (drawn once for each photo); with the other photos of its group, eight
successive photos of a drive, and odometry with an error of 5 % of the way and at least a metre (smoothed, so later photos count
too); there it is the share of groups whose middle photo is within 40 m. The last three columns are the share of photos in their
regions of 90 %, because the calibration was fitted on known cameras. In brackets 95 % bootstrap intervals over towns.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from justzoomin.apps.shared.demo_names import packaged_model
from justzoomin.data import Dataset, PhotoCamera, drives_of, open_dataset
from justzoomin.errors import JustZoomInError
from justzoomin.files import write_json
from justzoomin.geometry import haversine_m, to_local
from justzoomin.posterior import Claims, HeadingPrior, lattice, odometry, track
from justzoomin.scoring import decider
from justzoomin.search import Localizer
from justzoomin.search.photo_loading import LoadedPhoto, load_photo

TOGETHER, SIGMA_DEG, DRIFT, LEAST_M, RADIUS_M, REGION, BATCH, DRAWS = 8, 20.0, 0.05, 1.0, 40.0, 0.9, 16, 2000
CAMERAS = ("camera unknown", "tilt unknown", "camera known")
HEADING, DRIVE = "with a heading", "eight photos of a drive"
HOLDS = {name: f"90 % regions hold, {name}" for name in CAMERAS}
WAYS = (*CAMERAS, HEADING, DRIVE, *HOLDS.values())


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("towns", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, default=packaged_model())
    parser.add_argument("--photos", type=int, default=128, help="photos of each town, the first")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[int, list[list[float]]] = defaultdict(list)
    for path in options.towns:
        town = open_dataset(path)
        found[round(town.grid.region.size_m)].append(shares(options.model, town, options.photos))
        print(path.name, *(f"{100 * share:.1f}" for share in found[round(town.grid.region.size_m)][-1]), flush=True)
    rows = []
    for size, towns in sorted(found.items()):
        values = np.array(towns)
        drawn = values[np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))].mean(1)
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        rows.append({"size_m": size, "towns": len(values), **{
            way: [float(v) for v in (values.mean(0)[k], low[k], high[k])] for k, way in enumerate(WAYS)}})
    print(f"\n| side | towns | {' | '.join(WAYS)} |\n|---|---|{'---|' * len(WAYS)}")
    for row in rows:
        cells = (f"{100 * row[way][0]:.1f} [{100 * row[way][1]:.1f}, {100 * row[way][2]:.1f}]" for way in WAYS)
        print(f"| {row['size_m']} m | {row['towns']} | {' | '.join(cells)} |")
    if options.json:
        write_json(rows, options.json)


def shares(model: Path, town: Dataset, count: int) -> list[float]:
    """Return the shares of photos, or of groups, within 40 m in the five ways, and of photos in their regions."""
    records, rng = town.split("val"), np.random.default_rng(0)
    ids = records.image_ids[:count]
    places = np.stack([records.lat, records.lon])[:, :len(ids)]
    bearings = town.bearings("val")[:len(ids)]
    where = Localizer.load(model, town.root, search="posterior")
    decide = decider(town.grid, f"within:{RADIUS_M:g}")
    assert decide is not None
    cells, hits, known = [], defaultdict(list), town.cameras(ids)
    cameras = ({}, {image_id: PhotoCamera(camera.fov_deg) for image_id, camera in known.items()}, known)
    for start in range(0, len(ids), BATCH):
        here = slice(start, start + BATCH)
        true = town.grid.flatten(town.grid.encode(*places[:, here]))
        beliefs = [where.beliefs(_loaded(where, town, ids[here], each)) for each in cameras]
        told = [HeadingPrior((b + rng.normal(0, SIGMA_DEG)) % 360.0, SIGMA_DEG) for b in bearings[here].tolist()]
        for name, found in zip(CAMERAS, beliefs, strict=True):
            hits[HOLDS[name]] += (Claims.of(town.grid, found.log_probs, true).above < REGION).tolist()
        for way, found in zip((*CAMERAS, HEADING), (*beliefs, where.posteriors.with_prior(beliefs[-1], told)), strict=True):
            hits[way] += (haversine_m(*decide(found.log_probs)[0].T, *places[:, here]) <= RADIUS_M).tolist()
        cells.append(beliefs[-1].log_probs)
    log_probs = np.concatenate(cells)
    for group in groups(drives_of(town, "val") or [], len(ids)):
        east, north = to_local(*town.grid.region.centre, *places[:, group])
        motions = []
        for e, n in zip(np.diff(east).tolist(), np.diff(north).tolist(), strict=True):
            error = DRIFT * math.hypot(e, n)
            motions.append(odometry(lattice(town.grid), e + rng.normal(0, error), n + rng.normal(0, error), LEAST_M + error))
        middle = track(town.grid, log_probs[group], motions)[TOGETHER // 2]
        answer = decide(middle.log_probs[None])[0][0]
        hits[DRIVE].append(bool(haversine_m(*answer, *places[:, group[TOGETHER // 2]]) <= RADIUS_M))
    return [float(np.mean(hits[way])) for way in WAYS]


def _loaded(where: Localizer, town: Dataset, ids: list[str], cameras: Mapping[str, PhotoCamera]) -> list[LoadedPhoto]:
    """Return photos prepared for the model, with the cameras that are known."""
    found = [load_photo(town.photos.read(image_id), where.model.config, {}, cameras.get(image_id)) for image_id in ids]
    photos = [photo for photo in found if not isinstance(photo, JustZoomInError)]
    assert len(photos) == len(found)
    return photos


def groups(drives: list[str], count: int) -> Iterator[list[int]]:
    """Yield the indices of `TOGETHER` successive photos of a drive, each photo in one group at most."""
    by_drive: dict[str, list[int]] = defaultdict(list)
    for index, drive in enumerate(drives[:count]):
        by_drive[drive].append(index)
    for members in by_drive.values():
        for start in range(0, len(members) - TOGETHER + 1, TOGETHER):
            yield members[start:start + TOGETHER]


if __name__ == "__main__":
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the model was not trained on these towns is what is asked
        sys.exit(main())
