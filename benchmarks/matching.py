"""What a photo costs at a ray matcher, and how that grows with the map; each size of map in a process of its own, in turns.

    python benchmarks/matching.py              # 0.32 to 10 km, and 40 km
    python benchmarks/matching.py --threads 1

The map is simulated: numbers of the right form, which cost as much as described ground; the search is real, that of the
packaged model. `all` looks at every tile closely, `search` at the heaviest ones; `batch` is a photo's share of a batch of 16.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from justzoomin.geometry import Region, ZoomGrid
from justzoomin.search.budget import EVERYTHING, Budget
from simulated import Matching

SIZES = {0.32: 3, 1.28: 4, 2.56: 4, 10.0: 4, 40.0: 5}
"""Edge of a region in km, and the depth of its grid."""
ROUNDS, BATCH = 5, 16
ALL_KM = 2.56
"""Largest region of which all tiles are looked at."""


def measure(km: float, rounds: int) -> dict[str, float]:
    """Return seconds a photo, processor seconds a photo and the peak of memory for one size of region."""
    matching = Matching(ZoomGrid(Region(0.0, 0.0, (-500 * km, 500 * km), (-500 * km, 500 * km)), 4, SIZES[km]), BATCH)
    kinds = {"search": (Budget(unseen=0.0), 1), "batch": (Budget(unseen=0.0), BATCH)}
    if km <= ALL_KM:
        kinds["all"] = (EVERYTHING, 1)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    matching.search(1)  # reads the rough level once
    for _ in range(rounds):
        for name, (budget, count) in kinds.items():
            wall, own = time.perf_counter(), time.process_time()
            matching.search(count, budget)
            found[name].append(((time.perf_counter() - wall) / count, (time.process_time() - own) / count))
    medians = {f"{name} {unit}": statistics.median(row[k] for row in rows)
               for name, rows in found.items() for k, unit in enumerate(("s", "processor s"))}
    return {**medians, "places": matching.places.side**2, "tiles": matching.tree.fine.tiles**2,
            "memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--km", type=float, choices=SIZES, help="one size, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.km is not None:
        print(json.dumps(measure(options.km, options.rounds)))
        return
    print(f"{options.threads} threads, medians of {options.rounds}; seconds a photo (processor seconds)")
    print("     km      places   tiles          search    batch of 16       all tiles  memory MB")
    for km in SIZES:
        command = [sys.executable, str(Path(__file__)), "--km", str(km), "--threads", str(options.threads),
                   "--rounds", str(options.rounds)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        cells = [f"{row[f'{kind} s']:.2f} ({row[f'{kind} processor s']:.2f})" if f"{kind} s" in row else "-"
                 for kind in ("search", "batch", "all")]
        print(f"{km:7g}  {row['places']:10,.0f}  {row['tiles']:6,.0f}  {cells[0]:>14}  {cells[1]:>13}  {cells[2]:>14}  "
              f"{row['memory MB']:9.0f}", flush=True)


if __name__ == "__main__":
    main()
