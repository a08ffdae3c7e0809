"""How much weight the zoomer of the packaged model should have beside its matcher, in its own town.

    python benchmarks/zoom_weight.py FOLDER

400 photos of the split `held_out`, on which the calibration is fitted: neither trained on nor those of the demo's table. For
each weight the temperature that suits it best; decision within 40 m.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from justzoomin.apps.demo import demo_city
from justzoomin.apps.shared.demo_names import packaged_model
from justzoomin.city import build_city
from justzoomin.data import open_dataset
from justzoomin.evaluation import posteriors
from justzoomin.geometry import haversine_m
from justzoomin.models import open_model
from justzoomin.posterior import log_normalized
from justzoomin.scoring import decider
from justzoomin.search import ViewVectors, views_of

WEIGHTS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
TEMPERATURES = (0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
PHOTOS, DRIVE = 400, 16


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    config = demo_city(1, 1).model_copy(update={"held_out": PHOTOS})
    town = open_dataset(build_city(parser.parse_args().folder, config))
    model, records = open_model(packaged_model()).eval(), town.split("held_out")
    assert model.matcher is not None
    found = {}
    for weight in (0.0, 1.0):  # the others follow, because scores are added
        model.matcher.config = model.matcher.config.model_copy(update={"zoom_weight": weight})
        vectors = ViewVectors(model, views_of(model, town.map, town.grid))
        with torch.inference_mode():
            found[weight] = np.concatenate(list(posteriors(model, town, records.image_ids, vectors, 32))).astype(np.float64)
    true, places = town.grid.flatten(town.sequences("held_out")), np.stack([records.lat, records.lon])
    decide = decider(town.grid, "within:40")
    assert decide is not None
    print("| weight | R@40m % | R@20m % | nats | temperature |\n|---|---|---|---|---|")
    for weight in WEIGHTS:
        scores = found[0.0] + weight * (found[1.0] - found[0.0])
        lost = {t: float(-log_normalized(scores / t)[np.arange(len(true)), true].mean()) for t in TEMPERATURES}
        best = min(lost, key=lambda t: lost[t])
        errors = haversine_m(*decide(log_normalized(scores / best))[0].T, *places)
        drives = [float((part <= 40.0).mean()) for part in np.split(errors, PHOTOS // DRIVE)]
        print(f"| {weight:g} | {100 * np.mean(drives):.1f} ± {100 * np.std(drives) / len(drives)**0.5:.1f} | "
              f"{100 * (errors <= 20.0).mean():.1f} | {lost[best]:.2f} | {best:g} |")


if __name__ == "__main__":
    main()
