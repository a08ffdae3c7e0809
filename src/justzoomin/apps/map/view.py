"""`jzi map view`: draw a view of a map as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import REGION_HELP, out, position, print_json, region_option

if TYPE_CHECKING:
    from justzoomin.maps import Map, View

Root = Annotated[str, typer.Argument(help="Folder of a dataset or map, tile package (.mbtiles, .pmtiles), or address template "
                                     "of a tile server.")]
Region = Annotated[str | None, typer.Option("--region", help=REGION_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def view(
    root: Root, *,
    at: Annotated[str | None, typer.Option(metavar="LAT,LON", help="Centre in degrees. For western longitudes "
                                           "write --at=38.9,-77.0.")] = None,
    lat: Annotated[float | None, typer.Option(help="Latitude of the centre in degrees; with --lon instead of --at.")] = None,
    lon: Annotated[float | None, typer.Option(help="Longitude of the centre in degrees.")] = None,
    size_m: Annotated[float, typer.Option("--size-m", "--size", help="Side of the square in metres.")],
    to: Annotated[Path, typer.Option("--out", help="PNG file to write.")],
    pixels: Annotated[int, typer.Option(help="Side of the picture in pixels.")] = 384,
    bearing_deg: Annotated[float, typer.Option(help="Direction of the picture's top in degrees, clockwise from north.")] = 0.0,
    region: Region = None, as_json: AsJson = False,
) -> None:
    """Draw the view of a square as a PNG and print how much of it has no data.

    The map does not need a region.yaml.
    """
    from justzoomin.checks import open_unplaced
    from justzoomin.errors import ConfigError
    from justzoomin.maps import Map

    lat, lon = _centre(at, lat, lon)
    if to.suffix.lower() != ".png":
        raise ConfigError(f"--out {to}", "the name does not end in .png", "Views are written as PNG.")
    if not to.parent.is_dir() or to.is_dir():
        raise ConfigError(f"--out {to}", "the file's folder is missing, or this is a folder",
                          "Name a file in an existing folder.")
    source = open_unplaced(root) if region is None else Map.open(root, region_option(region))
    seen = _view(source, lat, lon, size_m, pixels, bearing_deg)
    try:
        _write_png(seen.pixels, to)
    except OSError as error:
        raise ConfigError(f"--out {to}", f"it cannot be written ({error.strerror})", "Name another file.") from error
    if seen.no_data == 1.0:
        typer.echo(f"warning: the map has no tile of level {seen.level} in this square; `jzi map info {root}` shows where it "
                   "has tiles", err=True)
    names = ("top_left", "top_right", "bottom_right", "bottom_left")
    corners = dict(zip(names, map(list, seen.square.corners), strict=True))
    if as_json:
        print_json({"out": str(to), "level": seen.level, "no_data": seen.no_data, "lat": lat, "lon": lon,
                    "size_m": size_m, "bearing_deg": bearing_deg, "pixels": pixels, "corners": corners})
        return
    console = out()
    console.print(f"{to}: {pixels} x {pixels} px, {size_m:g} m, bearing {bearing_deg:g}, from level {seen.level}")
    console.print(f"no data: {seen.no_data:.2%} of the view")


def _centre(at: str | None, lat: float | None, lon: float | None) -> tuple[float, float]:
    """Return the centre of a view from --at, or from --lat and --lon."""
    from justzoomin.errors import ConfigError

    if at is not None and lat is None and lon is None:
        return position(at, "--at")
    if at is not None or lat is None or lon is None:
        raise ConfigError("--at", "the centre of the view is missing, incomplete or given twice",
                          "Give --at LAT,LON, or --lat and --lon.")
    return lat, lon


def _view(source: Map, lat: float, lon: float, size_m: float, pixels: int, bearing_deg: float) -> View:
    """Return the view of a square.

    Raises:
        ConfigError: If the square shows nothing, but would show something with latitude and longitude swapped.
    """
    from justzoomin.errors import ConfigError, JustZoomInError

    found: View | JustZoomInError
    try:
        found = source.view(lat, lon, size_m, pixels, bearing_deg)
    except JustZoomInError as error:
        found = error
    if isinstance(found, JustZoomInError) or found.no_data == 1.0:
        if source.looks_swapped(lat, lon, size_m, pixels):
            raise ConfigError(f"position {lat:g}, {lon:g}", "the map shows nothing there; latitude and longitude look swapped",
                              f"Give the latitude first: --at={lon:g},{lat:g}.")
        if isinstance(found, JustZoomInError):
            raise found
    return found


def _write_png(pixels: object, path: Path) -> None:
    """Write a picture atomically.

    Raises:
        OSError: If the file cannot be written.
    """
    from PIL import Image

    from justzoomin.files import atomic_file

    with atomic_file(path) as file:
        Image.fromarray(pixels).save(file, "PNG")  # type: ignore[arg-type]
