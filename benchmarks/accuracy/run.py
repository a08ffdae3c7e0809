"""Train the rows of the accuracy benchmark, write their predictions, and make docs/accuracy.md from what is stored.

    python benchmarks/accuracy/make_set.py cpu SETS/cpu
    python benchmarks/accuracy/run.py train best SETS/cpu RUNS --seed 0       # resumes; log in RUNS/best-0/metrics.csv
    python benchmarks/accuracy/run.py predict best SETS/cpu RUNS --seed 0     # into benchmarks/accuracy/predictions
    python benchmarks/accuracy/run.py controls SETS/cpu                       # rows that need no model
    python benchmarks/accuracy/run.py dev best SETS/cpu RUNS --seed 0         # figures to decide by: never those of a test set
    python benchmarks/accuracy/run.py report                                  # docs/accuracy.md and its figures

`report` needs stored predictions alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from report import write_report
from rows import EPOCHS, ROWS, TESTS, TRAININGS, Row
from sets import SETS

from justzoomin.data import Dataset, open_dataset, open_datasets
from justzoomin.evaluation import evaluate
from justzoomin.files import write_json
from justzoomin.geometry import haversine_m
from justzoomin.models import MapModel, MatcherConfig, ZoomModel, open_model
from justzoomin.scoring import controls_of, read_predictions, write_predictions
from justzoomin.search import NotTrainedHereWarning
from justzoomin.training import train, train_config

HERE = Path(__file__).parent
PREDICTIONS = HERE / "predictions"
LISTED = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", dest="recipe", choices=SETS, default="cpu")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "predict", "dev"):
        command = commands.add_parser(name)
        command.add_argument("training", choices=TRAININGS)
        command.add_argument("data", type=Path)
        command.add_argument("runs", type=Path)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--threads", type=int, default=1)
        if name == "dev":
            command.add_argument("--matcher", action="append", default=[], metavar="NAME=NUMBER",
                                 help="another setting of a ray matcher's search, such as tried=16")
    commands.add_parser("controls").add_argument("data", type=Path)
    commands.add_parser("report")
    arguments = parser.parse_args()
    folder = PREDICTIONS / arguments.recipe
    if arguments.command == "report":
        write_report(arguments.recipe, folder, HERE.parents[1] / "docs")
        return
    if arguments.command == "controls":
        _controls(arguments.data, folder)
        return
    torch.set_num_threads(arguments.threads)
    run = arguments.runs / f"{arguments.training}-{arguments.seed}"
    if arguments.command == "train":
        _train(arguments.training, arguments.data, run, arguments.seed)
    elif arguments.command == "dev":
        words = (word.split("=", 1) for word in arguments.matcher)
        _dev(arguments.data, run, {name: json.loads(number) for name, number in words})
    else:
        _predict(arguments.training, arguments.data, run, folder, arguments.seed)


def _train(name: str, data: Path, run: Path, seed: int) -> None:
    training = TRAININGS[name]
    towns = [data / "home", *([] if training.home_only else sorted(data.glob("train-*")))]
    words = (f"epochs={EPOCHS}", f"seed={seed}", "val_split=null", "save_every=100", *training.settings)
    started = time.perf_counter()
    train(train_config(training.preset, None, words), open_datasets(towns), run, resume=run.exists())
    used = resource.getrusage(resource.RUSAGE_SELF)
    cost = {"wall_s": time.perf_counter() - started, "processor_s": used.ru_utime + used.ru_stime}
    write_json(cost, run / "cost.json")
    print(f"{run}: {json.dumps(cost)} (of this start, if it was resumed)")


def _predict(name: str, data: Path, run: Path, folder: Path, seed: int) -> None:
    model = open_model(run / "models" / "last")
    log = folder / "logs" / run.name
    log.mkdir(parents=True, exist_ok=True)
    for file in ("config.yaml", "metrics.csv", "cost.json"):
        if (run / file).is_file():
            shutil.copyfile(run / file, log / file)
    for row in (r for r in ROWS if r.training == name):
        _set_matcher(model, {"zoom_weight": row.zoom_weight})
        for test in TESTS:
            if test == "other" and TRAININGS[name].home_only:
                continue  # it knows the cells of one town; nothing can be asked of it elsewhere
            for town, split in _towns(data, test):
                path = folder / test / f"{_file(row)}-{seed}-{town.root.name}.parquet"
                _predict_town(row, model, town, split, path)
                print(path.relative_to(folder), flush=True)


def _predict_town(row: Row, model: MapModel, town: Dataset, split: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotTrainedHereWarning)  # that is what the benchmark asks
        found = evaluate(model, town, split, search=row.search, decision=row.decision, listed=LISTED, method=row.name)
    write_predictions(path, found.table)


def _dev(data: Path, run: Path, settings: dict[str, float]) -> None:
    """Print what decisions are taken by: the most probable cell, the answer within 40 m, and nats of the true cell."""
    model = open_model(run / "models" / "last")
    _set_matcher(model, settings)
    towns = [open_dataset(path) for path in sorted(data.glob("dev-*"))]
    tests = {"dev": [(town, "val") for town in towns], "calib": [(open_dataset(data / "home"), "calib")]}
    print("photos of  photos  top cell R@40m  within 40 m R@40m  nats")
    for test, parts in tests.items():
        found = []  # of each photo: whether its most probable cell and its answer lie within 40 m, and nats
        for town, split in parts:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotTrainedHereWarning)
                table = evaluate(model, town, split, search="posterior", decision="within:40", listed=1).table
            top = town.grid.centres(town.grid.unflatten(table.ranking.cells[:, 0], town.grid.depth))
            near = [haversine_m(*places, *table.positions.T) <= 40.0 for places in (top, table.answers.T)]
            found.append(np.stack([*near, -table.ranking.true_log_prob], 1))
        photos = np.concatenate(found)
        top_near, near, nats = photos.mean(0)
        print(f"{test:9}  {len(photos):6}  {100 * top_near:14.1f}  {100 * near:17.1f}  {nats:4.2f}", flush=True)


def _set_matcher(model: MapModel, settings: Mapping[str, float]) -> None:
    """Change how a ray matcher searches, of a model that has one."""
    if isinstance(model, ZoomModel) and model.matcher is not None:
        matcher = MatcherConfig.model_validate({**model.matcher.config.model_dump(), **settings})
        model.matcher.config, model.config = matcher, model.config.model_copy(update={"matcher": matcher})


def _controls(data: Path, folder: Path) -> None:
    home = open_dataset(data / "home")
    for test in ("within", "disjoint"):
        like = read_predictions(next((folder / test).glob("paper-greedy-*-home.parquet")))
        for table in controls_of(like, home, "train"):
            path = folder / test / f"{table.info.method.replace(' ', '-').replace(',', '')}-0-home.parquet"
            write_predictions(path, table)
            print(path.relative_to(folder), flush=True)


def _towns(data: Path, test: str) -> list[tuple[Dataset, str]]:
    split = test if TESTS[test] == "home" else "val"
    return [(open_dataset(path), split) for path in sorted(data.glob(TESTS[test]))]


def _file(row: Row) -> str:
    return row.name.replace(",", "").replace(" ", "-")


if __name__ == "__main__":
    main()
