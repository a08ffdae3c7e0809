"""The headings that photos state in their EXIF, and those in lists of photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from justzoomin.data import PANORAMA_DEG, StatedFiles, exif_number
from justzoomin.errors import DataError, JustZoomInError
from justzoomin.photos.readers.exif_values import plain_text
from justzoomin.photos.readers.headers import read_header
from justzoomin.photos.readers.json_input import true_bearing
from justzoomin.photos.readers.mapillary import read_mapillary
from justzoomin.photos.readers.options import SourceOptions
from justzoomin.photos.readers.records import Skipped
from justzoomin.photos.readers.table_columns import plain
from justzoomin.photos.readers.table_files import read_csv
from justzoomin.untrusted import printable

LIST_COLUMNS = {
    "photo": ("photo", "file", "image", "path", "filename", "file_name"),
    "heading": ("heading", "heading_deg"),
    "heading_sigma": ("heading_sigma", "heading_sigma_deg"),
    "compass": ("compass", "compass_angle", "computed_compass_angle"),
    "fov": ("fov", "fov_deg", "hfov_deg"),
}
"""The meanings of a list's columns that are read, and the names for each; other columns are ignored."""
_REMEDY = ("Write a row per photo with the columns photo and, if known, heading and heading_sigma or compass, in degrees "
           "clockwise from true north; leave unknown ones empty.")
_FOV_REMEDY = "Write the horizontal field of view in degrees, 360 for a whole panorama; leave unknown ones empty."
_DIRECTION, _REFERENCE = 17, 16


class ExifHeading(NamedTuple):
    """GPSImgDirection of a photo.

    Attributes:
        deg: Degrees clockwise from a north.
        north: The north: `T` (true) or `M` (magnetic), by GPSImgDirectionRef; empty if it does not say.
    """

    deg: float
    north: str


def exif_heading(photo: Path | bytes) -> ExifHeading | str:
    """Return the direction of view in a photo's EXIF, or why there is none. Its position is not read.

    Source: Exif 2.32 (CIPA DC-008), GPSImgDirection and GPSImgDirectionRef.
    """
    try:
        header = read_header(Path("photo"), photo) if isinstance(photo, bytes) else read_header(photo)
    except JustZoomInError as error:
        return error.what
    return gps_heading(header.gps) if not header.broken_exif else "its EXIF cannot be read"


def gps_heading(gps: Mapping[int, Any]) -> ExifHeading | str:
    """Return the direction of view of a GPS IFD, or why there is none."""
    stated = exif_number(gps.get(_DIRECTION))
    if stated is None:
        return "its EXIF has no GPSImgDirection"
    if not 0 <= stated <= 360:
        return f"its GPSImgDirection is {stated:g}"
    north = plain_text(gps.get(_REFERENCE)).upper()[:1]
    return ExifHeading(stated % 360.0, north if north in {"T", "M"} else "")


@dataclass(frozen=True)
class ListedPhoto:
    """A photo in a list, with what the list says about its heading and camera.

    Attributes:
        path: The photo.
        where: Row of the list, for messages.
        heading_deg: Its heading, degrees clockwise from true north; None if the list states none.
        sigma_deg: Spread of the heading; None if the list states none.
        compass_deg: Reading of its compass; None if the list states none.
        fov_deg: Its horizontal field of view, 360 for a whole panorama; None if the list states none.
    """

    path: Path
    where: str
    heading_deg: float | None = None
    sigma_deg: float | None = None
    compass_deg: float | None = None
    fov_deg: float | None = None


def read_photo_list(path: Path) -> list[ListedPhoto]:
    """Read a CSV with a row per photo; relative paths start from its folder. A heading of -1 counts as unknown.

    Raises:
        DataError: If it is not such a table, or a value is wrong; the error names row and column.
    """
    columns, rows = read_csv(path)
    found: dict[str, str] = {}
    for role, names in LIST_COLUMNS.items():
        candidates = [c for c in columns if plain(c) in names]
        if role == "compass" and len(candidates) > 1:  # Mapillary has both; the computed one is better
            candidates = [c for c in candidates if plain(c) == "computed_compass_angle"] or candidates
        if len(candidates) > 1:
            raise DataError(path, f"the columns {printable(', '.join(candidates), 200)} could all be {role}",
                            "Keep one of them.")
        found.update(dict.fromkeys([role], candidates[0]) if candidates else {})
    if "photo" not in found or not rows:
        raise DataError(path, "the list names no photo" if "photo" in found else
                        f"it has no column photo (columns: {printable(', '.join(columns), 200)})", _REMEDY)
    photos = [str(row[found["photo"]] or "").strip() for row in rows]
    stated, listed = StatedFiles(photos), []
    for row, (name, values) in enumerate(zip(photos, rows, strict=True), 2):
        where = f"{path}, row {row}"
        if not name or "\0" in name:
            raise DataError(f"{where}, {found['photo']}", "it names no photo", _REMEDY)
        heading, compass = (_angle(values, found.get(role), where) for role in ("heading", "compass"))
        sigma = _number(values, found.get("heading_sigma"), where)
        if sigma is not None and not 1.0 <= sigma <= 180.0:
            raise DataError(f"{where}, {found['heading_sigma']}", f"{sigma:g} is not in 1 .. 180", _REMEDY)
        if sigma is not None and heading is None and compass is None:
            raise DataError(f"{where}, {found['heading_sigma']}", "it is the spread of a heading that is missing", _REMEDY)
        fov = _number(values, found.get("fov"), where)
        if fov is not None and not (0.0 < fov < 180.0 or fov == PANORAMA_DEG):
            raise DataError(f"{where}, {found['fov']}", f"{fov:g} is not between 0 and 180, nor 360", _FOV_REMEDY)
        listed.append(ListedPhoto(stated.find(path.parent, name) or path.parent / name, where, heading, sigma, compass, fov))
    return listed


def photos_of_mapillary(path: Path) -> tuple[list[ListedPhoto], list[Skipped]]:
    """Read the photos and compass angles in JSON of the Mapillary API v4: the computed angle, else that of the phone.

    The second list holds images that cannot be used.

    Raises:
        DataError: If it is not such JSON.
    """
    records, skipped = read_mapillary(path, SourceOptions())
    return [ListedPhoto(record.path, record.source, compass_deg=record.bearing_deg) for record in records], skipped


def _angle(row: Mapping[str, Any], column: str | None, where: str) -> float | None:
    stated = _number(row, column, where)
    if stated is not None and not -180.0 <= stated <= 360.0:
        raise DataError(f"{where}, {column}", f"{stated:g} is not in -180 .. 360", _REMEDY)
    return true_bearing(stated)


def _number(row: Mapping[str, Any], column: str | None, where: str) -> float | None:
    text = None if column is None else row[column]
    if text is None:
        return None
    try:
        value = exif_number(float(str(text).strip()))
    except ValueError:
        value = None
    if value is None:
        raise DataError(f"{where}, {column}", f"{printable(text, 40)!r} is not a number", _REMEDY)
    return value
