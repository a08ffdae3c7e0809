"""Options for what is known about the place before the photo is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from justzoomin.geometry import ZoomGrid
    from justzoomin.posterior import Prior

CircleOption = Annotated[str | None, typer.Option("--prior-circle", metavar="LAT,LON,RADIUS",
                                                  help="The photo was taken within RADIUS metres of LAT,LON.")]
PolygonOption = Annotated[Path | None, typer.Option(
    "--prior-polygon", help="The photo was taken inside the polygons of this GeoJSON file.")]
RasterOption = Annotated[Path | None, typer.Option("--prior-raster", help="File with a weight for every place: a GeoTIFF in "
                                                                          "any projection, or a .npy array of the cells.")]
NearOption = Annotated[str | None, typer.Option("--near", metavar="LAT,LON", help="Position of the camera --seconds ago.")]
SecondsOption = Annotated[float | None, typer.Option("--seconds", help="With --near: seconds since then.")]
SpeedOption = Annotated[float, typer.Option("--speed", help="With --near: highest speed in metres per second.")]
DEFAULT_SPEED = 15.0


def prior_from_options(grid: ZoomGrid, circle: str | None, polygon: Path | None, raster: Path | None, near: str | None,
                       seconds: float | None, speed: float) -> Prior | None:
    """Return the prior that the options ask for, the product if there are several, or None without any.

    Args:
        grid: The grid that is searched.
        circle: `LAT,LON,RADIUS`.
        polygon: GeoJSON file.
        raster: GeoTIFF, or `.npy` of the lattice.
        near: `LAT,LON` of the last fix.
        seconds: Seconds since the last fix.
        speed: Highest speed in metres per second.

    Raises:
        ConfigError: If an option is wrong, or a file does not hold a prior.
        TileError: If the raster cannot be read.
    """
    from justzoomin.errors import ConfigError
    from justzoomin.posterior import Both, last_fix, read_polygons, weights_from_npy

    priors: list[Prior] = []
    if circle is not None:
        priors.append(circle_from_text(circle, "--prior-circle"))
    if polygon is not None:
        priors.append(read_polygons(polygon))
    if raster is not None:
        if raster.suffix.lower() == ".npy":
            priors.append(weights_from_npy(raster, grid))
        else:
            from justzoomin.posterior.rasters import weights_from_raster

            priors.append(weights_from_raster(raster, grid))
    if (near is None) != (seconds is None):
        raise ConfigError("--near", "--near and --seconds must be given together", "Give both.")
    if near is not None and seconds is not None:
        lat, lon = _numbers(near, "--near", 2)
        priors.append(last_fix(lat, lon, seconds, speed, radius_m=grid.cell_size_m(grid.depth)))
    return None if not priors else priors[0] if len(priors) == 1 else Both(tuple(priors))


def circle_from_text(text: str, where: str) -> Prior:
    """Return the circle of a text `LAT,LON,RADIUS`.

    Args:
        text: The text.
        where: The option or field, for errors.

    Raises:
        ConfigError: If it is not a circle.
    """
    from justzoomin.posterior import Circle

    return Circle(*_numbers(text, where, 3))


def _numbers(text: str, option: str, count: int) -> list[float]:
    from justzoomin.errors import ConfigError

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise ConfigError(f"{option} {text}", f"it is not a list of {count} numbers separated by commas",
                          "Write " + ("LAT,LON,RADIUS in degrees and metres." if count == 3 else "LAT,LON in degrees."))
    return values
