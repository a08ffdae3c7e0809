"""When the photos of a drive were taken, and how far it went between them: EXIF, or a table."""

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
from justzoomin.photos.readers.json_input import finite
from justzoomin.photos.readers.table_files import numbers_where_all_are, read_csv
from justzoomin.untrusted import printable

_REMEDY = "Give a table of photo, time (ISO 8601) and, if known, east_m and north_m since the photo before: --times FILE.csv."


@dataclass(frozen=True)
class PhotoTime:
    """A photo of a drive with its time.

    Attributes:
        path: The photo.
        time: When it was taken; in a zone of its own where `known_zone` is false.
        known_zone: Whether the time is known in UTC.
        displacement_m: Metres gone east and north since the photo before; None where it is not known.
    """

    path: Path
    time: datetime
    known_zone: bool
    displacement_m: tuple[float, float] | None = None


def times_from_exif(photos: Sequence[Path], zone: str | None = None) -> tuple[list[PhotoTime], list[JustZoomInError]]:
    """Times of photos by their EXIF, earliest first, and what is wrong with those that have none or cannot be read.

    Args:
        photos: The photos.
        zone: Zone of the camera's clock where a photo states none: a name or an offset.

    Raises:
        DataError: If no photo has a time, or the zones of only some are known.
        ConfigError: If there is no such zone.
    """
    given = parse_zone(zone) if zone else None
    looked = [_exif_time(path, given) for path in photos]
    failed = [f for f in looked if isinstance(f, JustZoomInError)]
    found = [f for f in looked if not isinstance(f, JustZoomInError)]
    if failed and not found:
        raise failed[0] if len(failed) == 1 else DataError(
            f"{len(failed)} photos", f"none has a time that can be read (of the first: {failed[0].what})", _REMEDY)
    return _ordered(found, "its EXIF", "Give --time-zone, or --times FILE.csv."), failed


def _ordered(found: Sequence[PhotoTime], what: str, remedy: str) -> list[PhotoTime]:
    """Photos, earliest first.

    Raises:
        DataError: If the zones of only some are known: in the order of two zones a drive would jump by hours.
    """
    unknown = [p.path for p in found if not p.known_zone]
    if unknown and len(unknown) < len(found):
        raise DataError(unknown[0], f"{what} states no time zone and that of others does", remedy)
    return sorted(found, key=lambda p: p.time)


def _exif_time(path: Path, zone: tzinfo | None) -> PhotoTime | JustZoomInError:
    """The time of a photo; its clock comes before GPS time, which stands still between two fixes."""
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
    """Times of photos by a CSV of photo, time and perhaps east_m and north_m, earliest first, and the photos that it lacks.

    A dataset's table of photos with `image_id` and `captured_at` is taken as it is. A row belongs to the photo of the same
    path, or else of the same file name, or whose file is named by the id. Rows of other photos are left out, but not
    where they state displacements: the way would have a gap.

    Args:
        photos: The photos.
        table: The CSV.
        zone: Zone of times that state none.

    Raises:
        DataError: If the table is none, no photo has a row, one has two, or a value is wrong.
        ConfigError: If there is no such zone.
    """
    columns, rows = read_csv(table)
    lowered = {c.lower(): c for c in columns}
    by_id = "photo" not in lowered and "image_id" in lowered
    for wanted, other in (("photo", "image_id"), ("time", "captured_at")):
        if wanted not in lowered and other in lowered:
            lowered[wanted] = lowered[other]
    if not {"photo", "time"} <= set(lowered) or ("east_m" in lowered) != ("north_m" in lowered):
        raise DataError(table, f"its columns are {printable(', '.join(columns), 100)}", _REMEDY)
    moves = "east_m" in lowered
    if moves:
        numbers_where_all_are([lowered["east_m"], lowered["north_m"]], rows)
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
            raise DataError(where, f"{printable(name, 80)} stands for several photos, or stands there twice",
                            "Write each photo's whole path, once.")
        if not mine:
            if moves:
                raise DataError(where, f"{printable(name, 80)} is none of the photos, and its displacement would be missing",
                                "Give the photos of all rows.")
            continue
        utc = parse_time(row[lowered["time"]], given)
        time = utc or parse_time(row[lowered["time"]], UTC)
        if time is None:
            stated = printable(row[lowered["time"]], 40)
            raise DataError(where, f"{stated!r} cannot be read as a time, or could be two times", _REMEDY)
        found[mine[0]] = PhotoTime(mine[0], time, utc is not None, _displacement(row, lowered, where) if moves else None)
    missing = [path for path in photos if path not in found]
    if missing and not found:
        raise DataError(table, f"it has no row for {missing[0]}" + (" and the others" if len(missing) > 1 else ""), _REMEDY)
    drive = _ordered(list(found.values()), f"its row in {table}", "Write the zone into every row, or give --time-zone.")
    return drive, [DataError(path, f"{table} has no row for it", _REMEDY) for path in missing]


def _displacement(row: dict[str, object], names: dict[str, str], where: str) -> tuple[float, float] | None:
    """East and north of a row; None where both are empty."""
    east, north = row[names["east_m"]], row[names["north_m"]]
    if east is None and north is None:
        return None
    x, y = finite(east), finite(north)
    if x is None or y is None or max(abs(x), abs(y)) > 1e7:
        raise DataError(where, f"{printable(east, 20)}, {printable(north, 20)} is no displacement in metres", _REMEDY)
    return x, y
