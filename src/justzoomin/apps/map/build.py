"""`jzi map build`: from orthophotos, tile servers and packages to a map."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import REGION_HELP, VIEWS_PRESET_HELP, err, metres, out, stage_bars, view_pixels

if TYPE_CHECKING:
    from justzoomin.imagery import MapBuild, MapBuildConfig

_LABELS = {"tiles": "finest level", "levels": "levels above", "packing": "packing"}
_SOURCES = "GeoTIFF, COG, JPEG 2000, VRT, folders of them, .mbtiles, .pmtiles, tile addresses. The first lies on top."
_NUMBERS = {"bands": 3, "area": 4}


def build(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=_SOURCES)],
    dest: Annotated[Path, typer.Argument(help="Folder of the map; made if missing. An interrupted build goes on.")],
    crs: Annotated[str | None, typer.Option(
        help="Projection of the map, e.g. EPSG:32633. Default: the sources' own if it is true to metres, else UTM.")] = None,
    gsd_m: Annotated[float | None, typer.Option("--gsd-m", help="Metres per pixel of level 0. Default: the sources'.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Tiles as files: folder; or in TAR shards: tar.")] = "folder",
    stretch: Annotated[bool, typer.Option("--stretch", help="Bring values to 8 bits: 2nd to 98th percentile a band.")] = False,
    bands: Annotated[str | None, typer.Option(help="Red, green and blue, from 1: 1,2,3. Default: what the file says.")] = None,
    nodata: Annotated[float | None, typer.Option(help="Value that means no data, besides what the files state.")] = None,
    area: Annotated[str | None, typer.Option(help="Build only this, in degrees: south,west,north,east.")] = None,
    region: Annotated[str | None, typer.Option("--region", help=f"{REGION_HELP} It is put beside the map.")] = None,
    preset: Annotated[str | None, typer.Option("--preset", help=f"Without --region: {VIEWS_PRESET_HELP}")] = None,
    attribution: Annotated[str, typer.Option(help="Whom to name, besides what the sources state.")] = "",
    tile_px: Annotated[int, typer.Option("--tile-px", help="Edge of a tile, pixels.")] = 256,
    quality: Annotated[int, typer.Option(help="JPEG quality of the tiles.")] = 90,
    workers: Annotated[int | None, typer.Option(help="Threads that build. Default: all cores.")] = None,
    max_gigapixels: Annotated[float, typer.Option("--max-gigapixels", help="Refuse a larger map.")] = 25.0,
    layer: Annotated[str | None, typer.Option(help="Layer of a WMTSCapabilities.xml.")] = None,
    matrix_set: Annotated[str | None, typer.Option("--matrix-set", help="Its tile matrix set. Default: web mercator.")] = None,
    min_zoom: Annotated[int | None, typer.Option("--min-zoom", help="Coarsest level of a tile server.")] = None,
    max_zoom: Annotated[int | None, typer.Option("--max-zoom", help="Finest level to use of tiles.")] = None,
    max_tiles: Annotated[int, typer.Option("--max-tiles", help="Most tiles to fetch from a server.")] = 50_000,
    requests_per_second: Annotated[float | None, typer.Option("--requests-per-second", help="Pace at a tile server.")] = None,
    tile_seconds: Annotated[float, typer.Option("--tile-seconds", help="Seconds for one tile, all tries together.")] = 60.0,
    max_hours: Annotated[float, typer.Option("--max-hours", help="Hours in which a run may fetch tiles.")] = 24.0,
    tms: Annotated[bool, typer.Option("--tms", help="The server counts tile y from the south.")] = False,
    source_tile_px: Annotated[int, typer.Option("--source-tile-px", help="Edge of a server's tiles, pixels.")] = 256,
) -> None:
    """Build a map from imagery: tiles of every level and layout.yaml. Run again, an interrupted build goes on."""
    from justzoomin.imagery import MapBuild

    if preset is not None:
        view_pixels(None, preset)  # an unknown preset is refused before the work
    tiles = {"layer": layer, "matrix_set": matrix_set, "min_zoom": min_zoom, "max_zoom": max_zoom, "max_tiles": max_tiles,
             "requests_per_second": requests_per_second, "tile_seconds": tile_seconds, "max_hours": max_hours,
             "scheme": "tms" if tms else "xyz", "source_tile_px": source_tile_px}
    values: dict[str, object] = {
        "crs": crs, "gsd_m": gsd_m, "format": format_, "stretch": stretch, "bands": _numbers("bands", bands), "nodata": nodata,
        "area": _numbers("area", area), "region": region, "attribution": attribution, "tile_px": tile_px, "quality": quality,
        "max_gigapixels": max_gigapixels, "tiles": tiles}
    if workers is not None:
        values["workers"] = workers
    job = MapBuild(sources, dest, _settings(values))
    _announce(job)
    with stage_bars("map") as advance:
        path = job.run(lambda stage, done, total: advance(_LABELS[stage], done, total))
    for note in job.holes():
        err().print(f"note: {note}", markup=False)
    out().print(f"{path}: {_summary(job)}")
    if region is None and not _place(path, preset):
        out().print(f"next: jzi region fit {shlex.quote(str(path))}")
        return
    out().print(f"next: jzi map check {shlex.quote(str(path))}" + (f" --pixels {view_pixels(None, preset)}" if preset else ""))


def _place(path: Path, preset: str | None) -> bool:
    """Propose a region for the map and write it beside it, unless one is there; returns whether there is one then."""
    from justzoomin.apps.region import check_target, save
    from justzoomin.checks import fit_region, open_unplaced, region_path
    from justzoomin.errors import JustZoomInError

    target, pixels = region_path(path), view_pixels(None, preset)
    if target.exists():
        out().print(f"region: {target} is there and stays as it is", markup=False)
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


def _settings(values: dict[str, object]) -> MapBuildConfig:
    """Checked settings; a wrong one is named by its option.

    Raises:
        ConfigError: If one is wrong.
    """
    from pydantic import ValidationError

    from justzoomin.errors import ConfigError
    from justzoomin.imagery import MapBuildConfig

    try:
        return MapBuildConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        names = [str(part) for part in first["loc"] if isinstance(part, str) and part != "tiles"]
        option = "--" + (names[0].replace("_", "-") if names else "area")
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(option, message[:1].lower() + message[1:], "See `jzi map build --help`.") from error


def _numbers(name: str, text: str | None) -> list[float] | None:
    """The numbers of an option such as 1,2,3.

    Raises:
        ConfigError: If they are not as many numbers as it takes.
    """
    from justzoomin.errors import ConfigError

    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != _NUMBERS[name]:
        example = "1,2,3" if name == "bands" else "52.1,13.2,52.3,13.5 (south,west,north,east)"
        raise ConfigError(f"--{name} {text}", f"these are not {_NUMBERS[name]} numbers", f"Write for example {example}.")
    return found


def _announce(job: MapBuild) -> None:
    """Say what will be made before the first byte, on standard error."""
    plan, console = job.plan, err()
    if job.complete:
        console.print(f"{job.dest}: this map is complete; its tiles stay as they are")
        return
    console.print(f"{'going on with' if job.resumes else 'map of'} {plan.crs}, {plan.gsd_m:g} m per pixel, "
                  f"{plan.pixels / 1e6:,.0f} megapixels, up to {plan.tiles:,} tiles of level 0, levels {plan.min_zoom} to 0, "
                  f"about {job.bytes_estimate / 1e6:,.0f} MB on the disk while it is built")
    for remark in job.remarks():
        console.print(f"note: {remark}", markup=False)


def _summary(job: MapBuild) -> str:
    plan = job.plan
    return f"{plan.crs}, {plan.gsd_m:g} m per pixel, levels {plan.min_zoom} to 0"
