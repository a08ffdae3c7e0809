"""`jzi localize`: photos in, positions out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.console import DEVICE_HELP, REGION_HELP, err, out, print_json, progress_bar, region_option

if TYPE_CHECKING:
    from justzoomin.search import Fix

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def localize(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    model: Annotated[str, typer.Option("--model", help="Model folder or hub id.")],
    map_root: Annotated[Path, typer.Option("--map", help="Folder of the map, or of a dataset.")],
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, an object per photo.")] = False,
    geojson: Annotated[Path | None, typer.Option("--geojson", help="File to write points and cells to.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="PNG to draw the zoom paths into.")] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
) -> None:
    """Say where photos were taken. EXIF orientation is respected, EXIF position never used.

    A photo that cannot be used is reported and the others are still done; the exit code is 0 only if all succeeded.
    """
    from justzoomin.errors import JustZoomInError
    from justzoomin.search import Localizer

    files = expand(photos)
    localizer = Localizer.load(model, map_root, region_option(region), device)
    rows: list[dict[str, Any]] = []
    fixes: list[Fix] = []
    with progress_bar("photos") as advance:
        for done, (file, result) in enumerate(zip(files, localizer.localize_many(files), strict=True), 1):
            if isinstance(result, JustZoomInError):
                rows.append({"photo": str(file), "error": str(result)})
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
    if figure is not None and fixes:
        from justzoomin.figures import localize_figure

        err().print(f"figure: {localize_figure(fixes, localizer, figure)}")
    raise typer.Exit(0 if len(fixes) == len(files) else 1)


def expand(paths: list[Path]) -> list[Path]:
    """Files as given, folders replaced by the photos in them, by name.

    Raises:
        PhotoError: If a folder holds no photo.
    """
    from justzoomin.errors import PhotoError

    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
        if not inside:
            raise PhotoError(path, "the folder holds no photo", f"Photos end in {', '.join(sorted(SUFFIXES))}.")
        files += inside
    return files


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    good = [r for r in rows if "error" not in r]
    if good:
        table = Table("photo", "lat", "lon", "sequence", "probability of each step", "cell", "radius 50 %", "seconds")
        for r in good:
            table.add_row(r["photo"], f"{r['lat']:.6f}", f"{r['lon']:.6f}", ",".join(map(str, r["sequence"])),
                          " ".join(f"{p:.2f}" for p in r["probabilities"]), f"{r['cell_size_m']:.3g} m",
                          f"{r['credible_radius_m']:.3g} m", f"{r['seconds']:.2f}")
        out().print(table)
    for r in rows:
        if "error" in r:
            typer.echo(f"error: {r['error']}", err=True)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)
