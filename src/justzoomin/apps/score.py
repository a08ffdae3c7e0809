"""`jzi score`: score stored predictions under any protocol, without a model."""

from __future__ import annotations

import functools
import operator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.shared.console import out, writable_file
from justzoomin.apps.shared.scoring_options import (
    AreasOption,
    CrsOption,
    DecideOption,
    DistanceOption,
    GalleryOption,
    IntervalsOption,
    MapOption,
    RadiiOption,
    SeedOption,
    protocol,
)

if TYPE_CHECKING:
    from rich.console import Console

    from justzoomin.scoring import PredictionTable


def score(
    files: Annotated[list[Path], typer.Argument(help="Predictions files from jzi evaluate --predictions. With --data also "
                                                     "tables of photo, lat, lon[, heading][, probability] (CSV, Parquet).")],
    data: Annotated[Path | None, typer.Option("--data", help="With tables of answers: dataset with the true places of the "
                                                             "photos.")] = None,
    split: Annotated[str, typer.Option("--split", help="With --data: split that the answers are for.")] = "val",
    gallery: GalleryOption = "all",
    distance: DistanceOption = "sphere",
    map_root: MapOption = None,
    crs: CrsOption = None,
    radii: RadiiOption = None,
    areas: AreasOption = None,
    decide: DecideOption = None,
    intervals: IntervalsOption = "auto",
    seed: SeedOption = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="JSON file for all figures; a list if there are several "
                                                                  "predictions files.")] = None,
    predictions: Annotated[Path | None, typer.Option(
        "--predictions", help="Write a table of answers as a predictions file (.parquet), for jzi compare.")] = None,
) -> None:
    """Score stored predictions or the answers of any other method: recalls, errors, calibration, cost.

    No model is run.
    For a method of your own, a table of photo, lat and lon is enough: see docs/scoring.md and docs/extending.md.
    To compare methods, use jzi compare.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.files import write_json
    from justzoomin.scoring import score_table, write_predictions

    rules = protocol(gallery, distance, map_root, crs, radii, areas, decide, intervals, seed)
    target = None if json_file is None else writable_file(json_file, "--json")
    kept = None if predictions is None else writable_file(predictions, "--predictions")
    if kept is not None and len(files) > 1:
        raise ConfigError("--predictions", f"there are {len(files)} tables", "Give one table.")
    tables = _tables(files, data, split)
    found = [(path, score_table(table, rules)) for path, table in zip(files, tables, strict=True)]
    console = out()
    for path, values in found:
        _print(console, path, values)
    if target is not None:
        reports = [values for _, values in found]
        typer.echo(f"report: {write_json(reports if len(reports) > 1 else reports[0], target)}")
    if kept is not None:
        typer.echo(f"predictions: {write_predictions(kept, tables[0])}")


def _tables(files: list[Path], data: Path | None, split: str) -> list[PredictionTable]:
    """Predictions files as they are, other tables as answers for the photos of the dataset's split."""
    from justzoomin.errors import ConfigError
    from justzoomin.scoring import is_predictions_file, read_answers, read_predictions

    answers = [path for path in files if path.is_file() and not is_predictions_file(path)]
    if answers and data is None:
        raise ConfigError(answers[0], "it is not a predictions file",
                          "To score a table of photo, lat and lon, name the dataset and split: --data TOWN --split val.")
    if not answers or data is None:
        return [read_predictions(path) for path in files]
    from justzoomin.data import open_dataset

    dataset = open_dataset(data)
    return [read_answers(path, dataset, split) if path in answers else read_predictions(path) for path in files]


def _print(console: Console, path: Path, values: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    words = values["protocol"]
    if "warning" in words:
        typer.echo(f"warning: {words['warning']}", err=True)
    columns = {values["method"]: values, "chance": values["chance"], "ceiling": values["ceiling"]}
    table = Table("", *columns, box=box.SIMPLE_HEAD,
                  title=f"{path.name}: {values['n']:,} photos of split {values['split']} [95 % interval]")

    def row(words: str, *keys: str) -> None:
        found = [functools.reduce(operator.getitem, keys, v) for v in columns.values()]
        table.add_row(words, figure_text(found[0]), *(value_text(figure) for figure in found[1:]))

    row("R@1 %", "recall_at_1")
    for radius in values["recall_at_m"]:
        row(f"R@{radius}m %", "recall_at_m", radius)
    row("median m", "median_m")
    row("mean m", "mean_m")
    for area in values["recall_at_area"]:
        row(f"in best {float(area):,.0f} m² %", "recall_at_area", area)
    console.print(table)
    for line in (*calibration_lines(values["calibration"]), *headings_lines(values.get("headings")), cost_line(values["cost"])):
        console.print(line, markup=False)
    console.print(f"protocol: gallery: {words['gallery']}; distance: {words['distance']}; answers: {words['decision']}; "
                  f"intervals: {words['intervals']}.", markup=False)
    if values["predictions"]["trained_on_this_split"]:
        console.print("NOTE: these are the photos the model was trained on; the figures say nothing about other photos.")


def headings_lines(found: dict[str, Any] | None) -> list[str]:
    """Return lines about headings; none if they are unknown."""
    if found is None:
        return []
    recalls = "  ".join(f"R@({name.replace('m_', ' m, ').replace('deg', ' deg')}) {figure_text(figure)} %"
                        for name, figure in found["recall_at_pose"].items())
    return [f"headings of {found['n']:,} photos: median error {figure_text(found['median_deg'])} deg; {recalls}"]


def figure_text(figure: dict[str, float] | None) -> str:
    """Return a figure with its interval for a cell of a table; a dash if it is not known."""
    if figure is None:
        return "-"
    return f"{_number(figure['value'])} [{_number(figure['low'])}, {_number(figure['high'])}]"


def value_text(figure: dict[str, float] | None) -> str:
    """Return a figure without its interval."""
    return "-" if figure is None else _number(figure["value"])


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 999.95 else f"{value:.0f}"


def calibration_lines(values: dict[str, Any]) -> list[str]:
    """Return what is known about the claims, one line each."""
    lines = []
    for level, region in values["regions"].items():
        if region["coverage"] is not None:
            c = region["coverage"]
            size = "" if region["median_m2"] is None else f"; median area {region['median_m2']:,.0f} m²"
            lines.append(f"region of {level} %: holds the place of {c['value']:.1f} % [{c['low']:.1f}, {c['high']:.1f}]{size}")
    if values["confidence"] is not None:
        claim = values["confidence"]["claims"]
        what = "the cell is right" if claim == "cell" else f"the place is within {claim.removeprefix('within:')} m"
        lines.append(f"confidence that {what}: expected calibration error {values['confidence']['ece']:.1f} %")
    if values["true_log_prob"] is not None:
        lines.append(f"log-probability of the true cell: {values['true_log_prob']:.3f} nats on average")
    return lines


def cost_line(cost: dict[str, float | None]) -> str:
    """Return what an answer costs."""
    names = {"views": "views of the map a photo", "ms": "ms a photo", "parameters": "parameters",
             "index_bytes": "bytes of index", "map_views": "views of the map in all"}
    known = [f"{cost[name]:,.4g} {words}" if name == "ms" else f"{cost[name]:,.0f} {words}"
             for name, words in names.items() if cost.get(name) is not None]
    return "cost: " + (", ".join(known) or "not known")
