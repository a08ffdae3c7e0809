"""`jzi compare`: compare methods on the same photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.score import value_text
from justzoomin.apps.shared.console import out as console_of
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
    from justzoomin.scoring import Comparison


def compare(
    files: Annotated[list[Path], typer.Argument(help="Predictions files for the same photos.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for tables and figures.")],
    rows: Annotated[str | None, typer.Option(
        "--rows", help="Names of the files' rows, separated by commas. Default: the methods that the files name.")] = None,
    reference: Annotated[str | None, typer.Option(
        "--reference", help="Row to compare the others with. Default: the row of the first file.")] = None,
    train: Annotated[str | None, typer.Option(
        "--train", metavar="DATA:SPLIT", help="Training photos, for simple methods that use them without a model.")] = None,
    gallery: GalleryOption = "all",
    distance: DistanceOption = "sphere",
    map_root: MapOption = None,
    crs: CrsOption = None,
    radii: RadiiOption = None,
    areas: AreasOption = None,
    decide: DecideOption = None,
    intervals: IntervalsOption = "auto",
    seed: SeedOption = 0,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures.")] = True,
) -> None:
    """Compare stored predictions: a table with intervals, differences to a reference, figures.

    Files with the same name and different seeds become one row.
    The table always has rows for chance and for the ceiling that the cell size sets.
    See docs/scoring.md.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.scoring import compare as together
    from justzoomin.scoring import write_comparison

    rules = protocol(gallery, distance, map_root, crs, radii, areas, decide, intervals, seed)
    names = None if rows is None else [name.strip() for name in rows.split(",")]
    folder, _, split = (train or "").rpartition(":")
    if train is not None and not (folder and split):
        raise ConfigError(f"--train {train}", "it is not a dataset and a split", "Write DATA:SPLIT, such as town:train.")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}", "it is not a folder", "Name a folder.")
    found = together(files, rules, names=names, reference=reference, train=None if train is None else (folder, split))
    _print(found)
    written = write_comparison(found, out)
    if figures:
        from justzoomin.figures import comparison_figures, save_figure

        written += [save_figure(figure, out / f"{name}.png") for name, figure in comparison_figures(found).items()]
    for path in written:
        typer.echo(str(path))


def _print(found: Comparison) -> None:
    from rich import box
    from rich.table import Table

    if "warning" in found.protocol:
        typer.echo(f"warning: {found.protocol['warning']}", err=True)
    radii = list(found.rows[0].score.recall_at_m)
    main = f"recall_at_{radii[0]:g}m"
    table = Table("", "R@1 %", *(f"R@{r:g}m" for r in radii), "median m",
                  f"R@{radii[0]:g}m against {found.reference}",
                  title=f"{found.photos:,} photos of split {found.split} [95 % interval]", box=box.SIMPLE_HEAD)
    for row in found.rows:
        values = [row.score.recall_at_1, *row.score.recall_at_m.values(), row.score.median_m]
        change = row.changes.get(main)
        words = "" if change is None else (f"{change.difference.value:+.1f} [{change.difference.low:+.1f}, "
                                           f"{change.difference.high:+.1f}]")
        table.add_row(row.name, *(value_text(vars(value)) for value in values), words)
    console_of().print(table)
    typer.echo(f"intervals: {found.protocol['intervals']}")
