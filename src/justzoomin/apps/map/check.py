"""`jzi map check`: find out before training whether a map suits the grid."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import (
    PIXELS_HELP,
    REGION_HELP,
    VIEWS_PRESET_HELP,
    metres,
    out,
    print_json,
    region_option,
    stage_bars,
    view_pixels,
    writable_file,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from justzoomin.checks import MapCheck
    from justzoomin.maps import Map


def check(
    root: Annotated[str, typer.Argument(metavar="MAP", help="Folder of a map or dataset, or tile package.")], *,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    pixels: Annotated[int | None, typer.Option(help=PIXELS_HELP)] = None,
    preset: Annotated[str | None, typer.Option("--preset", help=f"Instead of --pixels: {VIEWS_PRESET_HELP}")] = None,
    sheet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a contact sheet of tiles to this "
                                                                    "file: png, pdf, svg, jpg or webp.")] = None,
    tiles: Annotated[int, typer.Option(help="Number of tiles to decode on each level that is used.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the choice of tiles and cells to check.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a map before training: coverage, missing and blank tiles, resolution, levels that nothing needs.

    A map without a region.yaml is checked in the region that `jzi region fit` proposes. Nothing is written.
    The exit code is 1 if the map cannot be used for training.
    If MAP is a dataset, photos at places without a tile are counted too.
    """
    from justzoomin.checks import check_map, open_proposed
    from justzoomin.maps import Map

    if sheet is not None:
        from justzoomin.figures import check_format

        check_format(writable_file(sheet, "--sheet"))
    edge = view_pixels(pixels, preset)
    source, proposed = open_proposed(root, pixels=edge) if region is None else (Map.open(root, region_option(region)), None)
    if proposed is not None:
        words = "" if pixels is None and preset is None else f" --pixels {edge}"
        typer.echo(f"note: the map has no region.yaml; checked in a proposed region, which `jzi region fit "
                   f"{shlex.quote(root)}{words} --write` writes", err=True)
    with stage_bars() as advance:
        checked = check_map(source, pixels=edge, tiles=tiles, seed=seed, places=_places(Path(root), source), progress=advance)
    if sheet is not None:
        from justzoomin.figures import contact_sheet, save_figure

        save_figure(contact_sheet(checked, source, source.attribution, seed=seed), sheet)
    if as_json:
        print_json({**checked.to_dict(), "region_proposed": proposed is not None,
                    "sheet": None if sheet is None else str(sheet)})
    else:
        print_check(checked)
        if sheet is not None:
            typer.echo(f"contact sheet: {sheet}")
    raise typer.Exit(1 if checked.problems else 0)


def print_check(checked: MapCheck) -> None:
    """Print the findings and then the verdict."""
    from rich.table import Table

    console, grid = out(), checked.grid
    centre = grid.region.centre
    console.print(f"region: {metres(grid.region.size_m)} around {centre.lat:.6f} {centre.lon:.6f} (lat lon), grid {grid.grid} "
                  f"x {grid.grid}, depth {grid.depth}, terminal cells of {metres(grid.cell_size_m(grid.depth))}")
    side = "west" if checked.convergence_deg < 0 else "east"
    console.print(f"projection: {checked.crs}, grid north is {abs(checked.convergence_deg):.2f} degrees {side} of true north; "
                  f"tile x grows {checked.tile_axes[0]}, tile y {checked.tile_axes[1]}; views are drawn north up", markup=False)
    scale = checked.scale
    console.print(f"scale error: at most {abs(scale.error):.2%}; a view of {scale.size_m:,.2f} m at {scale.lat:.5f} "
                  f"{scale.lon:.5f} shows {scale.across_m:,.2f} m across and {scale.down_m:,.2f} m down")
    words = {"full": "yes", "just": "just", "enlarged": "enlarged", "missing": "NO TILES", "too_large": "TOO FINE"}
    views = Table(title=f"Views of {checked.pixels} px from {checked.root}")
    for name in ("level", "side", "m/px wanted", "map level", "m/px map", "tiles a side", "served"):
        views.add_column(name, justify="right")
    for need in (level.need for level in checked.levels):
        views.add_row(str(need.level), metres(need.size_m), f"{need.metres_per_pixel:.3g}", str(need.map_level),
                      f"{need.map_metres_per_pixel:.3g}", f"{need.tiles_across:.1f}", words[need.service])
    console.print(views)
    covered = Table(title="Coverage of the region")
    for name in ("level", "map level", "covers", "cells", "empty", "partly", "tiles", "missing"):
        covered.add_column(name, justify="right")
    for level in checked.levels:
        covered.add_row(str(level.need.level), str(level.need.map_level), f"{level.coverage:.1%}", f"{level.looked_at:,}",
                        f"{level.empty:,}", f"{level.partly:,}", f"{level.tiles_needed:,}", f"{level.tiles_missing:,}")
    console.print(covered)
    if checked.places:
        for level in checked.levels:
            if level.places_without:
                console.print(f"photos without a tile on map level {level.need.map_level}: {level.places_without:,} of "
                              f"{checked.places:,}")
    for level in checked.levels:
        if level.first_missing:
            some = ", ".join(f"{x}/{y} at {lat:.5f} {lon:.5f}" for x, y, lat, lon in level.first_missing[:3])
            console.print(f"missing on map level {level.need.map_level}: {some}"
                          + (f" and {level.tiles_missing - 3:,} more" if level.tiles_missing > 3 else ""), markup=False)
    samples = Table(title="Tiles decoded, by map level")
    for name in ("level", "tiles", "read", "broken", "white", "black", "part", "blank px", "detail"):
        samples.add_column(name, justify="right")
    for quality in checked.qualities:
        samples.add_row(str(quality.level), f"{quality.tiles:,}", f"{quality.sampled:,}", str(len(quality.broken)),
                        str(len(quality.solid_white)), str(len(quality.solid_black)), str(quality.part_blank),
                        f"{quality.white + quality.black:.1%}",
                        "-" if quality.sharpness is None else f"{quality.sharpness:.2f}")
    console.print(samples)
    console.print("white, black: tiles of this colour only; part: tiles that are partly blank; blank px: share of "
                  "all pixels; detail: energy of the finest octave divided by that of the strongest; below 0.05 the imagery "
                  "looks enlarged")
    if checked.unused:
        levels = ", ".join(str(level) for level, _, _ in checked.unused)
        size = sum(size for _, _, size in checked.unused)
        console.print(f"no view needs map level {levels}: {size / 1e6:,.1f} MB can be left out at this grid and view size")
    for problem in checked.problems:
        console.print(f"problem: {problem}", markup=False)
    for warning in checked.warnings:
        console.print(f"warning: {warning}", markup=False)
    console.print(f"verdict: {checked.verdict}")


def _places(root: Path, source: Map) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Return the positions of a dataset's photos inside the region, or None if the folder holds only a map."""
    import numpy as np

    from justzoomin.data import find_splits, read_split

    splits = [read_split(path, name) for name, path in (find_splits(root) if root.is_dir() else {}).items()]
    if not splits:
        return None
    lat, lon = (np.concatenate([getattr(split, axis) for split in splits]) for axis in ("lat", "lon"))
    possible = (np.abs(lat) <= 90) & (np.abs(lon) <= 360)
    lat, lon = lat[possible], lon[possible]
    inside = source.grid.encode_masked(lat, lon)[1]
    return lat[inside], lon[inside]
