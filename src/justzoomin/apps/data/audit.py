"""`jzi data audit`: measure what training and validation share, and what that means for reported recall."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import REGION_HELP, metres, out, print_json, region_option, stage_bars, writable_file

if TYPE_CHECKING:
    from justzoomin.checks import AuditReport


def audit(
    root: Annotated[Path, typer.Argument(help="Folder of the dataset, as downloaded or extracted.")], *,
    train: Annotated[str, typer.Option(help="Name of the training split.")] = "train",
    val: Annotated[str, typer.Option(help="Name of the evaluated split.")] = "val",
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="File for a figure: png, pdf, svg, jpg or webp.")] = None,
    files: Annotated[bool, typer.Option(help="Compare the photo files; files of equal size are read.")] = True,
    photos: Annotated[bool, typer.Option("--photos", help="Decode all photos and also find nearly equal pictures.")] = False,
    workers: Annotated[int, typer.Option(help="Number of threads that read photos.", min=1)] = 4,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Audit a dataset for leaks between training and validation.

    Reports how close validation is to training in metres, drives, cells and bytes, and what that means.
    """
    from justzoomin.checks import audit as measure
    from justzoomin.data import open_dataset

    if figure is not None:
        from justzoomin.figures import check_format

        check_format(writable_file(figure, "--figure"))
    dataset = open_dataset(root, region_option(region))
    with stage_bars() as advance:
        report = measure(dataset, train, val, files=files, pictures=photos, workers=workers, progress=advance)
    if figure is not None:
        from justzoomin.figures import audit_figure, save_figure

        save_figure(audit_figure(report, dataset.attribution()), figure)
    if as_json:
        print_json({**report.to_dict(), "figure": None if figure is None else str(figure)})
        return
    print_audit(report)
    if figure is not None:
        typer.echo(f"figure: {figure}")


def print_audit(report: AuditReport) -> None:
    """Print an audit and then what it means."""
    from rich.table import Table

    console = out()
    console.print(f"{report.root}: {len(report.val):,} photos of {report.val_split} against {len(report.train):,} of "
                  f"{report.train_split}", markup=False)
    quantiles = ", ".join(f"{name} %: {metres(value)}" for name, value in report.quantiles_m.items())
    console.print(f"distance to the nearest training photo, quantiles: {quantiles}", markup=False)
    values = report.to_dict()
    table = Table(title=f"Photos of {report.val_split} near a training photo (recall of an oracle that answers with that "
                        "photo's place)")
    for radius in values["share_within_m"]:
        table.add_column(f"{radius} m", justify="right")
    table.add_row(*(f"{100 * share:.1f} %" for share in values["share_within_m"].values()))
    console.print(table)
    cells = Table(title="Cells that hold a training photo")
    for name in ("level", "side", "occupied", f"photos of {report.val_split} inside", "share"):
        cells.add_column(name, justify="right")
    for cell in report.cells:
        cells.add_row(str(cell.level), metres(cell.size_m), f"{cell.occupied:,}", f"{cell.val_photos:,}", f"{cell.share:.1%}")
    console.print(cells)
    console.print(f"in the terminal cell of their nearest training photo: {report.same_cell_as_nearest:.1%}")
    if report.sequences is None:
        console.print("drives: not listed in any table")
    else:
        drives = report.sequences
        console.print(f"drives ({drives.where}, {drives.column}): {drives.train:,} in training, {drives.val:,} in validation, "
                      f"{drives.shared:,} in both, with {drives.val_photos:,} validation photos", markup=False)
    console.print(f"ids in both splits: {len(report.same_ids):,}")
    if report.same_bytes is not None:
        console.print(f"equal files in both splits: {len(report.same_bytes):,} pairs"
                      + (f"; {len(report.unread):,} photos could not be read" if report.unread else ""))
    if report.same_pictures is not None:
        console.print(f"nearly equal pictures in both splits: {len(report.same_pictures):,} pairs")
    for kind, pairs in (("equal files", report.same_bytes or ()), ("nearly equal", report.same_pictures or ())):
        for one, other in pairs[:5]:
            console.print(f"  {kind}: {one} and {other}", markup=False)
    protocols = Table(title="Galleries: the cells an answer is chosen from, and chance")
    for name in ("gallery", "cells", "R@1", *(f"R@{radius}m" for radius in report.galleries[0].chance_recall_at_m)):
        protocols.add_column(name, justify="left" if name == "gallery" else "right")
    for gallery in report.galleries:
        protocols.add_row(gallery.name, f"{gallery.cells:,}", _chance(gallery.chance_recall_at_1),
                          *(_chance(value) for value in gallery.chance_recall_at_m.values()))
    console.print(protocols)
    for sentence in report.sentences:
        typer.echo(sentence)


def _chance(percent: float) -> str:
    """Return chance with two digits: 0.39 %, 19 %, 100 %."""
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"
