"""`jzi evaluate`: measure a model under the published protocol, as a table and as JSON."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.score import headings_lines
from justzoomin.apps.shared import heading_options as headings
from justzoomin.apps.shared.camera_options import FovOption, cameras_from_option
from justzoomin.apps.shared.console import (
    BATCH_HELP,
    DEVICE_HELP,
    INDEX_HELP,
    REGION_HELP,
    out,
    prepare,
    region_option,
    single_model,
    stage_bars,
    writable_file,
)
from justzoomin.apps.shared.dataset_options import GroundOption, LayoutOption, MetadataOption, places
from justzoomin.apps.shared.demo_names import is_packaged, model_named

if TYPE_CHECKING:
    from rich.table import Table

    from justzoomin.evaluation import Compass


DEFAULT_LISTED = 64
"""The same as `justzoomin.scoring.DEFAULT_LISTED`, which is not imported for the help."""


def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder, hub id, or run folder (measures every checkpoint in it).")],
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the dataset.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Name of the split. Default: val, or the split of --metadata-csv."
                                              )] = None,
    radius: Annotated[list[float] | None, typer.Option(
        "--radius", help="Another radius X of R@Xm in metres; may be repeated. Always reported: 40, 50, 100.")] = None,
    json_file: Annotated[Path | None, typer.Option(
        "--json", help="File for the report. Default: evaluation-SPLIT.json in the model's folder, or in the current "
                       "folder for the packaged model.")] = None,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help=BATCH_HELP)] = 32,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only this many photos, from the start of the split.")] = None,
    index: Annotated[Path | None, typer.Option("--index", help=INDEX_HELP)] = None,
    search: Annotated[str | None, typer.Option(
        "--search", help="How to search: greedy, beam:K or posterior. Default: greedy, as published; posterior for models that "
                         "do not zoom.")] = None,
    decide: Annotated[str | None, typer.Option(
        "--decide", help="How to choose answers from a posterior: within:METRES, distance, top. Default: within:40.")] = None,
    calibrated: Annotated[bool, typer.Option(
        "--calibration/--no-calibration", help="For a posterior, use the calibration in the model's folder.")] = True,
    fov: FovOption = None,
    predictions: Annotated[Path | None, typer.Option(
        "--predictions", help="Write the prediction of every photo to this file (.parquet), for jzi score.")] = None,
    method: Annotated[str | None, typer.Option(
        "--method", help="With --predictions: name of the table row. Default: the search.")] = None,
    metadata_csv: MetadataOption = None,
    ground_root: GroundOption = None,
    tile_layout: LayoutOption = None,
    heading_from: Annotated[str | None, typer.Option(
        "--heading-from", help="Tell the model the photos' headings: compass (column bearing_deg of the dataset). Default: "
                               "it is not told.")] = None,
    heading_sigma: headings.SigmaOption = None,
    heading_noise: Annotated[float, typer.Option(
        "--heading-noise", min=0, max=180, help="Degrees of Gaussian error to add to these headings.")] = 0.0,
    listed: Annotated[int, typer.Option(
        "--listed", min=0, help="With --predictions: cells of a posterior to store per photo; 0 for all.")] = DEFAULT_LISTED,
) -> None:
    """Measure a model on a split: R@1, R@Xm, errors in metres, accuracy per step.

    By default it zooms greedily along the views that the model chooses, as published.
    The table also shows chance and the ceiling that the cell size sets.
    For a run folder it compares all checkpoints in it.
    """
    from justzoomin.data import open_dataset
    from justzoomin.errors import ConfigError
    from justzoomin.evaluation import evaluate_path
    from justzoomin.files import write_json
    from justzoomin.maps import cache_notes
    from justzoomin.scoring import DEFAULT_RADII_M, write_predictions

    for value in radius or ():
        if not 0 < value < math.inf:
            raise ConfigError(f"--radius {value:g}", "it is not a distance", "Give metres above 0.")
    compass = _compass(heading_from, heading_sigma, heading_noise)
    radii = tuple(sorted({*DEFAULT_RADII_M, *(radius or ())}))
    cameras = cameras_from_option(fov, panoramas=False)
    model = model_named(model)
    named = places(data, metadata_csv, ground_root, tile_layout)
    split = split or named.split or "val"
    target = writable_file(json_file or _beside(model, split), "--json")
    keep = None if predictions is None else writable_file(predictions, "--predictions")
    if keep is not None:
        single_model(model)
    dataset = open_dataset(named, region_option(region))
    with stage_bars() as advance:
        results = evaluate_path(model, dataset.root, split, device=device, dataset=dataset, calibrated=calibrated,
                                progress=lambda name: functools.partial(advance, name), radii_m=radii, batch_size=batch_size,
                                limit=limit, index=index, search=search, decision=decide, listed=listed or None, method=method,
                                cameras=cameras, prepare=prepare, compass=compass)
    for note in cache_notes(dataset.map):
        typer.echo(note, err=True)
    reports = {name: result.report for name, result in results.items()}
    print_reports(reports)
    typer.echo(f"report: {write_json(summary(reports), target)}")
    if keep is not None:
        typer.echo(f"predictions: {write_predictions(keep, next(iter(results.values())).table)}")


def _compass(kind: str | None, sigma: float | None, noise: float) -> Compass | None:
    """Return the compass that the options ask for; None if they ask for none.

    Raises:
        ConfigError: If an option is wrong or has no effect.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.evaluation import Compass
    from justzoomin.posterior import DEFAULT_SIGMA_DEG

    if kind not in (None, "compass"):
        raise ConfigError(f"--heading-from {kind}", "unknown source of headings", "Choose compass.")
    if kind is None:
        if sigma is not None or noise:
            raise ConfigError("--heading-sigma" if sigma is not None else "--heading-noise", "there is no heading",
                              "Give --heading-from compass, or leave it out.")
        return None
    if sigma is not None and not 1.0 <= sigma <= 180.0:
        raise ConfigError(f"--heading-sigma {sigma:g}", "it is not in 1 .. 180", "Give degrees.")
    return Compass(DEFAULT_SIGMA_DEG if sigma is None else sigma, noise)


def summary(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One report as it is; of several the one of `best` (else the last), and all of them under `checkpoints`."""
    if len(reports) == 1:
        return next(iter(reports.values()))
    chosen = "best" if "best" in reports else list(reports)[-1]
    return {**reports[chosen], "checkpoint": chosen, "checkpoints": reports}


def _beside(model: str, split: str) -> Path:
    folder = Path(model)
    return (folder if folder.is_dir() and not is_packaged(folder) else Path()) / f"evaluation-{split}.json"


def print_reports(reports: dict[str, dict[str, Any]]) -> None:
    """Print reports of one split as a table with chance and ceiling, in 80 columns unless radii are many."""
    console = out()
    first = next(iter(reports.values()))
    console.print(_table(reports, first))
    for name, report in reports.items():
        steps = "  ".join(f"{s['value']:.1f}" for s in report["step_accuracy"])
        if steps:
            console.print(f"{name}: accuracy per step given the right path before it: {steps} %", markup=False)
    for name, report in reports.items():
        for line in headings_lines(report.get("headings")):
            console.print(f"{name}: {line}", markup=False)
    protocol = first["protocol"]
    console.print(f"protocol: {protocol['decoding']}; gallery: {protocol['gallery']}; "
                  f"distance: {protocol['distance']}; intervals: {protocol['intervals']}. Ceiling: always the true cell. "
                  "Chance: a cell at random.")
    if any(r["trained_on_this_split"] for r in reports.values()):
        console.print("NOTE: these are the photos the model was trained on; the figures say nothing about other photos.")


def _table(reports: dict[str, dict[str, Any]], first: dict[str, Any]) -> Table:
    """One model: figures down, with the model, chance and ceiling beside each other. Several: a row for each."""
    from rich import box
    from rich.table import Table

    columns = {**reports, "chance": first["chance"], "ceiling": first["ceiling"]}
    radii = list(first["recall_at_m"])
    figures = ["R@1", *(f"R@{r}m" for r in radii), "median", "mean"]
    cells = {name: _cells(values, radii) for name, values in columns.items()}
    title = f"{first['n']:,} photos of split {first['split']}, percent"
    if len(reports) == 1:
        table = Table("", *columns, title=f"{title} and metres [95 % interval]", box=box.SIMPLE_HEAD)
        for row, figure in enumerate(figures):
            unit = "m" if figure in {"median", "mean"} else "%"
            table.add_row(f"{figure} {unit}", *(f"{value} [{low}, {high}]" for value, low, high in
                                               (cells[name][row] for name in columns)))
        return table
    table = Table("", *(f"{f} m" if f in {"median", "mean"} else f for f in figures), title=f"{title} and metres",
                  box=box.SIMPLE_HEAD)
    for name in columns:
        table.add_row(name, *(value for value, _, _ in cells[name]))
    return table


def _cells(values: dict[str, Any], radii: list[str]) -> list[tuple[str, str, str]]:
    """Value, low and high of every figure as text."""
    wide = values["intervals_95"]
    found = [(values["recall_at_1"], *wide["recall_at_1"])]
    found += [(values["recall_at_m"][r], *wide["recall_at_m"][r]) for r in radii]
    found += [(values["median_m"], *wide["median_m"]), (values["mean_m"], *wide["mean_m"])]
    return [(_number(a), _number(b), _number(c)) for a, b, c in found]


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 999.95 else f"{value:.0f}"
