"""Matcher, retriever and zoomer from the same photos in as many passes, on new towns of 320 and 1 280 m, with three seeds each.

    python benchmarks/accuracy/make_set.py towns SETS/towns
    python benchmarks/accuracy/make_set.py areas SETS/areas
    python benchmarks/accuracy/one_budget.py SETS OUT              # about an hour of a core for each seed; resumed if stopped
    python benchmarks/accuracy/one_budget.py SETS OUT --only best-0 paper-0
    python benchmarks/accuracy/one_budget.py SETS OUT --report     # the table of the stored results

All see photos with true angles, of the cameras that the towns' tables state, at 48 px. The temperature is fitted on four other
towns of 320 m. Intervals are over towns, each with the mean of its seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coverage import over_towns, words
from trials import COMMON, MATCHER, Scored, fitted_temperature, scored_towns, towns_of

from justzoomin.files import write_json
from justzoomin.models import MapModel, open_model
from justzoomin.training import train, train_config

SEEDS, EPOCHS, NUMBERS, SIDE_M, FIT_TOWNS = (0, 1, 2), 2, range(107, 300), 320, 4
SCORED = {320: 12, 1280: 3}
"""Side of the towns that are scored, and their number: the first called score-..."""
SHARED = (*COMMON, f"epochs={EPOCHS}", "model.photo_fit=crop")
ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "best": ("best", MATCHER),
    "retriever with contexts": ("retriever", ("model.retriever.contexts=[1,4,16]",)),
    "paper": ("small", ()),
}
"""The rows: preset, and settings besides `SHARED`."""
STORED = Path(__file__).parent / "predictions" / "one_budget"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [f"{_file(row)}-{seed}" for seed in SEEDS for row in ROWS]
    parser.add_argument("sets", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="ROW-SEED")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if options.report:
        print(table())
        return
    torch.set_num_threads(1)
    for row, (preset, settings) in ROWS.items():
        for seed in SEEDS:
            name = f"{_file(row)}-{seed}"
            if name in options.only and not (STORED / f"{name}.json").exists():
                found = run(preset, (*SHARED, *settings, f"seed={seed}"), options.sets, options.out / name)
                write_json({"row": row, "seed": seed, **found}, STORED / f"{name}.json")


def _file(row: str) -> str:
    return row.replace(" ", "-")


def run(preset: str, words: tuple[str, ...], sets: Path, out: Path) -> dict[str, Any]:
    """Train and score one row with one seed."""
    towns = [town for town in towns_of(sets, NUMBERS) if round(town.grid.region.size_m) == SIDE_M]
    photos, resumed, began = sum(len(town.split("train")) for town in towns), out.exists(), time.process_time()
    train(train_config(preset, None, words), towns, out, resume=resumed)
    used = time.process_time() - began
    model = open_model(out / "models" / "last").eval()
    return {"command": [f"jzi train --preset {preset}", *(f"--set {word}" for word in words)], "towns": len(towns),
            "photos": photos, "shown": EPOCHS * photos, "weights": sum(w.numel() for w in model.parameters()),
            "processor_s": None if resumed else used,
            **scored(model, sets / "areas")}


def scored(model: MapModel, areas: Path) -> dict[str, Any]:
    """Return the temperature of a model, and its figures for each size of town."""
    temperature = fitted_temperature(scored_towns(model, sorted(areas.glob(f"fit-{SIDE_M}-*"))[:FIT_TOWNS]))
    return {"temperature": temperature, "sides": {
        str(side): figures(scored_towns(model, sorted(areas.glob(f"score-{side}-*"))[:number]), temperature)
        for side, number in SCORED.items()}}


def figures(found: list[Scored], temperature: float) -> dict[str, Any]:
    """Return the figures of some towns."""
    return {"photos": sum(len(town.true) for town in found),
            "nats_of_towns": [float(town.lost(temperature).mean()) for town in found],
            "recall_of_towns": [float((town.errors(temperature) <= 40.0).mean()) for town in found],
            "median_m": float(np.median(np.concatenate([town.errors(temperature) for town in found])))}


def table() -> str:
    """Return the stored results as a table."""
    found = [json.loads(path.read_text()) for path in sorted(STORED.glob("*.json"))]
    heads = ["row", "seeds", "photos shown", "weights", "processor s", "side", "R@40m %", "of each seed", "nats", "median m"]
    lines = [heads, ["---"] * len(heads)]
    for row in ROWS:
        seeds = [one for one in found if one["row"] == row]
        seconds = [one["processor_s"] for one in seeds if one["processor_s"] is not None]
        for side in SCORED if seeds else ():
            sides = [one["sides"][str(side)] for one in seeds]
            recall, nats = (np.array([one[name] for one in sides]) for name in ("recall_of_towns", "nats_of_towns"))
            lines.append([row, str(len(seeds)), str(seeds[0]["shown"]), str(seeds[0]["weights"]),
                          f"{np.median(seconds):.0f}" if seconds else "", f"{side} m", words(over_towns(recall.mean(0))),
                          ", ".join(f"{100 * value:.1f}" for value in recall.mean(1)), f"{nats.mean():.2f}",
                          ", ".join(f"{one['median_m']:.0f}" for one in sides)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the models were not trained on these towns is what is asked
        sys.exit(main())
