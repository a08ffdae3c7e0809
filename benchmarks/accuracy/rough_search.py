"""What a search that looks closely at the heaviest tiles only loses against the full one, in accuracy and in the posterior.

    python benchmarks/accuracy/rough_search.py SETS/areas/score-1280-* SETS/areas/score-2560-*

For every town: R@40m of the decision within 40 m, nats of the true cell, and half the absolute difference of both posteriors
(total variation), each of posteriors divided by `--temperature`, about what a calibration divides them by on such maps.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from justzoomin.apps.demo import packaged_model
from justzoomin.data import Dataset, open_dataset
from justzoomin.evaluation.batches import photo_batches
from justzoomin.geometry import haversine_m
from justzoomin.models import MapModel, open_model
from justzoomin.posterior import decide, parse_decision
from justzoomin.search import EVERYTHING, Budget, GroundMap, photo_vectors


@torch.inference_mode()
def compare(model: MapModel, town: Dataset, temperature: float, limit: int | None) -> list[np.ndarray]:
    """Return of photos (P,): whether it is found, full and rough, nats of both, total variation, processor seconds of both."""
    records = town.split("val")
    ids, true = list(records.image_ids)[:limit], town.grid.flatten(town.sequences("val"))[:limit]
    ground = GroundMap(model, town.map, town.grid)
    ground.describe()
    next(ground.pose_scores(torch.zeros(1, model.matcher.size), Budget()))  # reads the rough level
    rows = []
    for k, pair in enumerate(photo_batches(model.config, town, ids, 1)):
        fan, row, posteriors = model.fans(photo_vectors(model, pair)), [], []
        for budget in (EVERYTHING, Budget(temperature=temperature)):
            began = time.process_time()
            scores = next(ground.pose_scores(fan, budget)).logsumexp(0)
            row.append(time.process_time() - began)
            posteriors.append((scores / temperature).log_softmax(0).double().numpy())
        answers = decide(town.grid, np.stack(posteriors), parse_decision("within:40"))
        near = (haversine_m(*answers, records.lat[k], records.lon[k]) <= 40).astype(float)
        full, rough = posteriors
        rows.append([*near, -full[true[k]], -rough[true[k]], 0.5 * np.abs(np.exp(full) - np.exp(rough)).sum(), *row])
    return list(np.array(rows).T)


def main() -> None:
    """Print a line for each town, and the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("towns", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, default=packaged_model())
    parser.add_argument("--temperature", type=float, default=3.0)
    parser.add_argument("--limit", type=int, help="photos of a town")
    options = parser.parse_args()
    model, found = open_model(options.model).eval(), []
    print("town                    photos  R@40m full  rough  nats full  rough  variation  processor s full  rough")
    for path in options.towns:
        found.append(compare(model, open_dataset(path), options.temperature, options.limit))
        _line(path.name, found[-1])
    _line("all", [np.concatenate(parts) for parts in zip(*found, strict=True)])


def _line(name: str, columns: list[np.ndarray]) -> None:
    full, rough, nats, rough_nats, variation, cost, rough_cost = (float(np.mean(c)) for c in columns)
    print(f"{name:22}  {len(columns[0]):6}  {100 * full:10.1f}  {100 * rough:5.1f}  {nats:9.2f}  {rough_nats:5.2f}  "
          f"{variation:9.3f}  {cost:16.2f}  {rough_cost:5.2f}", flush=True)


if __name__ == "__main__":
    main()
