"""What a posterior costs: milliseconds a photo of the searches, of decisions, and of the rest of a Fix, vectors at hand.

    OMP_NUM_THREADS=1 python benchmarks/posterior.py --processor
    OMP_NUM_THREADS=2 python benchmarks/posterior.py

The preset `small` with fresh weights, made-up vectors of views and photos in memory, grids of 4 x 4 cells. Medians of rounds.
Decisions and summaries are given posteriors with some mass everywhere. `--processor` counts the processor's time in place of
the clock's: with one thread it is what an idle machine takes, whatever else runs on this one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import torch

from justzoomin.geometry import Region, ZoomGrid, view_count
from justzoomin.models import ZoomModel, model_preset
from justzoomin.posterior import Posterior, decide, parse_decision
from justzoomin.search import ViewVectors, beam, exact, greedy

ROUNDS, WIDTH = 5, 8
Clock = Callable[[], float]
DECISIONS = ("within:20", "within:40", "distance", "top")


class InMemory:
    """Vectors of views that are nobody's, as `ViewVectors.at` gives them."""

    def __init__(self, count: int, width: int) -> None:
        self._vectors = torch.randn(count, width)

    def at(self, numbers: np.ndarray) -> torch.Tensor:
        """Vectors (N, D)."""
        return self._vectors[torch.from_numpy(numbers)]


def milliseconds(work: Callable[[], object], photos: int, clock: Clock) -> float:
    """Median time a photo; once before that is not timed."""
    work()
    times = []
    for _ in range(ROUNDS):
        started = clock()
        work()
        times.append(clock() - started)
    return 1000.0 * statistics.median(times) / photos


def searches(model: ZoomModel, depth: int, photos: torch.Tensor, clock: Clock) -> dict[str, float]:
    """Milliseconds a photo of each search."""
    grid = town(depth)
    vectors = cast(ViewVectors, InMemory(view_count(grid), photos.shape[1]))
    found: dict[str, Callable[[], object]] = {
        "greedy": lambda: greedy(model, photos, vectors, depth),
        f"beam:{WIDTH}": lambda: beam(model, photos, vectors, depth, WIDTH),
        "exact": lambda: exact(model, photos, vectors, depth)}
    return {name: milliseconds(work, len(photos), clock) for name, work in found.items()}


def town(depth: int) -> ZoomGrid:
    """Return a region with cells of 5 m at depth 3, of 39 m at depth 4."""
    half = {3: 160.0, 4: 5000.0}[depth]
    return ZoomGrid(Region(54.5, 3.0, (-half, half), (-half, half)), 4, depth)


def beliefs(grid: ZoomGrid, count: int) -> np.ndarray:
    """Log-probabilities (B, N) with some mass everywhere and most of it on a few cells."""
    scores = np.random.default_rng(0).normal(0.0, 3.0, (count, grid.actions**grid.depth))
    return np.asarray(scores - np.log(np.exp(scores).sum(1, keepdims=True)))


def behind(depth: int, count: int, clock: Clock) -> dict[str, float]:
    """Milliseconds a photo of what comes behind the search."""
    grid = town(depth)
    log_probs = beliefs(grid, count)
    found = {text: milliseconds(partial(decide, grid, log_probs, parse_decision(text)), count, clock) for text in DECISIONS}

    def summarize() -> None:
        for row in log_probs:
            posterior = Posterior(grid, row)
            posterior.top(10), posterior.moments(), posterior.entropy_bits
            posterior.radius_about(*grid.region.centre, 0.5)
            posterior.regions((0.5, 0.9, 0.95))[1].runs()

    return {**found, "the rest of a Fix": milliseconds(summarize, count, clock)}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processor", action="store_true", help="count the processor's time")
    clock = time.process_time if parser.parse_args().processor else time.perf_counter
    torch.manual_seed(0)
    model = ZoomModel(model_preset("small"), pretrained=False).eval()
    width = model.encoder.width
    print(f"{torch.get_num_threads()} threads, ms a photo by the {'processor' if clock is time.process_time else 'clock'}")
    for depth in (3, 4):
        grid = town(depth)
        print(f"depth {depth}: {view_count(grid):,} states, {grid.actions**depth:,} terminal cells")
        for count in (1, 16 if depth == 3 else 4):
            times = searches(model, depth, torch.randn(count, width), clock)
            print(f"  {count:2} photos at once   " + "   ".join(f"{name} {ms:.1f}" for name, ms in times.items()), flush=True)
        times = behind(depth, 4, clock)
        print("  behind it          " + "   ".join(f"{name} {ms:.2f}" for name, ms in times.items()), flush=True)


if __name__ == "__main__":
    main()
