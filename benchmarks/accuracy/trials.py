"""Small trainings of the ray matcher that differ in one thing each, scored on towns for decisions.

    python benchmarks/accuracy/make_set.py towns SETS/towns
    python benchmarks/accuracy/make_set.py areas SETS/areas
    git archive a385312 src/justzoomin/assets/demo-model | tar x -C START    # the packaged model after its third run
    python benchmarks/accuracy/trials.py SETS OUT --start START/src/justzoomin/assets/demo-model
    git archive e0af7d1 src/justzoomin/assets/demo-model | tar x -C LATER    # after its fourth run
    python benchmarks/accuracy/trials.py SETS OUT --start LATER/src/justzoomin/assets/demo-model --only "fourth run" longer \
        "known camera" "known camera, 64 px"
    python benchmarks/accuracy/trials.py SETS OUT --only "fifth run" "longer still" "tilt forgotten" "camera forgotten"
    python benchmarks/accuracy/trials.py SETS OUT --only "3 towns"  # by name; finished ones are kept
    python benchmarks/accuracy/trials.py SETS OUT --report          # the table of the stored results

Every trial is one command of `jzi train` with the settings that are printed. The share of photos within 40 m is that of the
answer, nats are those of the true cell, both with the temperature that suits these photos best, so that it is what a model
knows that is compared and not how sure it is.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from justzoomin.apps.shared.demo_names import packaged_model
from justzoomin.data import Dataset, PhotoCamera, open_dataset
from justzoomin.evaluation import posteriors
from justzoomin.files import write_json
from justzoomin.geometry import ZoomGrid, haversine_m
from justzoomin.models import MapModel, open_model
from justzoomin.posterior import log_normalized
from justzoomin.scoring import decider
from justzoomin.search import ViewVectors, views_of
from justzoomin.training import train, train_config

TEMPERATURES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
DEV_TOWNS, TOWNS, PASSES, KNOWN_TOWNS = 16, 12, 3456, 107
ALL, LONG = 24, 6 * PASSES
"""Towns and photos shown of trials with fresh weights: after `PASSES` they know hardly anything."""
STORED = Path(__file__).parent / "predictions" / "trials"
LESS_KNOWN = {"tilt unknown": lambda camera: PhotoCamera(camera.fov_deg), "camera unknown": lambda _: PhotoCamera()}
"""What of a photo's camera is known in the further scores of trials about tilt."""
COMMON = ("val_split=null", "warmup=0.05", "final_rate=0.02")
MATCHER, GROWN = ("matching.zoom_weight=0",), ("learning_rate=0.001",)
"""Settings that all trials share, those of a matcher, and those that start from a model."""


@dataclass(frozen=True)
class Trial:
    """A training.

    Attributes:
        name: Its name.
        settings: What differs from the preset, `COMMON` and `MATCHER`.
        towns: Number of towns, the first of the set.
        passes: Photos shown, about: a whole number of epochs.
        grown: Whether it starts from the model `--start`; otherwise from fresh weights.
        axis: What it is about.
        preset: The preset.
        first: Number of the first of its towns in the set: those before it are known to the model that it starts from.
        base: The trial that it is compared with; "" for `grown`, or `fresh` with fresh weights.
    """

    name: str
    settings: tuple[str, ...] = ()
    towns: int = TOWNS
    passes: int = PASSES
    grown: bool = True
    axis: str = "leads"
    preset: str = "best"
    first: int = 0
    base: str = ""


def _wide(factor: float) -> str:
    return f"model.encoder.architecture.hidden_sizes={[round(size * factor) for size in (48, 96, 192)]}"


def _fresh(name: str, *settings: str, axis: str, preset: str = "best") -> Trial:
    return Trial(name, settings, ALL, LONG, grown=False, axis=axis, preset=preset)


def _later(name: str, *settings: str, axis: str) -> Trial:
    return Trial(name, settings, TOWNS, 3 * PASSES, axis=axis, first=KNOWN_TOWNS, base="longer")


def _last(name: str, *settings: str) -> Trial:
    return Trial(name, ("model.matcher.photo_fit=crop", *settings), TOWNS, 3 * PASSES, axis="tilt", first=KNOWN_TOWNS,
                 base="longer still")


TRIALS = {trial.name: trial for trial in (
    Trial("the start", towns=0, passes=0, axis="all"), Trial("grown", axis="all"),
    Trial("seed 1", ("seed=1",), axis="seeds"), Trial("seed 2", ("seed=2",), axis="seeds"),
    Trial("supervised", ("matching.supervision=0.3",)), Trial("mined", ("matching.drawn=4096",)),
    Trial("twice the rays", ("model.matcher.photo_scale=2",)),
    Trial("3 towns", towns=3, passes=2 * PASSES, axis="towns"), Trial("6 towns", towns=6, passes=2 * PASSES, axis="towns"),
    Trial("12 towns", passes=2 * PASSES, axis="towns"), Trial("24 towns", towns=24, passes=2 * PASSES, axis="towns"),
    Trial("a quarter of the photos", towns=3, passes=PASSES // 4, axis="photos"),
    Trial("half the photos", towns=6, passes=PASSES // 2, axis="photos"),
    Trial("6 passes", passes=6 * PASSES, axis="passes"),
    Trial("24 towns, 3 passes", towns=24, passes=6 * PASSES, axis="passes"),
    _fresh("fresh", axis="all"),
    _fresh("half as wide", _wide(0.5), axis="weights"), _fresh("1.5 times as wide", _wide(1.5), axis="weights"),
    _fresh("32 px", "model.image_pixels=32", axis="pixels"), _fresh("64 px", "model.image_pixels=64", axis="pixels"),
    _fresh("fresh, seed 1", "seed=1", axis="seeds"), _fresh("fresh, seed 2", "seed=2", axis="seeds"),
    _fresh("paper", axis="rivals", preset="small"),
    Trial("fifth run", towns=0, passes=0, axis="tilt", base="longer still"), _last("longer still"),
    _last("tilt forgotten", "matching.forget_tilt=0.5"),
    _last("camera forgotten", "matching.forget_tilt=0.4", "matching.forget_camera=0.3"),
    Trial("fourth run", towns=0, passes=0, axis="all", base="longer"), _later("longer", axis="all"),
    _later("known camera", "model.photo_fit=crop", axis="camera"),
    _later("known camera, 64 px", "model.photo_fit=crop", "model.matcher.photo_scale=1.33333333", axis="pixels"),
    _fresh("retriever with contexts", "model.retriever.contexts=[1,4,16]", axis="rivals", preset="retriever"),
)}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", choices=TRIALS)
    parser.add_argument("--start", type=Path, default=packaged_model(), help="the model that grown trials start from")
    parser.add_argument("--model", type=Path, help="score this model, without a training")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.model is not None:
        print(json.dumps(score(open_model(options.model).eval(), options.sets / "areas")))
        return
    if options.report:
        print(table(), slopes(), sep="\n\n")
        return
    for name in options.only or TRIALS:
        stored = STORED / f"{_file(name)}.json"
        if not stored.exists():
            print(f"{name} ...", flush=True)
            write_json(run(TRIALS[name], options.sets, options.out / _file(name), options.start), stored)
            print(stored.read_text(), flush=True)


def _file(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def run(trial: Trial, sets: Path, out: Path, start: Path) -> dict[str, Any]:
    """Train and score a trial; `start` is the model that grown ones start from."""
    if not trial.passes:
        return {**asdict(trial), "shown": 0, **_scored(trial, start, sets)}
    datasets = towns_of(sets, range(trial.first, trial.first + trial.towns))
    photos = sum(len(dataset.split("train")) for dataset in datasets)
    epochs = max(1, round(trial.passes / photos))
    begin = (f"init={start}", *GROWN) if trial.grown else ()
    words = (*COMMON, *(MATCHER if trial.preset == "best" else ()), f"epochs={epochs}", *begin, *trial.settings)
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    resumed = out.exists()  # then only a part of its time is measured
    train(train_config(trial.preset, None, words), datasets, out, resume=resumed)
    now, whole = resource.getrusage(resource.RUSAGE_SELF), not resumed
    shown = (word if not word.startswith("init=") else "init=START" for word in words)
    return {**asdict(trial), "command": [f"jzi train --preset {trial.preset}", *(f"--set {word}" for word in shown)],
            "photos": photos, "shown": epochs * photos,
            "processor_s": now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime if whole else None,
            "wall_s": time.perf_counter() - began if whole else None, **_scored(trial, out / "models" / "last", sets)}


def towns_of(sets: Path, numbers: range) -> list[Dataset]:
    """Return the towns of the set `towns` with these numbers, from 0."""
    return [open_dataset(sets / "towns" / f"train-{20_000 + number}") for number in numbers]


def _scored(trial: Trial, folder: Path, sets: Path) -> dict[str, Any]:
    model = open_model(folder).eval()
    found = {"weights": sum(w.numel() for w in model.parameters()), **score(model, sets / "areas")}
    if trial.axis == "tilt":
        found |= {name: score(model, sets / "areas", camera) for name, camera in LESS_KNOWN.items()}
    return found


@dataclass(frozen=True)
class Scored:
    """The photos of a town: scores (B, N) of its cells, true cells (B,) and true places (2, B) in degrees."""

    grid: ZoomGrid
    scores: np.ndarray
    true: np.ndarray
    places: np.ndarray

    def lost(self, temperature: float) -> np.ndarray:
        """Return the nats (B,) of the true cells."""
        return -log_normalized(self.scores / temperature)[np.arange(len(self.true)), self.true]

    def errors(self, temperature: float) -> np.ndarray:
        """Return the distances (B,) in metres of the answers, the points with the most probability within 40 m."""
        decide = decider(self.grid, "within:40")
        assert decide is not None
        return haversine_m(*decide(log_normalized(self.scores / temperature))[0].T, *self.places)


def scored_towns(model: MapModel, folders: list[Path],
                 camera: Callable[[PhotoCamera], PhotoCamera] | None = None) -> list[Scored]:
    """Return the scores of all held-out photos of some towns; `camera` returns what of a camera is known."""
    found = []
    for path in folders:
        town = open_dataset(path)
        vectors = ViewVectors(model, views_of(model, town.map, town.grid))
        records = town.split("val")
        cameras = None if camera is None else {image: camera(own) for image, own in town.cameras(records.image_ids).items()}
        scores = np.concatenate(list(posteriors(model, town, records.image_ids, vectors, 32, cameras))).astype(np.float64)
        found.append(Scored(town.grid, scores, town.grid.flatten(town.sequences("val")), np.stack([records.lat, records.lon])))
    return found


def fitted_temperature(towns: list[Scored]) -> float:
    """Return the temperature that suits the photos of some towns best."""
    return min(TEMPERATURES, key=lambda tried: np.concatenate([town.lost(tried) for town in towns]).mean())


def score(model: MapModel, areas: Path, camera: Callable[[PhotoCamera], PhotoCamera] | None = None) -> dict[str, Any]:
    """Return the figures of a model on the first towns of 320 m that calibrations are fitted on."""
    found = scored_towns(model, sorted(areas.glob("fit-320-*"))[:DEV_TOWNS], camera)
    temperature = fitted_temperature(found)
    errors, lost = ([part(town) for town in found] for part in (lambda t: t.errors(temperature), lambda t: t.lost(temperature)))
    towns, every = [float((e <= 40.0).mean()) for e in errors], np.concatenate(errors)
    return {"scored": len(every), "temperature": temperature, "nats": float(np.concatenate(lost).mean()),
            "recall_at_40m": float((every <= 40.0).mean()), "error_of_recall": float(np.std(towns) / math.sqrt(len(towns))),
            "median_m": float(np.median(every)), "recall_of_towns": towns,
            "nats_of_towns": [float(part.mean()) for part in lost]}


def table() -> str:
    """Return the stored results as a table; differences are to `grown` or `fresh`, with standard errors over towns."""
    stored = {name: json.loads(path.read_text()) for name in TRIALS if (path := STORED / f"{_file(name)}.json").exists()}
    lines = ["| trial | about | towns | photos shown | weights | processor s | R@40m % | difference | nats | difference |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for name, r in stored.items():
        base = stored.get(r.get("base") or ("grown" if r["grown"] else "fresh"))
        seconds = "" if r.get("processor_s") is None else f"{r['processor_s']:.0f}"
        for known in ("", *(key for key in LESS_KNOWN if key in r)):
            one, other = (part[known] if part is not None and known else part for part in (r, base))
            recall, nats = _apart(one, other, "recall_of_towns", 100, 1), _apart(one, other, "nats_of_towns", 1, 2)
            share = f"{100 * one['recall_at_40m']:.1f} ± {100 * one['error_of_recall']:.1f}"
            lines.append(f"| {', '.join(filter(None, (name, known)))} | {r['axis']} | {r['towns']} | {r['shown']} | "
                         f"{r['weights']} | {seconds} | {share} | {recall} | {one['nats']:.2f} | {nats} |")
    return "\n".join(lines)


SLOPES = {
    "photos shown, the same 12 towns": {"grown": 0, "seed 1": 0, "seed 2": 0, "12 towns": 1, "6 passes": math.log2(6)},
    "towns, as many photos shown": {"3 towns": 0, "6 towns": 1, "12 towns": 2, "24 towns": 3},
    "towns, one pass": {"a quarter of the photos": 0, "half the photos": 1, "grown": 2, "seed 1": 2, "seed 2": 2,
                        "24 towns": 3},
}


def slopes() -> str:
    """Return what a doubling brings, by least squares for each town, with standard errors over towns."""
    lines = ["| doubling of | R@40m | nats |", "|---|---|---|"]
    for name, places in SLOPES.items():
        results = [json.loads((STORED / f"{_file(trial)}.json").read_text()) for trial in places]
        cells = []
        for figure, times, digits in (("recall_of_towns", 100, 1), ("nats_of_towns", 1, 2)):
            slope = np.polyfit(list(places.values()), times * np.array([r[figure] for r in results]), 1)[0]
            cells.append(f"{slope.mean():+.{digits}f} ± {slope.std(ddof=1) / math.sqrt(len(slope)):.{digits}f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _apart(one: dict[str, Any], base: dict[str, Any] | None, figure: str, times: float, digits: int) -> str:
    """Return the mean difference over towns between two results and its standard error."""
    if base is None or one is base:
        return ""
    apart = times * (np.array(one[figure]) - np.array(base[figure]))
    return f"{apart.mean():+.{digits}f} ± {apart.std(ddof=1) / math.sqrt(len(apart)):.{digits}f}"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the models were not trained on these towns is what is asked
        sys.exit(main())
