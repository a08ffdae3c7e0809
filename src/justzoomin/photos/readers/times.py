"""When the photos of a drive were taken, and how far it went between them: from EXIF or a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path, PureWindowsPath

from justzoomin.data import composed
from justzoomin.errors import DataError, JustZoomInError
from justzoomin.photos.readers.camera_times import parse_time, parse_zone
from justzoomin.photos.readers.exif_times import photo_clock
from justzoomin.photos.readers.headers import read_header
from justzoomin.photos.readers.image_files import ImagesById
from justzoomin.photos.readers.json_input import finite, true_bearing
from justzoomin.photos.readers.table_files import numbers_where_all_are, read_csv
from justzoomin.untrusted import printable

_REMEDY = ("Give a table of photo, time (ISO 8601) and, if known, east_m and north_m since the previous photo, turn_deg since "
           "then, heading and heading_sigma: --times FILE.csv.")
_ODOMETRY, _HEADING = ("east_m", "north_m", "turn_deg"), ("heading", "heading_sigma")
_RANGES = {"turn_deg": (-1e6, 1e6), "heading": (-180.0, 360.0), "heading_sigma": (1.0, 180.0)}


@dataclass(frozen=True)
class PhotoTime:
    """A photo of a drive with its time.

    Attributes:
        path: The photo, or the name of a frame of a recording.
        time: When it was taken; in an unknown zone if `known_zone` is false.
        known_zone: Whether the time is known in UTC.
        displacement_m: Metres east and north since the previous photo; None if unknown.
        turn_deg: Degrees that the camera turned clockwise since the previous photo; None if unknown.
        heading_deg: Its heading, degrees clockwise from true north; None if unknown.
        heading_sigma_deg: Spread of the heading; None if unknown.
        displacement_sigma_m: Standard deviation of the displacement along each axis; None if unknown.
        aligned: Whether the displacement's axes are east and north. If not, they are right of and ahead of the camera as it
            faced at the previous photo.
    """

    path: Path
    time: datetime
    known_zone: bool
    displacement_m: tuple[float, float] | None = None
    turn_deg: float | None = None
    heading_deg: float | None = None
    heading_sigma_deg: float | None = None
    displacement_sigma_m: float | None = None
    aligned: bool = True


def times_from_exif(photos: Sequence[Path], zone: str | None = None) -> tuple[list[PhotoTime], list[JustZoomInError]]:
    """Return times of photos from their EXIF, earliest first, and errors for those without a readable time.

    Args:
        photos: The photos.
        zone: Zone of the camera's clock if a photo states none: a name or an offset.

    Raises:
        DataError: If no photo has a time, or only some zones are known.
        ConfigError: If the zone does not exist.
    """
    given = parse_zone(zone) if zone else None
    looked = [_exif_time(path, given) for path in photos]
    failed = [f for f in looked if isinstance(f, JustZoomInError)]
    found = [f for f in looked if not isinstance(f, JustZoomInError)]
    if failed and not found:
        raise failed[0] if len(failed) == 1 else DataError(
            f"{len(failed)} photos", f"none has a readable time (the first: {failed[0].what})", _REMEDY)
    return _ordered(found, "its EXIF", "Give --time-zone, or --times FILE.csv."), failed


def _ordered(found: Sequence[PhotoTime], what: str, remedy: str) -> list[PhotoTime]:
    """Return photos, earliest first.

    Raises:
        DataError: If only some zones are known: with two zones a drive would jump by hours.
    """
    unknown = [p.path for p in found if not p.known_zone]
    if unknown and len(unknown) < len(found):
        raise DataError(unknown[0], f"{what} states no time zone, unlike that of other photos", remedy)
    return sorted(found, key=lambda p: p.time)


def _exif_time(path: Path, zone: tzinfo | None) -> PhotoTime | JustZoomInError:
    """Return the time of a photo; its clock takes priority over GPS time, which stands still between two fixes."""
    try:
        taken = photo_clock(read_header(path), zone, None)
    except JustZoomInError as error:
        return error
    if taken.time is not None and (taken.by != "gps" or taken.clock is None):
        return PhotoTime(path, taken.time, known_zone=True)
    if taken.clock is not None:
        return PhotoTime(path, taken.clock.replace(tzinfo=UTC), known_zone=False)
    return DataError(path, taken.problem if taken.stated else "its EXIF has no time", _REMEDY)


def times_from_table(photos: Sequence[Path], table: Path, zone: str | None = None
                     ) -> tuple[list[PhotoTime], list[JustZoomInError]]:
    """Return times of photos from a CSV, and errors for missing photos.

    Its columns are photo and time and perhaps east_m and north_m, turn_deg, heading and heading_sigma. A heading of -1 counts
    as unknown.

    A dataset's table of photos with `image_id` and `captured_at` can be used unchanged. A row belongs to the photo with the
    same path, or else with the same file name, or whose file name is the id. Rows of other photos are ignored, unless they
    state displacements or turns: the way would have a gap.

    Args:
        photos: The photos.
        table: The CSV.
        zone: Zone of times that state none.

    Raises:
        DataError: If the table is invalid, no photo has a row, one has two, or a value is wrong.
        ConfigError: If the zone does not exist.
    """
    columns, rows = read_csv(table)
    lowered = {c.lower(): c for c in columns}
    by_id = "photo" not in lowered and "image_id" in lowered
    for wanted, other in (("photo", "image_id"), ("time", "captured_at")):
        if wanted not in lowered and other in lowered:
            lowered[wanted] = lowered[other]
    if not {"photo", "time"} <= set(lowered) or ("east_m" in lowered) != ("north_m" in lowered):
        raise DataError(table, f"the columns {printable(', '.join(columns), 100)} are not the expected ones", _REMEDY)
    moves, turns = "east_m" in lowered, "turn_deg" in lowered
    numbers_where_all_are([lowered[name] for name in (*_ODOMETRY, *_HEADING) if name in lowered], rows)
    given = parse_zone(zone) if zone else None
    by_path: dict[str, list[Path]] = {}
    for path in photos:
        ids = {path.stem, path.stem.removesuffix(ImagesById.UNDISTORTED)} if by_id else set()
        for key in {composed(text) for text in (str(path), path.name, *ids)}:
            by_path.setdefault(key, []).append(path)
    found: dict[Path, PhotoTime] = {}
    for number, row in enumerate(rows, 2):
        where = f"{table}, row {number}"
        name = composed(str(row[lowered["photo"]] or "").strip())
        mine = by_path.get(name) or by_path.get(PureWindowsPath(name).name) or []
        if len(mine) > 1 or (mine and mine[0] in found):
            raise DataError(where, f"{printable(name, 80)} matches several photos, or occurs twice",
                            "Write each photo's full path, once.")
        if not mine:
            if moves or turns:
                what = "displacement" if moves else "turn"
                raise DataError(where, f"{printable(name, 80)} is not one of the photos, and its {what} would be lost",
                                "Give the photos of all rows.")
            continue
        utc = parse_time(row[lowered["time"]], given)
        time = utc or parse_time(row[lowered["time"]], UTC)
        if time is None:
            stated = printable(row[lowered["time"]], 40)
            raise DataError(where, f"{stated!r} cannot be read as a time, or could be two times", _REMEDY)
        turn, heading, sigma = (_degrees(row, lowered, name, where) for name in ("turn_deg", *_HEADING))
        found[mine[0]] = PhotoTime(mine[0], time, utc is not None, _displacement(row, lowered, where) if moves else None, turn,
                                   true_bearing(heading), sigma)
    missing = [path for path in photos if path not in found]
    if missing and not found:
        raise DataError(table, f"there is no row for {missing[0]}" + (" and the others" if len(missing) > 1 else ""), _REMEDY)
    drive = _ordered(list(found.values()), f"its row in {table}", "Write the zone in every row, or give --time-zone.")
    return drive, [DataError(path, f"{table} has no row for this photo", _REMEDY) for path in missing]


def _degrees(row: dict[str, object], names: dict[str, str], name: str, where: str) -> float | None:
    """Return the degrees in a column of a row; None if there is no such column, or it is empty.

    Raises:
        DataError: If it is not a number in range.
    """
    stated = row[names[name]] if name in names else None
    if stated is None:
        return None
    value, (least, most) = finite(stated), _RANGES[name]
    if value is None or not least <= value <= most:
        raise DataError(f"{where}, {names[name]}", f"{printable(stated, 20)} is not a number of {least:g} to {most:g}", _REMEDY)
    return value


def _displacement(row: dict[str, object], names: dict[str, str], where: str) -> tuple[float, float] | None:
    """Return east and north of a row; None if both are empty."""
    east, north = row[names["east_m"]], row[names["north_m"]]
    if east is None and north is None:
        return None
    x, y = finite(east), finite(north)
    if x is None or y is None or max(abs(x), abs(y)) > 1e7:
        raise DataError(where, f"{printable(east, 20)}, {printable(north, 20)} is not a displacement in metres", _REMEDY)
    return x, y
