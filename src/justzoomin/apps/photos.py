"""`jzi photos`: make a dataset from your own photos and a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from justzoomin.apps.shared.console import REGION_HELP, out, print_json, region_option, stage_bars, writable_file
from justzoomin.apps.shared.lazy import command
from justzoomin.apps.shared.settings_options import Change, from_settings

if TYPE_CHECKING:
    from justzoomin.photos import ImportReport, ImportSettings
    from justzoomin.photos.readers import Camera, SourceOptions

app = typer.Typer(no_args_is_help=True, help="Make a dataset from your own photos.")


@app.callback()
def _group() -> None:
    pass


_LABELS = {"reading": "reading the source", "looking": "checking photos", "writing": "writing photos",
           "map": "adding the map"}
_LISTED = 20


def _columns(text: str) -> dict[str, str]:
    """Return the mapping of `lat=Y,lon=X`."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        _refuse("--columns", f"{text!r} is not a list of role=column", "Write it as lat=Y,lon=X.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _camera(text: str) -> Camera:
    """Return the camera of `fisheye,0.47,0.02,-0.01`."""
    from justzoomin.photos.readers import Camera

    kind, *numbers = [part.strip() for part in text.split(",")]
    if kind not in {"perspective", "fisheye", "equirectangular"} or len(numbers) > 3:
        _refuse("--camera", f"{text!r} does not describe a camera",
                "Write projection, focal length, k1, k2: fisheye,0.47,0.02,-0.01.")
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        _refuse("--camera", f"{text!r} holds something that is not a number", "Write it as fisheye,0.47,0.02,-0.01.")
    return Camera(kind, *values)  # type: ignore[arg-type]


@command(app, "import")
@from_settings(
    "justzoomin.photos:ImportSettings justzoomin.photos.readers:SourceOptions",
    {None: "onto region workers as_json report",
     "About the source": "kind images columns time_zone time_offset_s max_gap_s folder_sequences camera license attribution",
     "Splits": "split.kind split.val_share split.seed split.block_m split.guard_m",
     "Photos": "max_side quality views_per_panorama hfov_deg max_hfov_deg",
     "What is dropped": "min_sharpness keep_blurred duplicate_m keep_duplicates min_side view_pixels"},
    {"columns": Change(parse=_columns), "camera": Change(parse=_camera), "split.kind": Change("--split"),
     "view_pixels": Change("--pixels")})
def import_(
    source: Annotated[Path, typer.Argument(help="Folder of photos with EXIF, table with positions (CSV, Parquet, GeoJSON), "
                                           "GPX track, or JSON of the Mapillary API.")],
    dest: Annotated[Path, typer.Argument(help="Folder of the dataset: a new folder, or the map's folder to add the photos "
                                              "there.")],
    settings: ImportSettings,
    options: SourceOptions,
    *,
    onto: Annotated[Path, typer.Option("--map", help="Folder of the map, as `jzi map build` makes it.")],
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    kind: Annotated[str | None, typer.Option(help="Kind of the source: exif, table, gpx or mapillary. Default: detected."
                                             )] = None,
    keep_blurred: Annotated[bool, typer.Option("--keep-blurred", help="Keep blurred photos.")] = False,
    keep_duplicates: Annotated[bool, typer.Option("--keep-duplicates", help="Keep photos that look like another one.")] = False,
    workers: Annotated[int | None, typer.Option(help="Number of threads. Default: one per core.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="File for the report. It is written even if nothing could be imported."
                                                )] = None,
) -> None:
    """Make a dataset from photos and a map: drop, undistort, cut, strip, split, write.

    If it is interrupted, run the same command again: it continues.
    The exit code is 1 if some photos could not be used.
    Photos that a rule drops (off the map, blurred, duplicates, ...) do not count as failures.
    """
    from justzoomin.maps import Map
    from justzoomin.photos import import_photos
    from justzoomin.photos.readers import read_source

    if keep_blurred and "min_sharpness" in settings.model_fields_set:
        _refuse("--keep-blurred", "--min-sharpness is given as well", "Give one of them.")
    for field in ("block_m", "guard_m"):
        if settings.split.kind != "block" and field in settings.split.model_fields_set:
            _refuse("--" + field.replace("_", "-"), f"it has no effect with --split {settings.split.kind}",
                    "Use it with --split block.")
    kept = {"min_sharpness": keep_blurred, "duplicate_m": keep_duplicates}
    settings = settings.model_copy(update={field: None for field, keep in kept.items() if keep})
    options = options.model_copy(update={"workers": workers})
    if report is not None:
        writable_file(report, "--report")
    grid = region_option(region)
    map_ = Map.open(onto, grid)
    with stage_bars("import") as advance:
        def progress(stage: str, done: int, total: int) -> None:
            advance(_LABELS[stage], done, total)

        found = read_source(source, kind=kind, options=options, progress=lambda done, total: progress("reading", done, total))
        result = import_photos(found, dest, map_, settings, grid=grid, workers=workers, progress=progress, report_to=report)
    if as_json:
        print_json({"dest": str(dest), **result.to_dict()})
    else:
        _print(result)
    raise typer.Exit(1 if result.failed() else 0)


def _refuse(option: str, what: str, remedy: str) -> NoReturn:
    from justzoomin.errors import ConfigError

    raise ConfigError(option, what, remedy)


def _print(result: ImportReport) -> None:
    """Print what an import did."""
    console = out()
    splits = ", ".join(f"{info['photos']:,} {name}" for name, info in result.splits.items())
    console.print(f"{result.dest}: {splits}, of {result.found:,} photos found", markup=False)
    for name, info in result.splits.items():
        console.print(f"  {name}: {info['sha256']}", markup=False)
    files = result.map_files
    if files.get("copied"):
        megabytes = files["copied_bytes"] / 1e6
        console.print(f"map: {files['linked']:,} files linked, {files['copied']:,} copied ({megabytes:,.1f} MB)")
    elif files.get("linked"):
        console.print(f"map: {files['linked']:,} files linked, nothing copied")
    if result.skipped:
        counts = result.dropped().items()
        console.print("dropped: " + ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in counts))
        order = sorted(result.skipped, key=lambda s: s.kind in _by_rule())
        for skipped in order[:_LISTED]:
            console.print(f"  {skipped.kind:<12} {skipped.item}: {skipped.detail}", markup=False)
        if len(order) > _LISTED:
            console.print(f"  ... and {len(order) - _LISTED:,} more in import-report.json")
    for note in result.notes:
        console.print(f"note: {note}", markup=False)
    console.print(f"\n{result.attribution.rstrip()}", markup=False)


def _by_rule() -> frozenset[str]:
    from justzoomin.photos import BY_RULE

    return BY_RULE
