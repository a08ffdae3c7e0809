"""Whether a calibrated model holds what it claims on photos that calibrated nothing, and sees photos of another town.

    jzi data synth TOWN --seed 7 --size-m 320 --photos 16 --val-photos 400 --held-out 4000 --photo-width 192 --photo-height 108
    jzi data synth OTHER --seed 3 --size-m 320 --photos 16 --val-photos 400 --photo-width 192 --photo-height 108
    jzi calibrate MODEL --data TOWN --split held_out --out calibration.json
    python benchmarks/confidence.py MODEL TOWN OTHER calibration.json

Intervals of coverage are 95 % bootstrap intervals over drives.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from justzoomin.data import Dataset, open_dataset
from justzoomin.evaluation import posteriors
from justzoomin.maps import GridViews
from justzoomin.models import ZoomModel
from justzoomin.posterior import Calibration, Claims, auroc, figures, lattice, on_map_score, risk_coverage
from justzoomin.search import ViewVectors

SPLIT, WRONG_M, RESAMPLES = "val", 40.0, 2000


def over_drives(hits: np.ndarray, drives: np.ndarray) -> str:
    """Return a share in percent with its interval, whole drives drawn again."""
    names, number = np.unique(drives, return_inverse=True)
    right, all_of = np.bincount(number, hits), np.bincount(number)
    rng = np.random.default_rng(0)
    draws = [right[k].sum() / all_of[k].sum() for k in rng.integers(0, len(names), (RESAMPLES, len(names)))]
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{100 * hits.mean():5.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def drives_of(dataset: Dataset, ids: list[str]) -> np.ndarray:
    """Return the drive of each photo."""
    path = dataset.root / "streetview" / "metadata_satellite_covered.csv"
    table = pl.read_csv(path, schema_overrides={"image_id": pl.String})
    known = dict(zip(table["image_id"].to_list(), table["sequence_id"].to_list(), strict=True))
    return np.array([known[i] for i in ids])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "town", "other", "calibration"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    model = ZoomModel.from_pretrained(options.model)
    loaded = Calibration.load(options.calibration)
    loaded.require_model(model.fingerprint(), options.calibration)
    calibration = loaded.one_map
    if calibration is None:
        parser.error(f"{options.calibration} has no calibration of one map")
    here, other = open_dataset(options.town), open_dataset(options.other)
    grid = here.grid
    vectors = ViewVectors(model, GridViews(here.map, grid, model.config.image_pixels))
    ids = here.split(SPLIT).image_ids
    raw, far = (np.concatenate(list(posteriors(model, data, data.split(SPLIT).image_ids, vectors, 32))).astype(np.float64)
                for data in (here, other))
    true, drives = grid.flatten(here.sequences(SPLIT)), drives_of(here, ids)
    on, off = calibration.apply(grid, raw), calibration.apply(grid, far)
    print(f"{len(ids)} photos of {len(np.unique(drives))} drives")
    for name, log_probs in (("before", raw), ("temperatures and tails", on)):
        claims = Claims.of(grid, log_probs, true)
        found = figures(claims)
        print(f"{name:24}nll {found['nll']:.3f}  ece top cell {100 * found['ece_top_cell']:.1f} %  within 40 m "
              f"{100 * found['ece_within_40m']:.1f} %")
        for level in (0.5, 0.9, 0.95):
            print(f"    {100 * level:g} % region holds {over_drives(claims.above < level, drives)} %")
    for measure in ("entropy", "top"):
        print(f"another town, {measure}: AUROC {auroc(on_map_score(on, measure), on_map_score(off, measure)):.3f}")
    print(f"on the map, it says: {100 * calibration.on_map(on).mean():.1f} % of these photos, "
          f"{100 * calibration.on_map(off).mean():.1f} % of the other town's")
    cells, top = lattice(grid), on.argmax(1)
    wrong = np.hypot(cells.east_m[top] - cells.east_m[true], cells.north_m[top] - cells.north_m[true]) > WRONG_M
    covered, risk = risk_coverage(on_map_score(on), wrong)
    print("answered, the surest first -> more than 40 m off: " + ", ".join(
        f"{100 * share:.0f} % -> {100 * risk[np.searchsorted(covered, share)]:.1f} %" for share in (0.25, 0.5, 0.75, 0.9, 1.0)))


if __name__ == "__main__":
    main()
