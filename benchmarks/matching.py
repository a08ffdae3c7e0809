"""What a few photos cost at a ray matcher: part by part, or by reading first what all photos share; in turns, medians.

    python benchmarks/matching.py FOLDER

FOLDER gets the demo's unseen town if it is not there. The map is described, photos are encoded (here: random fans).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from justzoomin.apps.demo import UNSEEN_SEED, demo_city, packaged_model
from justzoomin.city import build_city
from justzoomin.maps import Map
from justzoomin.models import ZoomModel
from justzoomin.search import matching

ROUNDS, PHOTOS = 5, (1, 2, 4, 8)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if not folder.exists():
        build_city(folder, demo_city(16, 16, UNSEEN_SEED))
    model, source = ZoomModel.from_pretrained(packaged_model()), Map.open(folder)
    assert model.matcher is not None
    torch.manual_seed(0)
    print(f"{source.grid.actions**source.grid.depth} cells, {torch.get_num_threads()} threads, ms for all photos of a row")
    print("photos  part by part  shared, first time  shared, later")
    for count in PHOTOS:
        fans = torch.nn.functional.normalize(torch.randn(count, model.matcher.size), dim=1)
        found = []
        for _ in range(ROUNDS):
            ground, taken = matching.GroundMap(model, source, source.grid), []
            ground.ground()
            for few in (max(PHOTOS), 0, 0):
                matching.FEW = few
                started = time.perf_counter()
                ground.scores(fans)
                taken.append(1000 * (time.perf_counter() - started))
            found.append(taken)
        parts, first, later = np.median(found, axis=0)
        print(f"{count:6}  {parts:12.0f}  {first:18.0f}  {later:13.0f}", flush=True)


if __name__ == "__main__":
    main()
