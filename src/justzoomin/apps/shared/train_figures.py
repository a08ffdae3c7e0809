"""The last lines of `jzi train`: recall of the model on validation photos, with chance for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from justzoomin.apps.shared.console import progress_bar
from justzoomin.errors import DataError

if TYPE_CHECKING:
    from justzoomin.data import Dataset
    from justzoomin.models import MapModel
    from justzoomin.training import TrainConfig

PHOTOS = 200
"""Largest number of validation photos that are measured."""
MOST_CELLS = 1 << 14
"""Largest number of terminal cells at which a model with a matcher is measured here; with more, matching takes minutes."""
RADIUS = "40"


def tell_figures(folder: Path, datasets: Sequence[Dataset], config: TrainConfig) -> None:
    """Print R@40m of the trained model on validation photos and that of chance.

    If a zoomer has a matcher, both are measured: the matcher answers on maps that the zoomer was not trained on. A recall
    that is no better than chance is marked.
    """
    from justzoomin.models import open_model

    towns = [data for data in datasets if config.val_split in data.split_paths]
    if config.val_split is None or not towns:
        return
    dataset, model = towns[-1], open_model(folder, device="cpu" if config.accelerator == "cpu" else "auto")
    if model.config.matcher is not None and dataset.grid.actions**dataset.grid.depth > MOST_CELLS:
        typer.echo(f"measure it with: jzi evaluate {folder} --data {dataset.root}")
        return
    rows = {"matcher": "posterior", "zoomer": "greedy"} if model.config.matcher is not None else {"model": None}
    try:
        dataset.check(config.val_split)
    except DataError as error:  # training on ready photos does not need the photo files
        typer.echo(f"not measured: {error}", err=True)
        return
    found = {name: _measured(model, dataset, config.val_split, search) for name, search in rows.items()}
    first = next(iter(found.values()))
    typer.echo(f"on {first['n']} photos of {config.val_split} in {dataset.root.name}, within {RADIUS} m (95 % interval):")
    for name, report in found.items():
        typer.echo(f"  {name:8} {_words(report)}")
    typer.echo(f"  {'chance':8} {first['chance']['recall_at_m'][RADIUS]:.1f} %")


def _measured(model: MapModel, dataset: Dataset, split: str, search: str | None) -> dict[str, Any]:
    from justzoomin.evaluation import evaluate

    with progress_bar("measuring") as advance:
        return evaluate(model, dataset, split, search=search, limit=PHOTOS, progress=advance).report


def _words(report: dict[str, Any]) -> str:
    """Return a recall with its interval and, if so, that it cannot be told apart from chance."""
    low, high = report["intervals_95"]["recall_at_m"][RADIUS]
    chance = report["chance"]["recall_at_m"][RADIUS]
    told = "" if low > chance else "   no better than chance: these photos do not show that the model has learned anything"
    return f"{report['recall_at_m'][RADIUS]:.1f} % [{low:.1f}, {high:.1f}]{told}"
