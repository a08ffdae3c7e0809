"""Consoles, progress bars, JSON output and options that many commands have."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from justzoomin.apps.shared.demo_names import model_named
from justzoomin.apps.shared.terminal import plain_bars, plain_console

if TYPE_CHECKING:
    from rich.console import Console

    from justzoomin.geometry import LatLon, ZoomGrid
    from justzoomin.maps import Map
    from justzoomin.search import Localizer

REGION_HELP = "Zoom grid to use: a region.yaml or the name of a preset (dc). Default: that of the map."
RAY_HELP = ("Run on a ray cluster: host:port of the cluster, auto for the cluster of this machine, or local for this machine "
            "alone. See docs/cluster.md.")
MAX_VIEWS_HELP = "Refuse to make more views than this. Default: 1,000,000. A grid of 4 x 4 cells has 69,905 at depth 5."
_MANY_VIEWS = 1000
"""From this number of views on, a note is printed before the wait: a grid of 4 x 4 cells has as many at depth 4 or more."""
PIXELS_HELP = "Side of the views in pixels, as the model uses them. Default: 384."
VIEWS_PRESET_HELP = "model preset that sets the size of the views: paper (384 px), small (48 px) ... Default: paper."
DEVICE_HELP = "Device to run the model on: auto, cpu, cuda, cuda:1, mps."
INDEX_HELP = "Index of the map for this model, made by jzi index."
BATCH_HELP = "Number of photos to encode at once."


def out() -> Console:
    """Return the console for results: standard output."""
    return plain_console(stderr=False)


def err() -> Console:
    """Return the console for progress and notes: standard error."""
    return plain_console(stderr=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    from justzoomin.spelling import json_text

    typer.echo(json_text(value))


def writable_file(path: Path, option: str) -> Path:
    """Check before the work that a file can be written, make its folder and return the path.

    Args:
        path: The file.
        option: Option that named the file, for error texts.

    Raises:
        ConfigError: If the path is a folder, or the file's folder cannot be made or is not writable.
    """
    from justzoomin.errors import ConfigError

    where = f"{option} {path}"
    if path.is_dir():
        raise ConfigError(where, "it is a folder", "Name a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(where, f"the folder cannot be made ({error.strerror})", "Name a file elsewhere.") from error
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(where, "the folder is not writable", "Name a file elsewhere.")
    return path


def single_model(model: str) -> str:
    """Return the folder or hub id of one model; `demo` is the packaged model.

    Raises:
        ModelError: If it is a run folder, which holds several models; the error names them.
    """
    model = model_named(model)
    folder = Path(model)
    if not (folder / "config.yaml").is_file() or (folder / "model.safetensors").is_file():
        return model
    from justzoomin.errors import ModelError

    inside = sorted(str(path.parent) for path in (folder / "models").glob("*/model.safetensors"))
    raise ModelError(model, "this is the folder of a training run, not of a model",
                     f"Give one of its models: {', '.join(inside)}." if inside else "The run has not saved a model yet.")


def metres(value: float) -> str:
    """Format metres: 6.25 m, 39.1 m, 7,071 m."""
    return f"{value:,.0f} m" if value >= 100 else f"{value:.3g} m"


def percent(share: float) -> str:
    """Format a share as percent: 0.021 %, 9 %, 73 %, 99.9 %."""
    return f"{100 * share:.{3 if share >= 0.995 else 2}g} %"


def position(text: str, option: str) -> LatLon:
    """Return the position of an option such as --at 54.5,3.0.

    Raises:
        ConfigError: If it is not a latitude and a longitude; the error says so if they look swapped.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.geometry import LatLon

    try:
        lat, lon = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} {text}", "it is not a position", "Give degrees as LAT,LON: 54.5,3.0.") from None
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        swapped = abs(lon) <= 90 and abs(lat) <= 180
        raise ConfigError(f"{option} {text}", "it is not a latitude and a longitude" + "; they look swapped" * swapped,
                          f"Give the latitude first: {option}={lon:g},{lat:g}." if swapped else "Give degrees, latitude first.")
    return LatLon(lat, lon)


def view_pixels(pixels: int | None, preset: str | None) -> int:
    """Return the side of the model's views in pixels: as given, otherwise that of a model preset, by default `paper`.

    Raises:
        ConfigError: If both are given.
        ModelError: If the preset is unknown.
    """
    from justzoomin.errors import ConfigError

    if pixels is not None and preset is not None:
        raise ConfigError("--pixels, --preset", "both set the size of the views", "Give one of them.")
    if pixels is not None:
        return pixels
    from justzoomin.models import model_preset

    return model_preset(preset or "paper").image_pixels


def region_option(region: str | None) -> ZoomGrid | None:
    """Return the grid of a --region option (name of a preset, or a file), or None if the option is not given."""
    if region is None:
        return None
    from justzoomin.geometry import find_grid

    return find_grid(region)


def tell_view_cache(source: Map, grid: ZoomGrid, pixels: int) -> None:
    """Print on standard error that views are read from a view cache, or why an existing cache is not used."""
    from justzoomin.maps import GridViews

    note = GridViews(source, grid, pixels).cache_note()
    if note is not None:
        typer.echo(note, err=True)


def prepare(localizer: Localizer) -> None:
    """Print on standard error what takes long before the first answer, and describe the map for a matcher."""
    cost = localizer.matching_cost()
    if cost is not None:
        typer.echo(f"posterior: the model describes {cost.pieces:,} pieces of map first (about {duration(cost.map_seconds)}; "
                   f"jzi index does it once for all runs), then looks for each photo in {cost.places:,} places, closely at up "
                   f"to {cost.looked:,} of them (about {duration(cost.photo_seconds)} a photo)", err=True)
        with progress_bar("describing the map") as advance:
            localizer.prepare(advance)
    if (ahead := localizer.views_ahead) >= _MANY_VIEWS:
        typer.echo(f"the posterior needs {ahead:,} views, which are drawn and encoded before the first photo; "
                   "jzi index stores them for later runs", err=True)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error, called with done and total; show nothing if that is not a terminal."""
    with stage_bars(label) as advance:
        yield lambda done, total: advance(label, done, total)


@contextmanager
def rate_bar(label: str) -> Iterator[Callable[[int, int, int], None]]:
    """Show a progress bar with rate and time left, called with done, how many of these were done before, and total.

    It is on standard error. If that is not a terminal, print a line after two seconds and then every ten seconds.
    """
    import time

    from rich.progress import BarColumn, MofNCompleteColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[pace]}")
    terminal, started = sys.stderr.isatty(), time.monotonic()
    said = started - 8
    with plain_bars(*columns, disable=not terminal) as bars:
        task = bars.add_task(label, total=None, pace="")

        def advance(done: int, before: int, total: int) -> None:
            nonlocal said
            now = time.monotonic()
            rate = (done - before) / max(now - started, 1e-9)
            pace = f"{rate:,.1f} {label}/s  {duration((total - done) / rate)} left" if done > before else ""
            bars.update(task, completed=done, total=total, pace=pace)
            if not terminal and now - said > 10:
                said = now
                typer.echo(f"{done:,}/{total:,} {label}  {pace}", err=True)

        yield advance


def duration(seconds: float) -> str:
    """Format a time: 3 min 07 s, 2 h 05 min."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"


@contextmanager
def stage_bars(title: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """Show progress bars, one per stage, called with stage, done and total."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with plain_bars(*columns, disable=not sys.stderr.isatty()) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance
