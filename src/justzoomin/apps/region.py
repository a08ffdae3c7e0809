"""`jzi region`: find a region and depth that suit a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import (
    PIXELS_HELP,
    VIEWS_PRESET_HELP,
    err,
    metres,
    out,
    position,
    print_json,
    view_pixels,
    writable_file,
)
from justzoomin.apps.shared.lazy import command

if TYPE_CHECKING:
    from rich.console import Console

    from justzoomin.checks import RegionFit
    from justzoomin.geometry import ZoomGrid

_PROPOSED = b"# Proposed by jzi map build.\n"

app = typer.Typer(no_args_is_help=True, help="Regions: propose a region for a map.")


@app.callback()
def _group() -> None:
    """Regions: propose a region for a map."""


@command(app, "fit")
def fit(
    root: Annotated[str, typer.Argument(metavar="MAP", help="Folder of a map or dataset, tile package, or address "
                                        "template of a tile server. It does not need a region.yaml.")], *,
    pixels: Annotated[int | None, typer.Option(help=PIXELS_HELP)] = None,
    model_preset: Annotated[str | None, typer.Option("--preset", help=f"Instead of --pixels: {VIEWS_PRESET_HELP}")] = None,
    grid: Annotated[int, typer.Option(help="Cells per side of the grid, 2 to 8.")] = 4,
    cell_m: Annotated[float | None, typer.Option(help="Wanted side of a terminal cell in metres. Default: 39.")] = None,
    depth: Annotated[int | None, typer.Option(help="Number of zoom steps, instead of --cell-m.")] = None,
    size_m: Annotated[float | None, typer.Option(help="Side of the region in metres. Default: the "
                                                                  "largest that fits.")] = None,
    centre: Annotated[str | None, typer.Option(
        metavar="LAT,LON", help="Centre of the region in degrees. Default: where it fits "
                                               "best. For western longitudes write --centre=38.9,-77.0.")] = None,
    max_no_data: Annotated[float, typer.Option("--max-no-data", help="Largest share of the region without imagery.")] = 0.05,
    level: Annotated[int | None, typer.Option(help="Map level whose tiles are checked. Default: chosen automatically.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="File to write the region to.")] = None,
    write: Annotated[bool, typer.Option(
        "--write", help="Write region.yaml into the map's folder, where layout.yaml is.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing region.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Propose a region and a depth for a map, and print the figures behind them.

    The region is the largest north-up square that the imagery covers.
    The depth gives terminal cells near the wanted size, if the map has imagery for the finest views.
    Without --write and --out, the text of region.yaml is printed on standard output.
    """
    from justzoomin.checks import fit_region, open_unplaced, region_path

    source = open_unplaced(root)
    fitted = fit_region(source, pixels=view_pixels(pixels, model_preset), grid=grid, cell_m=cell_m, depth=depth, size_m=size_m,
                        no_data=max_no_data, centre=None if centre is None else position(centre, "--centre"), level=level)
    targets = [] if to is None else [writable_file(to, "--out")]
    if write:
        targets.append(region_path(root))
    for target in targets:
        check_target(target, fitted.grid, force, tables=write and target == targets[-1])
    for target in targets:
        save(fitted.grid, target)
    if as_json:
        print_json({"map": root, **fitted.to_dict(), "written": [str(target) for target in targets]})
        return
    print_fit(fitted, out() if targets else err(), root)
    for target in targets:
        typer.echo(f"written: {target}")
    if not targets:
        typer.echo(_text(fitted.grid), nl=False)


def print_fit(fitted: RegionFit, console: Console, root: str) -> None:
    """Print a proposal with figures, notes and warnings."""
    from rich.table import Table

    region, zoom = fitted.grid.region, fitted.grid
    console.print(f"region: {region.size_m:,.6g} m around {region.centre.lat:.6f} {region.centre.lon:.6f}, grid {zoom.grid} x "
                  f"{zoom.grid}, depth {zoom.depth}, {zoom.actions**zoom.depth:,} terminal cells of "
                  f"{metres(zoom.cell_size_m(zoom.depth))}")
    table = Table(title=f"What views of {fitted.pixels} px need of {root}")
    for name in ("level", "side", "m/px wanted", "map level", "m/px map", "tiles a side", "covers", "served"):
        table.add_column(name, justify="right")
    words = {"full": "yes", "just": "just", "enlarged": "enlarged", "missing": "NO TILES", "too_large": "TOO FINE"}
    for need, share in zip(fitted.needs, fitted.coverage, strict=True):
        table.add_row(str(need.level), metres(need.size_m), f"{need.metres_per_pixel:.3g}",
                      str(need.map_level), f"{need.map_metres_per_pixel:.3g}", f"{need.tiles_across:.1f}",
                      "?" if share is None else f"{share:.1%}", words[need.service])
    console.print(table)
    for note in fitted.notes:
        console.print(f"note: {note}", markup=False)
    if fitted.squares:
        offers = ", ".join(f"{square.no_data:.0%}: {metres(square.size_m)}" for square in fitted.squares if square.size_m)
        console.print(f"largest squares, by share without data: {offers}", markup=False)
    for warning in fitted.warnings:
        console.print(f"warning: {warning}", markup=False)


def check_target(target: Path, grid: ZoomGrid, force: bool, *, tables: bool) -> None:
    """Refuse to replace another region, or the region of existing split tables.

    Raises:
        ConfigError: If `force` is false and something would be replaced.
    """
    from justzoomin.errors import ConfigError, JustZoomInError
    from justzoomin.geometry import load_grid
    from justzoomin.untrusted import files_in

    if force:
        return
    if target.exists():
        try:
            if load_grid(target) == grid:
                return
        except JustZoomInError:
            pass
        if not target.read_bytes().startswith(_PROPOSED):
            raise ConfigError(target, "another region exists", "Give --force to replace it, or --out FILE.")
    if tables and (target.parent.name == "satellite") and any(
            path.suffix in {".csv", ".parquet"} for path in files_in(target.parent.parent / "metadata", "[!.]*")):
        raise ConfigError(target, "the dataset has split tables with sequences of the current region",
                          "Give --out FILE and use it with --region, or --force.")


def _text(grid: ZoomGrid) -> str:
    import yaml

    from justzoomin.geometry import grid_to_dict

    return yaml.safe_dump(grid_to_dict(grid), sort_keys=False)


def save(grid: ZoomGrid, target: Path, *, proposed: bool = False) -> None:
    """Write a region.yaml; a proposed one may be replaced without --force."""
    from justzoomin.files import write_bytes

    write_bytes(target, (_PROPOSED if proposed else b"") + _text(grid).encode())
