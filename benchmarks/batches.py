"""Batches of nearby photos: how many distinct views they have, and what they do to accuracy.

    python benchmarks/batches.py views
    python benchmarks/batches.py accuracy TOWN --out RUNS

The first counts views of batches over the published region (10 km, depth 4, positions drawn evenly). The second trains a model
smaller than the preset `small` on a synthetic town (made if missing) with random and with nearby batches, with the same seeds,
and prints the last validation of each. It takes some ten minutes.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from pathlib import Path

import numpy as np

from justzoomin.data import ResumableBatchSampler, open_dataset
from justzoomin.geometry import from_local, preset, view_numbers
from justzoomin.training import train, train_config

SMALLER = ("model.image_pixels=32", "model.encoder.architecture.hidden_sizes=[24, 48, 96]",
           "model.encoder.architecture.depths=[1, 1, 1]")
"""The preset `small`, a quarter of it: the question is what the order does, not how good a model gets."""
PLACES = (None, 32, 16, 8, 4)


def distinct_views(photos: int, batch: int, places: int | None, batches: int = 20) -> float:
    """Mean number of distinct views of a batch over the published region."""
    grid = preset("dc")
    reach = 0.5 * grid.region.size_m
    east, north = np.random.default_rng(0).uniform(-reach, reach, (2, photos))
    middle = grid.region.centre
    numbers = view_numbers(grid, grid.encode(*from_local(middle.lat, middle.lon, 0.999 * east, 0.999 * north)))
    sampler = ResumableBatchSampler(photos, batch, 0, paths=numbers[:, 1:] if places else None, places=places or 1)
    draws = [draw for _, draw in zip(range(batches), sampler, strict=False)]
    return statistics.mean(len(np.unique(numbers[[d.photo for d in part]])) for part in draws)


def accuracy(town: Path, out: Path, photos: int, epochs: int, seeds: tuple[int, ...], places: tuple[int | None, ...]) -> None:
    """Train with every number of places and seed; print each last validation."""
    if not town.exists():
        from justzoomin.city import CityConfig, build_city

        build_city(town, CityConfig(seed=7, size_m=320, photos=photos, val_photos=400, photo_width=192, photo_height=108,
                                    workers=1))
    for seed in seeds:
        for number in places:
            run = out / f"places-{number}-seed-{seed}"
            start = time.perf_counter()
            if not run.exists():
                words = (f"epochs={epochs}", f"seed={seed}", f"batch_places={'null' if number is None else number}",
                         f"validate_every={epochs}", "accelerator=cpu", *SMALLER)
                train(train_config("small", None, words), open_dataset(town), run)
            with (run / "metrics.csv").open(newline="") as file:
                last = {row[2]: float(row[3]) for row in list(csv.reader(file))[1:] if row[2].startswith("val_")}
            print(f"places {number}, seed {seed}: nll {last['val_nll']:.3f}, R@40m {last['val_recall_40m']:.1f}, "
                  f"R@100m {last['val_recall_100m']:.1f}, median {last['val_median_m']:.1f} m, "
                  f"{time.perf_counter() - start:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("views").add_argument("--photos", type=int, default=100_000)
    trains = commands.add_parser("accuracy")
    trains.add_argument("town", type=Path)
    trains.add_argument("--out", type=Path, required=True)
    trains.add_argument("--photos", type=int, default=3000)
    trains.add_argument("--epochs", type=int, default=5)
    trains.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments = parser.parse_args()
    if arguments.command == "views":
        for batch in (16, 64, 128):
            asked = [places for places in PLACES if places is None or places < batch]
            counts = {places: distinct_views(arguments.photos, batch, places) for places in asked}
            words = (f"{'random' if places is None else f'{places} places'} {count:.0f}" for places, count in counts.items())
            print(f"batch {batch}: " + ", ".join(words))
    else:
        accuracy(arguments.town, arguments.out, arguments.photos, arguments.epochs, tuple(arguments.seeds), (None, 8))


if __name__ == "__main__":
    main()
