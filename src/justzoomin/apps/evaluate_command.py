"""`jzi evaluate`: the published protocol, as a table and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from justzoomin.apps.console import DEVICE_HELP, REGION_HELP, out, progress_bar, region_option


def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder, hub id, or a run folder (every checkpoint in it).")],
    data: Annotated[Path, typer.Option("--data", help="Folder of the dataset.")],
    split: Annotated[str, typer.Option("--split", help="Name of the split.")] = "val",
    radius: Annotated[list[float] | None, typer.Option("--radius", help="One more X of R@Xm in metres; may repeat.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the report; else beside the model.")] = None,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Photos encoded at once.")] = 32,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the split's first so many photos.")] = None,
) -> None:
    """Decode greedily along the model's own views and print R@1, R@Xm, errors and step accuracies.

    Chance and the ceiling that the cell size sets stand beside the model's figures.
    """
    from justzoomin.data import open_dataset
    from justzoomin.evaluation import DEFAULT_RADII_M, evaluate_path, write_json

    radii = tuple(sorted({*DEFAULT_RADII_M, *(radius or ())}))
    dataset = open_dataset(data, region_option(region))
    with progress_bar("photos") as advance:
        results = evaluate_path(model, data, split, radii_m=radii, device=device, batch_size=batch_size, limit=limit,
                                dataset=dataset, progress=lambda _: advance)
    reports = {name: result.report for name, result in results.items()}
    print_reports(reports)
    written = write_json(next(iter(reports.values())) if len(reports) == 1 else {"checkpoints": reports},
                         json_file or _beside(model, split))
    typer.echo(f"report: {written}")


def _beside(model: str, split: str) -> Path:
    folder = Path(model)
    return (folder if folder.is_dir() else Path()) / f"evaluation-{split}.json"


def print_reports(reports: dict[str, dict[str, Any]]) -> None:
    """Print reports of one split as a table: a row per model, then chance and ceiling."""
    from rich.table import Table

    first = next(iter(reports.values()))
    radii = list(first["recall_at_m"])
    table = Table("", "R@1", *(f"R@{r}m" for r in radii), "median m", "mean m",
                  title=f"{first['n']} photos of split {first['split']}, percent and metres [95 % interval]")
    rows = [*reports.items(), ("chance", first["chance"]), ("ceiling", first["ceiling"])]
    for name, row in rows:
        wide = row["intervals_95"]
        cells = [_cell(row["recall_at_1"], wide["recall_at_1"])]
        cells += [_cell(row["recall_at_m"][r], wide["recall_at_m"][r]) for r in radii]
        cells += [_cell(row["median_m"], wide["median_m"]), _cell(row["mean_m"], wide["mean_m"])]
        table.add_row(name, *cells)
    console = out()
    console.print(table)
    for name, report in reports.items():
        steps = "  ".join(f"{s['value']:.1f}" for s in report["step_accuracy"])
        console.print(f"{name}: accuracy per step given the right path before it: {steps} %")
    protocol = first["protocol"]
    console.print(f"protocol: {protocol['decoding']}; gallery: {protocol['gallery']} of {protocol['cell_size_m']:g} m; "
                  f"distance: {protocol['distance']}. Ceiling: always the true cell. Chance: a cell at random.")
    if any(r["trained_on_this_split"] for r in reports.values()):
        console.print("NOTE: these are the photos the model was trained on; the figures say nothing about other photos.")


def _cell(value: float, interval: list[float]) -> str:
    return f"{value:.1f} [{interval[0]:.1f}, {interval[1]:.1f}]"
