"""`jzi localize`: find where photos were taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.shared import heading_options as headings
from justzoomin.apps.shared import prior_options as priors
from justzoomin.apps.shared.camera_options import FovOption, cameras_from_option
from justzoomin.apps.shared.console import (
    BATCH_HELP,
    DEVICE_HELP,
    INDEX_HELP,
    RAY_HELP,
    REGION_HELP,
    metres,
    percent,
    prepare,
    print_json,
    progress_bar,
    rate_bar,
    region_option,
    single_model,
)
from justzoomin.apps.shared.demo_names import DEMO, MAP_HELP, MODEL_HELP, map_named
from justzoomin.apps.shared.fix_outputs import check_heatmap, check_outputs, write_heat_map, write_layers
from justzoomin.apps.shared.photo_arguments import expand

if TYPE_CHECKING:
    from justzoomin.errors import JustZoomInError
    from justzoomin.search import Fix, Localizer

WINDS = ["N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"]
NO_DATA_WORTH_SAYING = 0.5
"""Share of the map without data above which a line is printed."""


def localize(
    photos: Annotated[list[Path], typer.Argument(readable=False, help="Photos, folders (with subfolders), lists: .txt files "
                                                 "with one path per line, .csv files with a column photo, Mapillary JSON.")],
    model: Annotated[str, typer.Option("--model", help=MODEL_HELP)] = DEMO,
    map_root: Annotated[str, typer.Option("--map", help=MAP_HELP)] = DEMO,
    index: Annotated[Path | None, typer.Option("--index", help=INDEX_HELP)] = None,
    to_file: Annotated[Path | None, typer.Option(
        "--out", help="Write fixes to this file (.parquet, .jsonl, .geojson, .csv, .gpkg) instead of printing them, for very "
        "many photos. If the job is interrupted, run the same command again: it continues.")] = None,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list with an object per photo.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also print the cell, the path with its probabilities, "
                                                                  "the region and the time.")] = False,
    geojson: Annotated[Path | None, typer.Option(help="Write points and cells to this GeoJSON file (lon, lat).")] = None,
    gpkg: Annotated[Path | None, typer.Option("--gpkg", help="Write points, cells, regions and headings to this GeoPackage "
                                                             "file, for QGIS.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Draw the zoom paths into this picture file (PNG).")] = None,
    heatmap: Annotated[Path | None, typer.Option(
        "--heatmap", help="For one photo: file for the probability per square metre, as GeoTIFF (.tif) or as picture over the "
        "map (.png).")] = None,
    search: Annotated[str, typer.Option(help="How to search: greedy, beam:K, posterior, or auto (posterior if it is "
                                                         "cheap or needed).")] = "auto",
    decide: Annotated[str | None, typer.Option("--decide", help="How to choose the answer from a posterior: "
                                                                "within:METRES, distance or top. Default: within:40.")] = None,
    calibration: Annotated[bool, typer.Option("--calibration/--no-calibration", help="Use the calibration in the model's "
                                                                                     "folder, if it has one.")] = True,
    prior_circle: priors.CircleOption = None,
    prior_polygon: priors.PolygonOption = None,
    prior_raster: priors.RasterOption = None,
    near: priors.NearOption = None,
    seconds: priors.SecondsOption = None,
    speed: priors.SpeedOption = priors.DEFAULT_SPEED,
    heading: headings.HeadingOption = None,
    heading_sigma: headings.SigmaOption = None,
    heading_from: headings.FromOption = None,
    declination: headings.DeclinationOption = None,
    fov: FovOption = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help=BATCH_HELP)] = 16,
    ray: Annotated[str | None, typer.Option("--ray", help=f"With --out. {RAY_HELP}")] = None,
    runtime: Annotated[str, typer.Option("--runtime", help="Runtime of the encoder: torch, onnx (after jzi export), or "
                                                           "the path of an exported file.")] = "torch",
) -> None:
    """Find where photos were taken. EXIF orientation is used, EXIF position is not.

    Prints latitude and longitude (degrees, WGS 84), the 90 % radius, a link to a map, the direction that the photo faces if the
    model has a matcher, and the expected accuracy.
    --verbose and --json give more.
    Without --model and --map the demo's model and map are used.
    A photo that cannot be used is reported and the others are still localized; the exit code is 0 only if all succeeded.
    """
    from justzoomin.maps import Map
    from justzoomin.search import Localizer

    check_outputs(to_file, {"--geojson": geojson, "--gpkg": gpkg, "--figure": figure, "--heatmap": heatmap}, as_json=as_json)
    on_cluster = _cluster_work(ray, to_file, runtime)
    files, remarks, listed = expand(photos)
    facing = headings.heading_source(heading, heading_sigma, heading_from, declination, listed)
    check_heatmap(heatmap, len(files))
    map_root = map_named(map_root)
    name, source = single_model(model), Map.open(map_root, grid=region_option(region))
    prior = priors.prior_from_options(source.grid, prior_circle, prior_polygon, prior_raster, near, seconds, speed)
    localizer = Localizer.load(name, source, None, "cpu" if on_cluster else device, index, runtime, calibrated=calibration,
                               search=search, decision=decide, prior=prior, headings=facing,
                               cameras=cameras_from_option(fov, listed))
    if not on_cluster:
        prepare(localizer)
    for remark in remarks:
        typer.echo(remark, err=True)
    if to_file is not None:
        work = partial(on_cluster, localizer=localizer, model=model, map=map_root, index=index, device=device,
                       batch_size=batch_size) if on_cluster else None
        raise typer.Exit(_to_file(localizer, files, to_file, batch_size, work))
    rows: list[dict[str, Any]] = []
    fixes: list[Fix] = []
    with progress_bar("photos") as advance:
        for name, result in _results(localizer, files, batch_size):
            if isinstance(result, Exception):
                rows.append({"photo": name, "error": str(result)})
            else:
                rows.append(result.to_dict())
                fixes.append(result)
            advance(len(rows), len(files))
    if as_json:
        print_json(rows)
    else:
        _print(rows, verbose=verbose)
    write_layers(fixes, localizer.map.attribution, geojson=geojson, gpkg=gpkg)
    if figure is not None and fixes:
        from justzoomin.figures import localize_figure

        typer.echo(f"figure: {localize_figure(fixes, localizer, figure)}", err=True)
    elif figure is not None:
        typer.echo(f"no photo was localized, so the figure {figure} is not written", err=True)
    if heatmap is not None and fixes:
        typer.echo(f"heat map: {write_heat_map(fixes[0], localizer, heatmap)}", err=True)
    raise typer.Exit(0 if len(fixes) == len(files) else 1)


def _cluster_work(ray: str | None, to_file: Path | None,
                  runtime: str) -> Callable[..., Iterator[Fix | JustZoomInError]] | None:
    """Return the function that localizes photos on a ray cluster, or None if no cluster is asked for."""
    from justzoomin.errors import ConfigError

    if ray is None:
        return None
    if to_file is None:
        raise ConfigError("--ray", "it needs --out", "Name a file with --out: a cluster is for very many photos.")
    if runtime != "torch":
        raise ConfigError("--runtime", "a cluster only runs torch", "Leave out --runtime or --ray.")
    from justzoomin.cluster import localize_on_cluster, require_ray

    require_ray()  # before the model is opened
    return partial(localize_on_cluster, ray)


def _results(localizer: Localizer, files: list[Path | JustZoomInError],
             batch_size: int) -> Iterator[tuple[str, Fix | JustZoomInError]]:
    """Yield the name and the result of every photo in order, with an error for an argument that is wrong."""
    from justzoomin.errors import JustZoomInError

    results = localizer.localize_many([f for f in files if not isinstance(f, JustZoomInError)], batch_size)
    for file in files:
        yield (file.where, file) if isinstance(file, JustZoomInError) else (str(file), next(results))


def _to_file(localizer: Localizer, files: list[Path | JustZoomInError], to_file: Path, batch_size: int,
             work: Callable[[list[Path]], Iterable[Fix | JustZoomInError]] | None) -> int:
    """Localize photos into a file, here or by `work` on a cluster, and return the exit code."""
    from justzoomin.errors import JustZoomInError
    from justzoomin.search import localize_to_file

    wrong = [file for file in files if isinstance(file, JustZoomInError)]
    for error in wrong:
        typer.echo(f"error: {error}", err=True)
    with rate_bar("photos") as advance:
        report = localize_to_file(localizer, [f for f in files if not isinstance(f, JustZoomInError)], to_file,
                                  batch_size=batch_size, localize=work, progress=advance)
    new = report.localized + report.failed - report.resumed
    before = f", {report.resumed:,} of these by an earlier job" if report.resumed else ""
    typer.echo(f"{report.localized:,} photos localized, {report.failed:,} failed{before}; "
               f"{new / max(report.seconds, 1e-9):,.1f} photos/s")
    if report.out is not None:
        typer.echo(f"fixes:  {report.out}")
    if report.failures is not None:
        typer.echo(f"failed: {report.failures}")
    return 1 if report.failed or wrong else 0


def _print(rows: list[dict[str, Any]], *, verbose: bool) -> None:
    """Print a few short lines per photo, for narrow terminals too."""
    for r in rows:
        if "error" in r:
            typer.echo(f"error: {r['error']}", err=True)
            continue
        at = f"{r['lat']:.6f}", f"{r['lon']:.6f}"
        typer.echo(f"{r['photo']}\n"
                   f"  {' '.join(at)}   90 % within {metres(r['radius_90_m'])}\n"
                   f"  https://www.openstreetmap.org/?mlat={at[0]}&mlon={at[1]}#map=18/{at[0]}/{at[1]}\n"
                   f"  {_claim(r)}")
        for line in heading_lines(r):
            typer.echo(f"  {line}")
        if r["camera"] is not None:
            typer.echo(f"  camera    {r['camera']}")
        if verbose:
            _print_path(r)
        if r["no_data"][0] > NO_DATA_WORTH_SAYING or max(r["no_data"]) >= 1:
            typer.echo("  no data   " + " ".join(f"{share:.0%}" for share in r["no_data"]) + " of the views on this path")


def heading_lines(r: Mapping[str, Any]) -> list[str]:
    """Return lines that say which way a photo faces, and what was known of that before."""
    lines = []
    if r["heading_deg"] is not None:
        wind = WINDS[round(r["heading_deg"] / 360 * len(WINDS)) % len(WINDS)]
        lines.append(f"facing {r['heading_deg']:.0f} degrees ({wind}), plus or minus {r['heading_sigma_deg']:.0f}")
    if r["heading_prior"] is not None:
        lines.append(f"heading known before: {r['heading_prior']}")
    return lines


def _print_path(r: dict[str, Any]) -> None:
    """Print the cell, the zoom path and the region of a photo."""
    steps = " ".join(f"{p:.2f}" for p in r["probabilities"])
    typer.echo(f"  cell of {metres(r['cell_size_m'])}: {','.join(map(str, r['sequence']))}   steps {steps}   50 % within "
               f"{metres(r['credible_radius_m'])}   {r['seconds']:.2f} s\n"
               f"  geo:{r['lat']:.6f},{r['lon']:.6f};u={r['radius_90_m']:.0f}")
    if r["regions"] is not None:
        top = r["top_cells"][0]
        typer.echo(f"  90 % in {r['regions']['90']:,.0f} m²   most probable cell {','.join(map(str, top['sequence']))} "
                   f"({percent(top['probability'])})   {r['searched']}, {r['decision']}")


def _claim(r: dict[str, Any]) -> str:
    """Return how sure an answer is, and whether that is calibrated."""
    why = r["not_calibrated"]
    return f"{_expectation(r['decision'], r['expected'])} ({'calibrated' if why is None else f'not calibrated: {why}'})"


def _expectation(decision: str, expected: float) -> str:
    """Return the expected error or probability of an answer."""
    if decision == "distance":
        return f"{metres(expected)} off on average"
    place = "in this cell" if decision == "top" else f"within {decision.removeprefix('within:')} m"
    return f"{percent(expected)} {place}"
