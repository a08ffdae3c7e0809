"""`jzi track`: localize the photos of a drive together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared import bag_options as bags
from justzoomin.apps.shared import heading_options as headings
from justzoomin.apps.shared.camera_options import FovOption, cameras_from_option
from justzoomin.apps.shared.console import (
    BATCH_HELP,
    DEVICE_HELP,
    INDEX_HELP,
    REGION_HELP,
    metres,
    prepare,
    print_json,
    progress_bar,
    region_option,
    single_model,
    writable_file,
)
from justzoomin.apps.shared.demo_names import DEMO, MAP_HELP, MODEL_HELP, map_named
from justzoomin.apps.shared.drive_arguments import drive_of

if TYPE_CHECKING:
    from justzoomin.errors import JustZoomInError
    from justzoomin.search import TrackPoint


def track(
    photos: Annotated[list[Path], typer.Argument(readable=False, help="Photos of one drive, folders (with subfolders), lists "
                                                 "(.txt, .csv, Mapillary JSON); a ROS bag (.bag, .mcap, .db3, or a folder with "
                                                 "metadata.yaml), or a video.")],
    model: Annotated[str, typer.Option("--model", help=MODEL_HELP)] = DEMO,
    map_root: Annotated[str, typer.Option("--map", help=MAP_HELP)] = DEMO,
    gpx_file: Annotated[Path | None, typer.Option("--gpx", help="Write the track to this GPX file.")] = None,
    geojson_file: Annotated[Path | None, typer.Option(
        "--geojson", help="Write the track to this GeoJSON file (lon, lat).")] = None,
    gpkg_file: Annotated[Path | None, typer.Option(
        "--gpkg", help="Write track, photos, regions and headings to this GeoPackage file, for QGIS.")] = None,
    times: Annotated[Path | None, typer.Option("--times", help="CSV with photo, time and optionally east_m and north_m "
                                                               "(metres since the previous photo), turn_deg (since then), "
                                                               "heading and heading_sigma, or a dataset's table with "
                                                               "image_id and captured_at. For a video: CSV with seconds and "
                                                               "time, or a GPX track that begins with it. Default: EXIF times; "
                                                               "the video's time of creation.")] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="Time zone of times that state none: "
                                                                      "Europe/Stockholm, +02:00.")] = None,
    speed: Annotated[float, typer.Option("--speed", help="Highest speed in metres per second.")] = 15.0,
    drift: Annotated[float, typer.Option("--drift", help="Error of east_m and north_m, as a share of the distance.")] = 0.05,
    turn_sigma: Annotated[float, typer.Option("--turn-sigma", help="Error of turn_deg, in degrees.")] = 10.0,
    heading_sigma: headings.SigmaOption = None,
    heading_from: Annotated[str | None, typer.Option(
        "--heading-from", help="Also use headings from exif (GPSImgDirection), compass (a column of a list, or Mapillary "
        "JSON) or track (the camera looks along the way of east_m and north_m). Default: only those of --times.")] = None,
    declination: headings.DeclinationOption = None,
    image_topic: bags.ImageOption = None,
    odom_topic: bags.OdomOption = None,
    imu_topic: bags.ImuOption = None,
    info_topic: bags.InfoOption = None,
    odom_heading: bags.OdomHeadingOption = None,
    camera_yaw: bags.CameraYawOption = 0.0,
    recorded: bags.RecordedOption = False,
    every: bags.EveryOption = None,
    out: bags.OutOption = None,
    altitude: bags.AltitudeOption = 0.0,
    copy: bags.CopyOption = False,
    smooth: Annotated[bool, typer.Option(
        "--smooth/--forward", help="Use later photos for earlier ones (--smooth), or not (--forward).")] = True,
    tempering: Annotated[float | None, typer.Option("--tempering", help="Weight of each photo: 1 if errors are independent, "
                                                                        "less if not. See docs/tracking.md.")] = None,
    index: Annotated[Path | None, typer.Option("--index", help=INDEX_HELP)] = None,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    fov: FovOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list with an object per photo.")] = False,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help=BATCH_HELP)] = 16,
) -> None:
    """Find where the photos of one drive were taken, using them together.

    Between two photos the camera moves at most at the highest speed, or as odometry says, and turns as turn_deg says.
    EXIF positions are never used.
    A photo that cannot be used is reported and skipped; the exit code is 0 only if all were used.
    """
    from justzoomin.drives import FixBagOptions, check_fix_bag, track_source, write_fix_bag
    from justzoomin.search import DriveOptions, Localizer, geojson, gpx, track_geopackage
    from justzoomin.spelling import json_text

    for path, option in ((gpx_file, "--gpx"), (geojson_file, "--geojson"), (gpkg_file, "--gpkg"), (out, "--out")):
        if path is not None:
            writable_file(path, option)
    options = DriveOptions(speed, drift, turn_sigma, heading_sigma, heading_from == "track", smooth, tempering)
    asked = bags.BagArguments(image_topic, odom_topic, imu_topic, info_topic, odom_heading, camera_yaw, recorded, every, copy)
    drive = drive_of(photos, times, time_zone, asked, options, fov=fov, declination=declination)
    source = headings.heading_source(None, heading_sigma, heading_from, None if drive.is_bag else declination, drive.listed,
                                     ("exif", "compass", "track"), others=times is not None or imu_topic is not None)
    fixes = FixBagOptions(altitude, camera_yaw=camera_yaw, copy=photos[0] if copy else None)
    if out is not None:
        check_fix_bag(out, fixes)
    for remark in drive.remarks:
        typer.echo(remark, err=True)
    _report(drive.failed)
    localizer = Localizer.load(single_model(model), map_named(map_root), region_option(region), device, index,
                               search="posterior", headings=source, cameras=cameras_from_option(fov, drive.listed))
    prepare(localizer)
    with progress_bar("photos") as advance:
        found = track_source(localizer, drive.source, options, batch_size, advance)
    _report(found.errors)
    for remark in found.remarks:
        typer.echo(remark, err=True)
    points = found.points
    if as_json:
        print_json([p.to_dict() for p in points])
    else:
        _print(points)
    zoned = all(one.photo.when.known_zone for one in found.located)
    credit = localizer.map.attribution
    _write(gpx_file, gpx(points, with_time=zoned, attribution=credit), "gpx")
    _write(geojson_file, (json_text(geojson(points, credit), indent=1) + "\n").encode(), "geojson")
    if gpkg_file is not None:
        _write(gpkg_file, track_geopackage(points, localizer.grid, credit, with_time=zoned), "gpkg")
    if out is not None:
        typer.echo(f"fixes: {write_fix_bag(out, found.located, localizer.grid.region.centre, fixes)}", err=True)
    for path, words in ((gpx_file, "GPX file"), (gpkg_file, "GeoPackage")):
        if path is not None and not zoned:
            typer.echo(f"the {words} has no times, because their time zone is unknown; give --time-zone", err=True)
    raise typer.Exit(1 if drive.failed or found.errors else 0)


def _report(errors: list[JustZoomInError]) -> None:
    for error in errors:
        typer.echo(f"error: {error}", err=True)


def _print(points: list[TrackPoint]) -> None:
    """Print two lines per photo."""
    for p in points:
        doubt = "   not on this map?" if p.on_map is False else ""
        facing = "" if p.heading_deg is None else f"   facing {p.heading_deg:.0f} +- {p.heading_sigma_deg:.0f} degrees"
        typer.echo(f"{p.photo}\n  {p.time.isoformat()}  {p.position.lat:.6f} {p.position.lon:.6f}   50 % within "
                   f"{metres(p.radius_m)}, 90 % within {metres(p.radius_90_m)}{facing}{doubt}")


def _write(path: Path | None, content: bytes, words: str) -> None:
    from justzoomin.files import write_bytes

    if path is not None:
        typer.echo(f"{words}: {write_bytes(path, content)}", err=True)
