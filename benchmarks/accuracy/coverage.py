"""Whether regions hold what they claim on new ground, against the area, with a calibration fitted over other new towns.

    python benchmarks/accuracy/make_set.py areas SETS/areas
    python benchmarks/accuracy/coverage.py posteriors SETS/areas OUT             # slow for large towns; finished towns are kept
    python benchmarks/accuracy/coverage.py report OUT --json coverage.json --calibration calibration.json

`posteriors` stores the model's own log-probabilities of the photos of every town. `report` fits a calibration on the towns
called fit-..., writes it if asked, and scores the towns called score-... In brackets are 95 % bootstrap intervals over towns;
the scatter of single towns is their standard deviation.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from justzoomin.apps.shared.demo_names import packaged_model
from justzoomin.data import open_dataset
from justzoomin.evaluation import posteriors
from justzoomin.files import atomic_file, write_json
from justzoomin.geometry import ZoomGrid, grid_from_dict, grid_to_dict, haversine_m
from justzoomin.maps import GridViews
from justzoomin.models import open_model
from justzoomin.posterior import (
    Calibrates,
    Calibration,
    Claims,
    MapFacts,
    MapPhotos,
    coverage_by_area,
    find_calibration,
    fit_many_maps,
    log_normalized,
)
from justzoomin.scoring import decider
from justzoomin.search import ViewVectors, facts_of, views_of

SPLIT, BATCH, RADIUS_M, DRAWS = "val", 32, 40.0, 2000


@dataclass(frozen=True)
class Town:
    """What `posteriors` has stored of a town: its photos' log-probabilities (B, N), true cells (B,) and true places (B, 2)."""

    name: str
    grid: ZoomGrid
    facts: MapFacts
    split: str
    log_probs: np.ndarray
    true: np.ndarray
    places: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Town:
        """Read the file of a town."""
        stored = np.load(path)
        head = json.loads(str(stored["head"]))
        return cls(path.stem, grid_from_dict(head["grid"], path), MapFacts(**head["facts"]), head["split"], stored["log_probs"],
                   stored["true"], stored["places"])

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield log-probabilities and true cells of some photos at a time."""
        for start in range(0, len(self.true), BATCH):
            yield self.log_probs[start:start + BATCH], self.true[start:start + BATCH]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("posteriors")
    command.add_argument("set", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument("--model", type=Path, default=packaged_model())
    command.add_argument("--towns", nargs="+", default=["fit-*", "score-*"], help="patterns of their names")
    command = commands.add_parser("report")
    command.add_argument("out", type=Path)
    command.add_argument("--model", type=Path, default=packaged_model(), help="its own calibration is a row")
    command.add_argument("--json", type=Path)
    command.add_argument("--calibration", type=Path, help="write the calibration of the fit, with the model's of one map")
    options = parser.parse_args()
    if options.command == "posteriors":
        store(options.set, options.out, options.model, options.towns)
    else:
        report(options.out, options.model, options.json, options.calibration)


def store(towns: Path, out: Path, folder: Path, patterns: list[str]) -> None:
    """Store the posteriors of every town that has none yet, small towns first."""
    out.mkdir(parents=True, exist_ok=True)
    model = open_model(folder).eval()
    found = [open_dataset(path) for pattern in patterns for path in sorted(towns.glob(pattern))]
    for dataset in sorted(found, key=lambda d: d.grid.region.size_m):
        path = out / f"{dataset.root.name}.npz"
        if path.exists():
            continue
        vectors = ViewVectors(model, views_of(model, dataset.map, dataset.grid))
        ids = dataset.split(SPLIT).image_ids
        log_probs = np.concatenate(list(posteriors(model, dataset, ids, vectors, BATCH)))
        facts = facts_of(GridViews(dataset.map, dataset.grid, model.config.image_pixels))
        head = {"grid": grid_to_dict(dataset.grid), "facts": asdict(facts), "split": dataset.split_hash(SPLIT)}
        records = dataset.split(SPLIT)
        with atomic_file(path) as file:
            np.savez(file, head=json.dumps(head), log_probs=log_probs, true=dataset.grid.flatten(dataset.sequences(SPLIT)),
                     places=np.stack([records.lat, records.lon], 1))
        print(path.name, log_probs.shape, flush=True)


def report(out: Path, folder: Path, json_file: Path | None, calibration_file: Path | None) -> None:
    """Fit on some towns, and print the figures of the others."""
    towns = [Town.read(path) for path in sorted(out.glob("*.npz"))]
    fit, score = ([town for town in towns if town.name.startswith(kind)] for kind in ("fit-", "score-"))
    many_maps = fit_many_maps([MapPhotos(t.grid, t.facts, t.split, t.batches) for t in fit], 1)[0]
    fingerprint = open_model(folder).fingerprint()
    own = find_calibration(folder, lambda: fingerprint)
    one_map = None if own is None else own.one_map
    if calibration_file is not None:
        print(f"calibration: {Calibration(fingerprint, one_map, many_maps).save(calibration_file)}")
    laws, uniform = [asdict(law) for law in many_maps.laws], asdict(many_maps.uniform)
    print(f"fitted on {many_maps.photos} photos of {len(fit)} towns; laws {laws}, uniform share {uniform}")
    unlike = [t.name for t in score if many_maps.unlike(t.facts)]
    print(f"scored on {len(score)} other towns; unlike those of the fit: {', '.join(unlike) or 'none of them'}")
    found = {"laws": laws, "uniform": uniform, "fit": [t.name for t in fit], "score": [t.name for t in score],
             "the model's own probabilities": measure(score, None), "the calibration of many maps": measure(score, many_maps)}
    if one_map is not None:  # it has a temperature for each step, so it fits grids of its depth only
        steps = len(one_map.temperatures)
        found["the calibration of its home"] = measure([t for t in score if steps in (1, t.grid.depth)], one_map)
    for name, figures in found.items():
        if name.startswith("the "):
            print(f"\n{name}\n\n{table(figures)}")
    if json_file is not None:
        write_json(found, json_file)


def measure(towns: list[Town], part: Calibrates | None) -> dict[str, Any]:
    """Return coverage and recall of some towns under a calibration."""
    claims, near = [], []
    for town in towns:
        decide = decider(town.grid, f"within:{RADIUS_M:g}")
        assert decide is not None
        pieces, hits, done = [], [], 0
        for raw, true in town.batches():
            log_probs = log_normalized(raw.astype(np.float64)) if part is None else part.apply(town.grid, raw)
            pieces.append(Claims.of(town.grid, log_probs, true))
            hits.append(haversine_m(*decide(log_probs)[0].T, *town.places[done:done + len(true)].T) <= RADIUS_M)
            done += len(true)
        claims.append(Claims.joined(pieces))
        near.append(float(np.concatenate(hits).mean()))
    sizes = np.array([round(math.sqrt(town.facts.area_m2)) for town in towns])
    figures = coverage_by_area([town.facts.area_m2 for town in towns], claims)
    figures["all"]["recall_at_40m"] = over_towns(np.array(near))
    for row in figures["by_size"]:
        row["recall_at_40m"] = over_towns(np.array(near)[sizes == row["size_m"]])
    return figures


def table(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    heads = ("size", "towns", "photos", "R@40m %", "50 % regions hold %", "90 %", "95 %", "scatter of the 90 %", "nats")
    lines = [heads, ("---",) * len(heads)]
    for row in (*figures["by_size"], figures["all"]):
        shares = (row["recall_at_40m"], *(row["coverage"][level] for level in ("50", "90", "95")))
        size = f"{row['size_m']} m" if "size_m" in row else "all"
        lines.append((size, str(row["maps"]), str(row["photos"]), *map(words, shares),
                      f"{100 * row['coverage']['90'][3]:.1f}", f"{row['nll']:.2f}"))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def over_towns(values: np.ndarray) -> list[float]:
    """Return the mean of towns and its interval."""
    drawn = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    return [float(values.mean()), *np.percentile(values[drawn].mean(1), [2.5, 97.5]).tolist()]


def words(figure: list[float]) -> str:
    """Return a share in percent with its interval."""
    mean, low, high = (100 * value for value in figure[:3])
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the model was not trained on these towns is what the benchmark asks
        sys.exit(main())
