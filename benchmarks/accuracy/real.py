"""The located real photos with their real overhead views: where the true place ranks among all places of its surroundings.

    python benchmarks/accuracy/real.py DC_MINI [MODEL]        # DC_MINI: a repository of the dataset's layout, e.g. dc-mini

A few photos, with overhead pictures as sharp as the model expects only near them: it claims nothing, and nothing may be tuned
on it. A rank is the share of cells of 625 m around the photo that score higher than the true one: 0.5 is chance, 0 the best.
`street` uses the logits of poses alone, as if nothing was in the photo; `match` the photo too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from justzoomin.apps.demo import packaged_model
from justzoomin.data import open_dataset
from justzoomin.evaluation.batches import photo_batches
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.models import open_model
from justzoomin.search import EVERYTHING, GroundMap, photo_vectors

AROUND_M, DEPTH = 625.0, 3


def share_above(scores: torch.Tensor, true: int) -> float:
    """Return the share of the other cells that score higher than the true one; equal scores count half."""
    others = torch.cat([scores[:true], scores[true + 1 :]])
    return float(((others > scores[true]).float() + 0.5 * (others == scores[true]).float()).mean())


@torch.inference_mode()
def main() -> None:
    """Print the ranks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path, nargs="?", default=packaged_model())
    options = parser.parse_args()
    model, dataset = open_model(options.model).eval(), open_dataset(options.data)
    records = dataset.split("val")
    rng, ranks = np.random.default_rng(0), []
    print("photo                    street  match  street and match")
    batches = photo_batches(model.config, dataset, list(records.image_ids), 1)
    for name, lat, lon, pair in zip(records.image_ids, records.lat, records.lon, batches, strict=True):
        off = rng.uniform(-0.3, 0.3, 2) * AROUND_M  # so that the true place is not in the middle
        low, high = -AROUND_M / 2 + off, AROUND_M / 2 + off
        grid = ZoomGrid(Region(lat, lon, (low[0], high[0]), (low[1], high[1])), dataset.grid.grid, DEPTH)
        ground = GroundMap(model, dataset.map, grid)
        fan = model.fans(photo_vectors(model, pair))
        both, street = (next(ground.pose_scores(each, EVERYTHING)).logsumexp(0) for each in (fan, torch.zeros_like(fan)))
        true = int(grid.flatten(grid.encode(np.array([lat]), np.array([lon])))[0])
        ranks.append([share_above(scores, true) for scores in (street, both - street, both)])
        print(f"{name:24} {ranks[-1][0]:6.2f} {ranks[-1][1]:6.2f} {ranks[-1][2]:17.2f}", flush=True)
    street, match, total = np.mean(ranks, 0)
    print(f"{'mean of ' + str(len(ranks)):24} {street:6.2f} {match:6.2f} {total:17.2f}")


if __name__ == "__main__":
    main()
