"""`jzi data verify`: check every file of a dataset and report whether it can be used for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from justzoomin.apps.shared.console import REGION_HELP, out, print_json, region_option, stage_bars, writable_file
from justzoomin.apps.shared.dataset_options import GroundOption, LayoutOption, MetadataOption, places


def verify(
    root: Annotated[Path | None, typer.Argument(help="Folder of the dataset, as downloaded or extracted.")] = None,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="File to write the JSON report to.")] = None,
    tiles: Annotated[bool, typer.Option(help="Also decode the map's tiles.")] = True,
    hashes: Annotated[bool, typer.Option(help="Compare downloaded files with the hub's hashes.")] = True,
    limit: Annotated[int, typer.Option(help="Largest number of problems to print. All are counted.", min=0)] = 50,
    metadata_csv: MetadataOption = None,
    ground_root: GroundOption = None,
    tile_layout: LayoutOption = None,
    workers: Annotated[int | None, typer.Option(
        help="Number of threads. Default: one more than cores.", min=1, max=256)] = None,
) -> None:
    """Check every archive, record, photo and tile of a dataset. Nothing is changed.

    The exit code is 1 if the dataset cannot be used for training.
    """
    from justzoomin.checks import verify_repository
    from justzoomin.errors import DataError
    from justzoomin.files import write_json

    named = places(root, metadata_csv, ground_root, tile_layout)
    if not named.root.is_dir():
        raise DataError(named.root, "there is no such folder", "Give the folder that holds the dataset.")
    if report is not None:
        writable_file(report, "--report")
    grid = region_option(region)
    with stage_bars() as advance:
        found = verify_repository(named, grid, tiles=tiles, hashes=hashes, workers=workers, progress=advance)
    values = {"root": str(named.root), **found.to_dict()}
    if report is not None:
        write_json(values, report)
    if as_json:
        print_json(values)
    else:
        _print(values, limit)
    raise typer.Exit(0 if found.ok else 1)


def _print(values: dict[str, Any], limit: int) -> None:
    if values["counts"]:
        out().print("checked: " + ", ".join(f"{v:,} {k.replace('records_', 'records of ')}"
                                              for k, v in values["counts"].items()), markup=False)
    problems, total = values["problems"], values["errors"] + values["warnings"]
    for problem in problems[:limit]:
        mark = "" if problem["severity"] == "error" else "warning: "
        typer.echo(f"{problem['kind']:<14} {problem['split']:<6} {mark}{problem['item']}: {problem['detail']}")
    if total > limit:
        typer.echo(f"... and {total - min(limit, len(problems))} more")
    if not total:
        typer.echo("no problem found")
        return
    kinds = ", ".join(f"{v:,} {k}" for k, v in values["kinds"].items())
    if values["errors"]:
        typer.echo(f"{total:,} problem{'s' * (total > 1)}: {kinds}")
        typer.echo("this dataset cannot be trained on")
    else:
        typer.echo(f"{total:,} warning{'s' * (total > 1)}: {kinds}")
        typer.echo("this dataset can be trained on")
