"""What all commands share: consoles, progress bars, printing JSON, regions from options."""

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

REGION_HELP = "Zoom grid to use: a region.yaml or the name of a preset (dc). Default: what the map states."
RAY_HELP = ("Share the work among the machines of a ray cluster: its host:port, auto for the one that this machine belongs to, "
            "local for this machine alone. See docs/cluster.md.")
MAX_VIEWS_HELP = "Refuse more views than this. Default: 1,000,000; a grid of 4 x 4 cells has 69,905 at depth 5."
_MANY_VIEWS = 1000
"""Views that are worth a word before the wait: those of a grid of 4 x 4 cells from depth 4 on."""
VIEWS_PRESET_HELP = ("Model preset that will look at the map, for the size of its views: paper (384 px), small (48 px) ... "
                     "Default: paper.")
DEVICE_HELP = "Where the model runs: auto, cpu, cuda, cuda:1, mps."


def out() -> Console:
    """Console for results."""
    return plain_console(stderr=False)


def err() -> Console:
    """Console for progress and remarks: standard error."""
    return plain_console(stderr=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    from justzoomin.spelling import json_text

    typer.echo(json_text(value))


def writable_file(path: Path, option: str) -> Path:
    """Find out before the work whether a file can be written; makes its folder, returns the path.

    Args:
        path: The file.
        option: Option that named it, for error texts.

    Raises:
        ConfigError: If it is a folder, or its folder cannot be made or written into.
    """
    from justzoomin.errors import ConfigError

    where = f"{option} {path}"
    if path.is_dir():
        raise ConfigError(where, "it is a folder", "Name a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(where, f"its folder cannot be made ({error.strerror})", "Name a file elsewhere.") from error
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(where, "its folder cannot be written into", "Name a file elsewhere.")
    return path


def single_model(model: str) -> str:
    """The name of one model, `demo` for the packaged one; a run folder holds several, and is refused with their names.

    Raises:
        ModelError: If it is a run folder.
    """
    model = model_named(model)
    folder = Path(model)
    if not (folder / "config.yaml").is_file() or (folder / "model.safetensors").is_file():
        return model
    from justzoomin.errors import ModelError

    inside = sorted(str(path.parent) for path in (folder / "models").glob("*/model.safetensors"))
    raise ModelError(model, "it is the folder of a training run, not of a model",
                     f"Give one of its models: {', '.join(inside)}." if inside else "It has saved no model yet.")


def metres(value: float) -> str:
    """Metres for people: 6.25 m, 39.1 m, 7,071 m."""
    return f"{value:,.0f} m" if value >= 100 else f"{value:.3g} m"


def percent(share: float) -> str:
    """A share for people: 0.021 %, 9 %, 73 %, 99.9 %."""
    return f"{100 * share:.{3 if share >= 0.995 else 2}g} %"


def position(text: str, option: str) -> LatLon:
    """The position of an option such as --at 54.5,3.0.

    Raises:
        ConfigError: If it is not a latitude and a longitude; it says so where they look swapped.
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
    """Edge of the views that a model looks at: as given, else that of a model preset, else that of `paper`.

    Raises:
        ConfigError: If both are given.
        ModelError: If there is no preset of that name.
    """
    from justzoomin.errors import ConfigError

    if pixels is not None and preset is not None:
        raise ConfigError("--pixels, --preset", "both say how large the views are", "Give one of them.")
    if pixels is not None:
        return pixels
    from justzoomin.models import model_preset

    return model_preset(preset or "paper").image_pixels


def region_option(region: str | None) -> ZoomGrid | None:
    """Grid of a --region option: a preset's name or a file; None where the option was not given."""
    if region is None:
        return None
    from justzoomin.geometry import find_grid

    return find_grid(region)


def tell_view_cache(source: Map, grid: ZoomGrid, pixels: int) -> None:
    """Say on standard error that views are read from a view cache, or why one that is there is not used."""
    from justzoomin.maps import GridViews

    note = GridViews(source, grid, pixels).cache_note()
    if note is not None:
        typer.echo(note, err=True)


def prepare(localizer: Localizer) -> None:
    """Say on standard error what takes long before the first photo has its answer, and describe the map for a matcher."""
    cost = localizer.matching_cost()
    if cost is not None:
        typer.echo(f"the posterior of this map: {cost.pieces:,} pieces of map are described once (about "
                   f"{duration(cost.map_seconds)}), then each photo is compared with {cost.places:,} places under "
                   f"{cost.bearings} bearings (up to about {duration(cost.photo_seconds)} a photo)", err=True)
        with progress_bar("describing the map") as advance:
            localizer.prepare(advance)
    if (ahead := localizer.views_ahead) >= _MANY_VIEWS:
        typer.echo(f"the posterior needs {ahead:,} views: they are drawn and encoded before the first photo; "
                   "jzi index keeps them for the next time", err=True)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, called with done and total; silent where that is no terminal."""
    with stage_bars(label) as advance:
        yield lambda done, total: advance(label, done, total)


@contextmanager
def rate_bar(label: str) -> Iterator[Callable[[int, int, int], None]]:
    """A progress bar with the rate and the time left, called with done, those of them done before, and total.

    On standard error; where that is no terminal, a line after two seconds and then every ten.
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
    """Time for people: 3 min 07 s, 2 h 05 min."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"


@contextmanager
def stage_bars(title: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars, one per stage, called with stage, done and total."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with plain_bars(*columns, disable=not sys.stderr.isatty()) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance
