"""`jzi photos`: make a dataset of photos and a map of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from justzoomin.apps.shared.console import REGION_HELP, out, print_json, region_option, stage_bars, writable_file

if TYPE_CHECKING:
    from justzoomin.photos import ImportReport
    from justzoomin.photos.readers import Camera

app = typer.Typer(no_args_is_help=True, help="Your own photos: make a dataset of them.")


@app.callback()
def _group() -> None:
    pass


_LABELS = {"reading": "reading the source", "looking": "looking at photos", "writing": "writing photos",
           "map": "bringing the map"}
_LISTED = 20
_SOURCE, _SPLIT, _PHOTOS, _DROPS = "About the source", "Splits", "Photos", "What is dropped"


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="Folder of photos with EXIF, table with positions (CSV, Parquet, GeoJSON), "
                                           "GPX track, or JSON of the Mapillary API.")],
    dest: Annotated[Path, typer.Argument(help="Folder of the dataset: a new one, or the map's own, which gets the photos.")],
    *,
    onto: Annotated[Path, typer.Option("--map", help="Folder of the map, as `jzi map build` makes it.")],
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    kind: Annotated[str | None, typer.Option(help="What the source is: exif, table, gpx or mapillary. Default: look.",
                                             rich_help_panel=_SOURCE)] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, where they do not lie beside the source.",
                                                rich_help_panel=_SOURCE)] = None,
    columns: Annotated[str | None, typer.Option(help="Which columns of a table mean what: lat=Y,lon=X,image=FILE.",
                                                rich_help_panel=_SOURCE)] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="Zone of the cameras' clocks: Europe/Stockholm, UTC, "
                                                  "+02:00.", rich_help_panel=_SOURCE)] = None,
    time_offset_s: Annotated[float | None, typer.Option("--time-offset-s", help="Seconds to add to the cameras' clocks.",
                                                        rich_help_panel=_SOURCE)] = None,
    max_gap_s: Annotated[float, typer.Option("--max-gap-s", help="Longest gap of a GPX track that is interpolated across.",
                                             rich_help_panel=_SOURCE)] = 60.0,
    folder_sequences: Annotated[bool, typer.Option("--folder-sequences", help="The folder of a photo is its sequence.",
                                                   rich_help_panel=_SOURCE)] = False,
    camera: Annotated[str | None, typer.Option(help="Camera of photos that state none: perspective, fisheye or equirectangular,"
                                               " then focal length over the larger side, k1, k2: fisheye,0.47,0.02,-0.01.",
                                               rich_help_panel=_SOURCE)] = None,
    license_: Annotated[str | None, typer.Option("--license", help="Licence of photos that state none: CC-BY-SA-4.0.",
                                                 rich_help_panel=_SOURCE)] = None,
    attribution: Annotated[str | None, typer.Option(help="Whom to name for photos that name nobody.",
                                                    rich_help_panel=_SOURCE)] = None,
    split: Annotated[str, typer.Option(help="What stays together: photo (nothing), sequence, or block (places).",
                                       rich_help_panel=_SPLIT)] = "photo",
    val_share: Annotated[float, typer.Option("--val-share", help="Share for validation.", rich_help_panel=_SPLIT)] = 0.1,
    seed: Annotated[int, typer.Option(help="Another number, another choice.", rich_help_panel=_SPLIT)] = 0,
    block_m: Annotated[float | None, typer.Option("--block-m", help="Side of a block in metres. Default: 200.",
                                                  rich_help_panel=_SPLIT)] = None,
    guard_m: Annotated[float | None, typer.Option("--guard-m", help="With blocks: training photos nearer than this to "
                                                  "validation are left out. Default: 50.", rich_help_panel=_SPLIT)] = None,
    max_side: Annotated[int, typer.Option("--max-side", help="Larger photos are reduced to this many pixels.",
                                          rich_help_panel=_PHOTOS)] = 2048,
    quality: Annotated[int, typer.Option(help="JPEG quality of photos that are encoded anew.", rich_help_panel=_PHOTOS)] = 92,
    views_per_panorama: Annotated[int, typer.Option("--views-per-panorama", help="Photos cut from a panorama.",
                                                    rich_help_panel=_PHOTOS)] = 4,
    hfov_deg: Annotated[float, typer.Option("--hfov-deg", help="Their horizontal field of view in degrees.",
                                            rich_help_panel=_PHOTOS)] = 90.0,
    max_hfov_deg: Annotated[float, typer.Option("--max-hfov-deg", help="Widest field of view of an undistorted photo.",
                                                rich_help_panel=_PHOTOS)] = 100.0,
    min_sharpness: Annotated[float | None, typer.Option("--min-sharpness", help="Less sharp photos are dropped. Default: 0.01.",
                                                        rich_help_panel=_DROPS)] = None,
    keep_blurred: Annotated[bool, typer.Option("--keep-blurred", help="Drop no photo for being blurred.",
                                               rich_help_panel=_DROPS)] = False,
    duplicate_m: Annotated[float, typer.Option("--duplicate-m", help="Photos that look alike and stand this near are one.",
                                               rich_help_panel=_DROPS)] = 2.0,
    keep_duplicates: Annotated[bool, typer.Option("--keep-duplicates", help="Drop no photo for being there already.",
                                                  rich_help_panel=_DROPS)] = False,
    min_side: Annotated[int, typer.Option("--min-side", help="Photos with a shorter side, in pixels, are dropped.",
                                          rich_help_panel=_DROPS)] = 32,
    pixels: Annotated[int, typer.Option(help="Edge of the views of the model to train: photos where the level that these are "
                                        "drawn from has no tile are off the map.", rich_help_panel=_DROPS)] = 384,
    workers: Annotated[int | None, typer.Option(help="Threads. Default: one per core.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="File for the report, also where nothing could be imported.")] = None,
) -> None:
    """Make a dataset of photos and a map: drop, undistort, cut, strip, split, write.

    Run it again after an interruption and it goes on. Exits with 1 if photos could not be used; those that a rule drops
    (off the map, blurred, there already, ...) are no failure.
    """
    from justzoomin.maps import Map
    from justzoomin.photos import import_photos
    from justzoomin.photos.readers import SourceOptions, read_source

    if keep_blurred and min_sharpness is not None:
        _refuse("--keep-blurred", "--min-sharpness is given as well", "Give one of them.")
    if split != "block":
        for option, value in (("--block-m", block_m), ("--guard-m", guard_m)):
            if value is not None:
                _refuse(option, f"it means nothing with --split {split}", "Use it with --split block.")
    sharp = None if keep_blurred else 0.01 if min_sharpness is None else min_sharpness
    settings = _settings(
        {"max_side": max_side, "quality": quality, "views_per_panorama": views_per_panorama, "hfov_deg": hfov_deg,
         "max_hfov_deg": max_hfov_deg, "min_sharpness": sharp,
         "duplicate_m": None if keep_duplicates else duplicate_m, "min_side": min_side, "view_pixels": pixels},
        {"kind": split, "val_share": val_share, "seed": seed, "block_m": 200.0 if block_m is None else block_m,
         "guard_m": 50.0 if guard_m is None else guard_m})
    options = SourceOptions(
        images=images, columns=_pairs(columns), time_zone=time_zone, time_offset_s=time_offset_s, max_gap_s=max_gap_s,
        folder_sequences=folder_sequences, camera=_camera(camera), attribution=attribution, license=license_, workers=workers)
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


def _settings(values: dict[str, Any], split: dict[str, Any]) -> Any:
    """Settings of the options.

    Raises:
        ConfigError: Naming the option that is wrong.
    """
    from pydantic import ValidationError

    from justzoomin.photos import ImportSettings

    names = {"kind": "--split", "view_pixels": "--pixels"}
    try:
        return ImportSettings.model_validate({**values, "split": split})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][-1])
        _refuse(names.get(key, "--" + key.replace("_", "-")), first["msg"],
                f"It was {first['input']!r}; see `jzi photos import --help`.")


def _refuse(option: str, what: str, remedy: str) -> NoReturn:
    from justzoomin.errors import ConfigError

    raise ConfigError(option, what, remedy)


def _pairs(text: str | None) -> dict[str, str]:
    """`lat=Y,lon=X` as a mapping."""
    pairs = [part.partition("=") for part in (text or "").split(",") if part.strip()]
    if not all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        _refuse("--columns", f"{text!r} is no list of role=column", "Write it as lat=Y,lon=X.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _camera(text: str | None) -> Camera | None:
    """`fisheye,0.47,0.02,-0.01` as a camera."""
    from justzoomin.photos.readers import Camera

    if text is None:
        return None
    kind, *numbers = [part.strip() for part in text.split(",")]
    if kind not in {"perspective", "fisheye", "equirectangular"} or len(numbers) > 3:
        _refuse("--camera", f"{text!r} is no camera", "Write projection, focal length, k1, k2: fisheye,0.47,0.02,-0.01.")
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        _refuse("--camera", f"{text!r} has a number that is none", "Write it as fisheye,0.47,0.02,-0.01.")
    return Camera(kind, *values)  # type: ignore[arg-type]


def _print(result: ImportReport) -> None:
    """What an import did, for people."""
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
