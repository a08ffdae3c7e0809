"""`jzi map build`: make a map from orthophotos, tile servers and tile packages."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import VIEWS_PRESET_HELP, err, metres, out, stage_bars, view_pixels
from justzoomin.apps.shared.settings_options import Change, from_settings
from justzoomin.errors import ConfigError

if TYPE_CHECKING:
    from justzoomin.imagery import MapBuild, MapBuildConfig

_LABELS = {"tiles": "finest level", "levels": "levels above", "packing": "packing"}
_SOURCES = ("GeoTIFF, COG, JPEG 2000, VRT, folders of them, .mbtiles, .pmtiles, tile addresses. Where they overlap, the first "
            "is used.")


def _bands(text: str) -> list[float]:
    return _numbers("--bands", text, 3, "1,2,3")


def _area(text: str) -> list[float]:
    return _numbers("--area", text, 4, "52.1,13.2,52.3,13.5 (south,west,north,east)")


def _numbers(option: str, text: str, count: int, example: str) -> list[float]:
    """Return the numbers of an option such as 1,2,3.

    Raises:
        ConfigError: If there are more or fewer numbers, or one is not a number.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count:
        raise ConfigError(f"{option} {text}", f"it is not a list of {count} numbers", f"Write for example {example}.")
    return found


def _scheme(tms: bool) -> str:
    return "tms" if tms else "xyz"


@from_settings(
    "justzoomin.imagery:MapBuildConfig",
    {None: "crs gsd_m format stretch bands nodata area region preset attribution tile_px quality workers max_gigapixels "
           "tiles.layer tiles.matrix_set tiles.min_zoom tiles.max_zoom tiles.max_tiles tiles.requests_per_second "
           "tiles.tile_seconds tiles.max_hours tiles.scheme tiles.source_tile_px"},
    {"bands": Change(parse=_bands), "area": Change(parse=_area), "tiles.scheme": Change("--tms", _scheme, bool)})
def build(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=_SOURCES)],
    dest: Annotated[Path, typer.Argument(help="Folder of the map. It is made if missing; an interrupted build continues.")],
    settings: MapBuildConfig,
    preset: Annotated[str | None, typer.Option("--preset", help=f"Without --region: {VIEWS_PRESET_HELP}")] = None,
    no_region: Annotated[bool, typer.Option("--no-region", help="Do not propose a region, and write none.")] = False,
) -> None:
    """Build a map from imagery: tiles of every level, layout.yaml and region.yaml.

    Without --region, a region is proposed and written beside layout.yaml.
    If the build is interrupted, run the same command again: it continues.
    """
    from justzoomin.imagery import MapBuild

    if no_region and (settings.region is not None or preset is not None):
        raise ConfigError("--no-region", "--region or --preset is given as well", "Leave out one of them.")
    if preset is not None:
        view_pixels(None, preset)  # an unknown preset is refused before the work
    job = MapBuild(sources, dest, settings)
    _announce(job)
    with stage_bars("map") as advance:
        path = job.run(lambda stage, done, total: advance(_LABELS[stage], done, total))
    for note in job.holes():
        err().print(f"note: {note}", markup=False)
    out().print(f"{path}: {_summary(job)}")
    if settings.region is None and (no_region or not _place(path, preset)):
        out().print(f"next: jzi region fit {shlex.quote(str(path))} --write")
        return
    out().print(f"next: jzi map check {shlex.quote(str(path))}" + (f" --pixels {view_pixels(None, preset)}" if preset else ""))


def _place(path: Path, preset: str | None) -> bool:
    """Propose a region for the map and write it into the map's folder, unless one exists; return whether there is a region."""
    from justzoomin.apps.region import check_target, save
    from justzoomin.checks import fit_region, open_unplaced, region_path
    from justzoomin.errors import JustZoomInError

    target, pixels = region_path(path), view_pixels(None, preset)
    if target.exists():
        out().print(f"region: {target} exists and is not changed", markup=False)
        return True
    try:
        fitted = fit_region(open_unplaced(path), pixels=pixels)
        check_target(target, fitted.grid, force=False, tables=True)
    except JustZoomInError as error:
        err().print(f"note: no region was proposed: {error}", markup=False)
        return False
    save(fitted.grid, target, proposed=True)
    grid = fitted.grid
    lat, lon = grid.region.centre
    out().print(f"region: {grid.region.size_m:,.6g} m around {lat:.6f} {lon:.6f}, depth {grid.depth}, cells of "
                f"{metres(grid.cell_size_m(grid.depth))}, for views of {pixels} px (preset {preset or 'paper'}); written to "
                f"{target}", markup=False)
    for warning in fitted.warnings:
        err().print(f"warning: {warning}", markup=False)
    return True


def _announce(job: MapBuild) -> None:
    """Print on standard error what will be built, before the first byte is written."""
    plan, console = job.plan, err()
    if job.complete:
        console.print(f"{job.dest}: this map is complete; its tiles are not changed")
        return
    console.print(f"{'continuing with' if job.resumes else 'map in'} {plan.crs}, {plan.gsd_m:g} m per pixel, "
                  f"{plan.pixels / 1e6:,.0f} megapixels, up to {plan.tiles:,} tiles of level 0, levels {plan.min_zoom} to 0, "
                  f"about {job.bytes_estimate / 1e6:,.0f} MB on disk during the build")
    for remark in job.remarks():
        console.print(f"note: {remark}", markup=False)


def _summary(job: MapBuild) -> str:
    plan = job.plan
    return f"{plan.crs}, {plan.gsd_m:g} m per pixel, levels {plan.min_zoom} to 0"
