"""`jzi train`: train a model, or resume a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.shared.console import REGION_HELP, duration, region_option, tell_view_cache
from justzoomin.apps.shared.dataset_options import GroundOption, LayoutOption, MetadataOption, places
from justzoomin.apps.shared.demo_names import DEMO, model_named
from justzoomin.apps.shared.terminal import plain_bars
from justzoomin.apps.shared.train_figures import tell_figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from justzoomin.models import Compute
    from justzoomin.training import TrainConfig, TrainEstimate, TrainProgress


def train(
    out: Annotated[Path, typer.Option("--out", help="Folder of the run: settings, logs, states and models.")],
    data: Annotated[list[Path] | None, typer.Option(
        "--data", help="Folder of a dataset, or folder of several datasets; may be repeated.")] = None,
    preset: Annotated[str | None, typer.Option(
        "--preset", help="Settings to start from: see the list above. Default: paper, or finetune with --from.")] = None,
    start: Annotated[str | None, typer.Option(
        "--from", help="Model to start from: a folder, a hub id, or demo for the packaged model.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings that replace those of the preset.")] = None,
    settings: Annotated[list[str] | None, typer.Option(
        "--set", help="A single setting, such as epochs=5; may be repeated.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out where it stopped.")] = False,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    metadata_csv: MetadataOption = None,
    ground_root: GroundOption = None,
    tile_layout: LayoutOption = None,
) -> None:
    """Train a model. An interrupted run can be resumed at any point.

    \b
    paper         the published model and schedule; needs a GPU
    small         a zoomer for laptops: learns one town from tens of thousands of
                  photos and works only there
    best          a zoomer with a matcher: trained on many towns, it also works in
                  towns that it has never seen
    best-base     a matcher on DINOv2-base, for a whole city and a GPU
    finetune      your own town: a few hundred photos, from a model with a matcher
    retriever, hierarchical, classifier
                  other families, for comparison

    Your own town: jzi train --data CITY --from demo --out RUN

    Writes models/best (highest R@40m on the validation split) and models/last into --out.
    With several datasets (--data A --data B, or a folder of them) one model is trained on all their maps.
    At the end it prints the recall on validation photos and that of chance.
    For several GPUs use --set devices=4, or start it with torchrun. See docs/training.md for all settings.
    """  # noqa: D301 - \b keeps the lines of the list apart
    from justzoomin.data import open_dataset, open_datasets
    from justzoomin.training import train as run
    from justzoomin.training import train_config

    preset, words = _chosen(preset, start, config, settings or [])
    chosen = train_config(preset, config, words)
    if resume:
        _refuse_changes(out, preset, config, words)
    if data and (metadata_csv, ground_root, tile_layout) == (None, None, None):
        datasets = open_datasets(data, region_option(region))
    else:
        named = places(data[0] if data else None, metadata_csv, ground_root, tile_layout)
        datasets = [open_dataset(named, region_option(region))]
    if _is_first_process():
        for dataset in datasets:
            tell_view_cache(dataset.map, dataset.grid, _config_of(out, resume, chosen).model.image_pixels)
    try:
        with training_bar() as report:
            best = run(chosen, datasets, out, resume=resume, report=report, announce=_tell_cost)
    except SystemExit as stop:  # Lightning turns Ctrl-C into this
        card = (("--metadata-csv", metadata_csv), ("--ground-root", ground_root), ("--tile-layout", tile_layout))
        said = [*(("--data", folder) for folder in data or ()), *((option, path) for option, path in card if path)]
        named_again = " ".join(f"{option} {path}" for option, path in said)
        typer.echo(f"stopped; continue with: jzi train {named_again} --out {out} --resume", err=True)
        raise KeyboardInterrupt from stop
    if _is_first_process():
        typer.echo(f"run:   {out}\nmodel: {best}")
        tell_figures(best, datasets, chosen)


def _chosen(preset: str | None, start: str | None, file: Path | None, settings: list[str]) -> tuple[str, tuple[str, ...]]:
    """Return the preset and the settings, including the model to start from.

    Raises:
        ConfigError: If a model to start from is named twice.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.training import FINETUNE, train_config

    named = [word for word in settings if word.startswith("init=")]
    if start and named:
        raise ConfigError(f"--from {start}", f"--set {named[0]} also names a model to start from", "Keep one of them.")
    preset = preset or (FINETUNE if start else "paper")
    if preset == FINETUNE and not start and train_config(preset, file, tuple(settings)).init is None:
        start = DEMO
    return preset, (*settings, *([f"init={model_named(start)}"] if start else []))


def _tell_cost(cost: TrainEstimate, compute: Compute) -> None:
    """Print the estimated cost of a training before its first step."""
    from justzoomin.training import speed_of

    speed = speed_of(compute)
    weights, trained = cost.weights / 1e6, cost.trained / 1e6
    typer.echo(f"estimate: {weights:,.1f} million weights, {trained:,.1f} million of them trained; a step of {cost.photos} "
               f"photos needs {cost.step_flops / 1e12:,.3g} TFLOP and {cost.memory_bytes / 1e9:,.1f} GB of memory", err=True)
    typer.echo(f"estimate: {cost.steps:,} steps take {cost.hours(speed):,.1f} h at {speed / 1e12:,.3g} TFLOP/s "
               f"(40 % of a matrix product on this {compute.device}), without validation", err=True)


def _is_first_process() -> bool:
    return not int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0")


def _config_of(out: Path, resume: bool, chosen: TrainConfig) -> TrainConfig:
    """Return the settings that the run will have: a resumed run keeps its own."""
    from justzoomin.training import load_config

    saved = out / "config.yaml"
    return load_config(saved) if resume and saved.is_file() else chosen


def _refuse_changes(out: Path, preset: str, file: Path | None, settings: tuple[str, ...]) -> None:
    """Refuse new settings for a resumed run, which keeps the settings that it began with.

    Raises:
        ConfigError: If a file or `--set` differs from the settings of the run.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.training import load_config, train_config

    saved = out / "config.yaml"
    if not saved.is_file() or not (file or settings):
        return
    what = f"the run in {out} began with other settings, and a resumed run keeps them"
    remedy = f"Leave it out, or start a new run; --set init={out / 'models' / 'last'} starts from this run's weights."
    for word in settings:
        if train_config("paper", saved, (word,)) != load_config(saved):
            raise ConfigError(f"--set {word}", what, remedy)
    began = load_config(saved)
    asked = train_config(preset, file, settings)
    # The run recorded the depth of the dataset's grid; a file does not have to state it.
    asked = asked.model_copy(update={"model": asked.model.model_copy(update={"depth": began.model.depth})})
    if file is not None and asked != began:
        raise ConfigError(f"--config {file}", what, remedy)


@contextmanager
def training_bar() -> Iterator[Callable[[TrainProgress], None]]:
    """Show a bar with loss, photos/s and time left; without a terminal, print a line from time to time."""
    from rich.progress import BarColumn

    columns = ("epoch {task.fields[epoch]}", BarColumn(), "{task.completed}/{task.total} steps", "{task.fields[text]}")
    terminal = sys.stderr.isatty()
    with plain_bars(*columns, disable=not terminal, transient=False) as bars:
        task: list[Any] = []
        lines = [0.0]

        def report(now: TrainProgress) -> None:
            import time

            text = f"loss {now.loss:.3f}  {now.photos_per_s:.0f} photos/s  {duration(now.seconds_left)} left"
            text += "".join(f"  {k.removeprefix('val_')} {v:.1f}" for k, v in now.figures.items()
                            if k in {"val_median_m", "val_recall_40m"})
            if not task:
                task.append(bars.add_task("train", total=now.total_steps, epoch="", text=""))
            bars.update(task[0], completed=now.step, epoch=f"{now.epoch + 1}/{now.epochs}", text=text)
            if not terminal and time.monotonic() - lines[0] > 10:
                lines[0] = time.monotonic()
                typer.echo(f"epoch {now.epoch + 1}/{now.epochs}  step {now.step}/{now.total_steps}  {text}", err=True)

        yield report

