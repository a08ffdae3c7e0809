"""`jzi localize`: photos in, positions out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.console import (
    DEVICE_HELP,
    REGION_HELP,
    metres,
    print_json,
    progress_bar,
    region_option,
    single_model,
    writable_file,
)

if TYPE_CHECKING:
    from justzoomin.errors import JustZoomInError
    from justzoomin.search import Fix

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}
NO_DATA_WORTH_SAYING = 0.5
"""Share of the whole map without data above which a person should be told."""


def localize(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    model: Annotated[str, typer.Option("--model", help="Model folder or hub id.")],
    map_root: Annotated[str, typer.Option("--map", help="Folder of the map or of a dataset, tile package, or address "
                                                         "template of a tile server.")],
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, an object per photo.")] = False,
    geojson: Annotated[Path | None, typer.Option("--geojson", help="GeoJSON file for points and cells (lon, lat).")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Picture file (PNG) to draw the zoom paths into.")] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    runtime: Annotated[str, typer.Option("--runtime", help="What runs the encoder: torch; onnx, after jzi export; or "
                                                           "the path of an exported file.")] = "torch",
) -> None:
    """Say where photos were taken. EXIF orientation is respected, EXIF position never used.

    Prints latitude and longitude in degrees (WGS 84), the zoom sequence, the model's probability of each step and the cell's
    size. A photo that cannot be used is reported and the others are still done; the exit code is 0 only if all succeeded.
    """
    from justzoomin.errors import JustZoomInError
    from justzoomin.search import Localizer

    for path, option in ((geojson, "--geojson"), (figure, "--figure")):
        if path is not None:
            writable_file(path, option)
    if figure is not None:
        from justzoomin.figures import check_format

        check_format(figure)
    files = expand(photos)
    localizer = Localizer.load(single_model(model), map_root, region_option(region), device, runtime=runtime)
    rows: list[dict[str, Any]] = []
    fixes: list[Fix] = []
    with progress_bar("photos") as advance:
        for done, file in enumerate(files, 1):
            result = file if isinstance(file, JustZoomInError) else next(localizer.localize_many([file]))
            if isinstance(result, JustZoomInError):
                rows.append({"photo": result.where if isinstance(file, JustZoomInError) else str(file), "error": str(result)})
            else:
                rows.append(result.to_dict())
                fixes.append(result)
            advance(done, len(files))
    if as_json:
        print_json(rows)
    else:
        _print(rows)
    if geojson is not None:
        features = [feature for fix in fixes for feature in fix.to_geojson()]
        _write(geojson, json.dumps({"type": "FeatureCollection", "features": features}, indent=1))
        typer.echo(f"geojson: {geojson}", err=True)
    if figure is not None and fixes:
        from justzoomin.figures import localize_figure

        typer.echo(f"figure: {localize_figure(fixes, localizer, figure)}", err=True)
    elif figure is not None:
        typer.echo(f"no figure: no photo was localized, {figure} is not written", err=True)
    raise typer.Exit(0 if len(fixes) == len(files) else 1)


def expand(paths: list[Path]) -> list[Path | JustZoomInError]:
    """Files as given, folders replaced by the photos in them, by name; an error in the place of a folder without any."""
    from justzoomin.errors import PhotoError

    files: list[Path | JustZoomInError] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        try:
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
        except OSError as error:
            files.append(PhotoError(path, f"the folder cannot be read ({error.strerror})", "Give a readable folder."))
            continue
        files += inside or [PhotoError(path, "the folder holds no photo", f"Photos end in {', '.join(sorted(SUFFIXES))}.")]
    return files


def _print(rows: list[dict[str, Any]]) -> None:
    """A few lines per photo: no terminal is too narrow for them."""
    for r in rows:
        if "error" in r:
            typer.echo(f"error: {r['error']}", err=True)
            continue
        steps = " ".join(f"{p:.2f}" for p in r["probabilities"])
        typer.echo(f"{r['photo']}\n"
                   f"  position  {r['lat']:.6f} {r['lon']:.6f}   cell of {metres(r['cell_size_m'])}, "
                   f"50 % within {metres(r['credible_radius_m'])}\n"
                   f"  sequence  {','.join(map(str, r['sequence']))}   probabilities {steps}   {r['seconds']:.2f} s")
        if r["no_data"][0] > NO_DATA_WORTH_SAYING or max(r["no_data"]) >= 1:
            typer.echo("  no data   " + " ".join(f"{share:.0%}" for share in r["no_data"]) + " of the views on this path")


def _write(path: Path, text: str) -> None:
    from justzoomin.files import write_bytes

    write_bytes(path, (text + "\n").encode())
