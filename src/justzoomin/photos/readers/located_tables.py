"""Read located photos from tables of positions: CSV, Parquet and GeoJSON."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path, PureWindowsPath
from typing import Any

from justzoomin.errors import DataError
from justzoomin.photos.readers.camera_times import parse_time, parse_zone
from justzoomin.photos.readers.ids import unique_ids
from justzoomin.photos.readers.image_files import ImagesById, StatedImages
from justzoomin.photos.readers.json_input import position_problem, scalar, true_bearing
from justzoomin.photos.readers.options import Progress, SourceOptions
from justzoomin.photos.readers.records import Camera, PhotoRecord, Projection, Scalar, Skipped
from justzoomin.photos.readers.table_columns import find_columns
from justzoomin.photos.readers.table_files import (
    number,
    numbers_where_all_are,
    read_csv,
    read_geojson,
    read_parquet,
    whole_where_all_are,
)
from justzoomin.untrusted import printable

CSV_ENDINGS = frozenset({".csv", ".tsv", ".txt"})
PARQUET_ENDINGS = frozenset({".parquet", ".pq"})
_PROJECTIONS: dict[str, Projection] = {
    "perspective": "perspective", "pinhole": "perspective", "fisheye": "fisheye",
    "equirectangular": "equirectangular", "spherical": "equirectangular"}
_HEMISPHERES = {"lat_ref": ("N", "S"), "lon_ref": ("E", "W")}


@dataclass(frozen=True)
class LocatedTable:
    """The contents of a table.

    Attributes:
        path: The file.
        columns: Names of the columns.
        rows: Values by column; absent values are None or missing.
        where: Name of each row for messages, such as `line 7`.
        positions: (lat, lon) of each row, or why there is none, if a geometry gives them.
    """

    path: Path
    columns: Sequence[str]
    rows: Sequence[dict[str, Any]]
    where: Sequence[str]
    positions: Sequence[tuple[float, float] | str] | None = None


def read_table(path: Path, options: SourceOptions, progress: Progress | None = None
               ) -> tuple[list[PhotoRecord], list[Skipped]]:
    """Read located photos from a CSV, Parquet or GeoJSON file.

    Raises:
        ConfigError: If `--columns` or the time zone is wrong.
        DataError: If the file cannot be read as a table, has no columns for image and position, its positions are swapped or in
            metres, or two rows contradict each other about one image.
    """
    zone = parse_zone(options.time_zone) if options.time_zone else None
    table = _open(path)
    roles = find_columns(table.columns, options.columns, path,
                         ("lat", "lon", "lat_ref", "lon_ref") if table.positions is not None else ())
    _not_actions(table, roles, options)
    _not_hemispheres(table, roles, options)
    positions = list(table.positions) if table.positions is not None else _positions(table, roles)
    _check_whole(table, roles, positions)
    stated = [text for row in table.rows if (text := _text(row.get(roles["file"])))] if "file" in roles else []
    finder = _Finder(path.parent, options.images, stated, by_id="file" not in roles)
    extras = [c for c in table.columns if c not in roles.values()]
    numbers_where_all_are(extras, table.rows)
    whole_where_all_are([roles[r] for r in ("image_id", "sequence_id") if r in roles], table.rows)
    drafts: list[tuple[str, str, PhotoRecord]] = []
    skipped: list[Skipped] = []
    for index, (row, where, position) in enumerate(zip(table.rows, table.where, positions, strict=True), 1):
        draft = _record(row, roles, extras, position, f"{path.name}, {where}", finder, zone)
        if isinstance(draft, Skipped):
            skipped.append(draft)
        else:
            drafts.append(draft)
        if progress is not None and (index % 2000 == 0 or index == len(table.rows)):
            progress(index, len(table.rows))
    return _with_ids(drafts, skipped), skipped


def _open(path: Path) -> LocatedTable:
    ending = path.suffix.lower()
    if ending in PARQUET_ENDINGS:
        columns, rows = read_parquet(path)
        return LocatedTable(path, columns, rows, [f"row {k}" for k in range(1, len(rows) + 1)])
    if ending in CSV_ENDINGS:
        columns, rows = read_csv(path)
        return LocatedTable(path, columns, rows, [f"row {k}" for k in range(1, len(rows) + 1)])
    columns, rows, where, positions = read_geojson(path)
    return LocatedTable(path, columns, rows, where, positions)


def _not_actions(table: LocatedTable, roles: dict[str, str], options: SourceOptions) -> None:
    """Treat `sequence` as an ordinary column in split tables, where it is a path of actions and not a drive."""
    column = roles.get("sequence_id")
    if column is None or column in options.columns.values():
        return
    values = [r.get(column) for r in table.rows[:100] if r.get(column) is not None]
    if values and all(isinstance(v, list) or re.fullmatch(r"\s*\[?\s*\d+(\s*,\s*\d+)+\s*\]?\s*", str(v)) for v in values):
        del roles["sequence_id"]


def _not_hemispheres(table: LocatedTable, roles: dict[str, str], options: SourceOptions) -> None:
    """Treat a column `ns` without any N, S, E or W as an ordinary column: it may contain nanoseconds."""
    for role in _HEMISPHERES:
        column = roles.get(role)
        if column is not None and column not in options.columns.values() and not any(
                str(row.get(column) or "").strip().upper().startswith(("N", "S", "E", "W")) for row in table.rows):
            del roles[role]


def _positions(table: LocatedTable, roles: Mapping[str, str]) -> list[tuple[float, float] | str]:
    found: list[tuple[float, float] | str] = []
    for row in table.rows:
        lat, lon = _degrees(row, roles, "lat"), _degrees(row, roles, "lon")
        found.append(lat if isinstance(lat, str) else lon if isinstance(lon, str) else (lat, lon))
    return found


def _degrees(row: Mapping[str, Any], roles: Mapping[str, str], role: str) -> float | str:
    """Return the degrees of a cell, negative in the south and west if a column gives N, S, E or W; or why there are none."""
    column, text = roles[role], row.get(roles[role])
    value = number(text)
    if value is None:
        empty = text is None or not str(text).strip()
        return f"its {column} is " + ("empty" if empty else f"{printable(text, 30)!r}, not a number of degrees")
    reference, letters = roles.get(f"{role}_ref"), _HEMISPHERES[f"{role}_ref"]
    letter = str(row.get(reference) or "").strip().upper()[:1] if reference is not None else ""
    if reference is None or (not letter and value < 0):
        return value
    if not letter or letter not in letters:
        return f"its {reference} is {printable(row.get(reference) or '', 30)!r}, not {' or '.join(letters)}"
    if letter == letters[0] and value < 0:
        return f"its {column} is {value:.10g} and its {reference} {letter}: one of them is wrong"
    return -abs(value) if letter == letters[1] else value


def _check_whole(table: LocatedTable, roles: Mapping[str, str], positions: Sequence[tuple[float, float] | str]) -> None:
    """Raise an error if a table is wrong as a whole: swapped columns, or metres instead of degrees.

    Raises:
        DataError: If at least half of the positions cannot be degrees.
    """
    given = [p for p in positions if not isinstance(p, str)]
    wrong = [p for p in given if abs(p[0]) > 90 or abs(p[1]) > 180]
    if not wrong or 2 * len(wrong) < len(given):
        return
    lat, lon = wrong[0]
    shown = f"{lat:.10g}, {lon:.10g}"
    if table.positions is not None:
        raise DataError(table.path, f"its coordinates are not longitude and latitude in degrees (latitude, longitude {shown})",
                        "Export GeoJSON with longitude first, in WGS 84.")
    columns = f"{roles['lat']}, {roles['lon']}"
    if all(abs(p[0]) <= 180 and abs(p[1]) <= 90 for p in given):
        raise DataError(table.path, f"latitudes and longitudes are swapped: {columns} is {shown}",
                        f"Exchange them with --columns lat={roles['lon']},lon={roles['lat']}.")
    if all(abs(p[0]) <= 90 and -360 <= p[1] <= 360 for p in given):
        raise DataError(table.path, f"its longitudes exceed 180 degrees: {columns} is {shown}",
                        "Subtract 360 from those above 180.")
    raise DataError(table.path, f"its positions are in a projection, not in degrees: {columns} is {shown}",
                    "Convert them to latitude and longitude in WGS 84 (EPSG:4326).")


class _Finder:
    """Images by path, or by id if the table has no paths."""

    def __init__(self, home: Path, images: Path | None, stated: Sequence[str], *, by_id: bool) -> None:
        self._stated = StatedImages(home, images, stated)
        self._by_id = ImagesById(images if images is not None else home) if by_id else None

    def find(self, stated: str | None, image_id: str | None) -> tuple[Path, str] | Skipped:
        """Return the file, and the name from which its id is made: an image id if there is one."""
        if self._by_id is not None:
            found = self._by_id.find(image_id or "")
            return found if isinstance(found, Skipped) else (found[0], image_id or "")
        path = self._stated.find(stated or "")
        if isinstance(path, Skipped):
            return path
        name = Path(str(stated).replace("\\", "/"))
        folder = self._stated.folder
        if name.is_absolute() or PureWindowsPath(name).drive or ".." in name.parts:
            name = path.resolve().relative_to(folder.resolve())
        return path, image_id or name.with_suffix("").as_posix()


def _record(row: Mapping[str, Any], roles: Mapping[str, str], extras: Sequence[str], position: tuple[float, float] | str,
            where: str, finder: _Finder, zone: tzinfo | None) -> tuple[str, str, PhotoRecord] | Skipped:
    """Return the name for the id, a text that distinguishes images of one name, and the record without its id."""
    text = {role: _text(row.get(column)) for role, column in roles.items()}
    item = printable(text.get("file") or text.get("image_id") or where)
    problem = position if isinstance(position, str) else position_problem(*position)
    if isinstance(position, str) or problem:
        return Skipped(item, "no_position", f"{where}: {problem}")
    if text.get("file" if "file" in roles else "image_id") is None:
        return Skipped(item, "missing_file", f"{where}: the row names no image")
    found = finder.find(text.get("file"), text.get("image_id"))
    if isinstance(found, Skipped):
        return Skipped(item, found.kind, f"{where}: {found.detail}")
    camera = _camera(text)
    if isinstance(camera, str):
        return Skipped(item, "camera", f"{where}: {camera}")
    extra: dict[str, Scalar] = {c: scalar(row[c]) for c in extras if row.get(c) is not None}
    bearing = _bearing(text, "bearing_ref" in roles, extra)
    stated = row.get(roles["captured_at"]) if "captured_at" in roles else None
    time = parse_time(stated, zone)
    if time is None and stated is not None and str(stated).strip():
        extra["captured_at_stated"] = scalar(str(stated))
    path, name = found
    record = PhotoRecord("", path, position[0], position[1], where, time, bearing, camera, text.get("sequence_id"),
                         text.get("attribution"), text.get("license"), extra)
    return name, "" if text.get("image_id") else os.path.abspath(path), record  # noqa: PTH100, links are not resolved


def _text(value: object) -> str | None:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # ids written by a spreadsheet or pandas
    return (str(value).strip() or None) if value is not None and not isinstance(value, list | dict) else None


def _bearing(text: Mapping[str, str | None], has_reference: bool, extra: dict[str, Scalar]) -> float | None:
    """Return the bearing from true north; unusable values go to `extra`."""
    if text.get("bearing") is None:
        return None
    bearing, north = true_bearing(number(text["bearing"])), (text.get("bearing_ref") or "").upper()[:1]
    if bearing is None:
        extra["bearing_stated"] = text["bearing"]
    elif has_reference and north != "T":
        extra["magnetic_heading_deg" if north == "M" else "heading_of_unknown_north_deg"] = bearing
        return None
    return bearing


def _camera(text: Mapping[str, str | None]) -> Camera | str | None:
    """Return the camera of a row; None if nothing is stated; a text if it is unusable.

    `fov_deg` is the field of view across the larger side. It gives the focal length f by the equations of `Camera`: half a
    side is f r(fov / 2).
    """
    stated = text.get("camera_type")
    numbers = {name: number(text.get(name)) for name in ("focal", "k1", "k2", "fov_deg")}
    unread = [n for n, v in numbers.items() if v is None and text.get(n) is not None]
    if unread:
        return f"its {unread[0]} is {printable(text[unread[0]], 30)!r}, not a number"
    if stated is None and all(v is None for v in numbers.values()):
        return None
    projection = _PROJECTIONS.get((stated or "perspective").lower())
    if projection is None:
        return f"its camera_type is {printable(stated, 30)!r}; supported are {', '.join(_PROJECTIONS)}"
    if projection == "equirectangular":
        return Camera(projection)
    focal, fov, k1, k2 = numbers["focal"], numbers["fov_deg"], numbers["k1"] or 0.0, numbers["k2"] or 0.0
    if fov is not None and focal is None:
        if not 1.0 <= fov <= (170.0 if projection == "perspective" else 360.0):
            return f"a field of view of {fov:g} degrees is impossible for a {projection} camera"
        half = math.radians(fov) / 2.0
        r = math.tan(half) if projection == "perspective" else half
        edge = r * (1.0 + k1 * r**2 + k2 * r**4)
        focal = 0.5 / edge if edge > 0.0 else -1.0
    if focal is not None and not 0.0 < focal <= 60.0:
        return f"its focal length over the larger side is {focal:.4g}, which is impossible"
    return Camera(projection, focal, k1, k2)


def _with_ids(drafts: Sequence[tuple[str, str, PhotoRecord]], skipped: list[Skipped]) -> list[PhotoRecord]:
    """Return records with ids; a row that repeats another is dropped.

    Raises:
        DataError: If two rows contradict each other about one image.
    """
    first: dict[tuple[str, str], PhotoRecord] = {}
    for name, tell, record in drafts:
        before = first.setdefault((name, tell), record)
        if before is record:
            continue
        if _content(before) != _content(record):
            raise DataError(record.source, f"{printable(name)} is also in {before.source}, with different values",
                            "Keep one of the two rows.")
        skipped.append(Skipped(printable(name), "duplicate", f"{record.source} repeats {before.source}"))
    keys = list(first)
    ids = unique_ids([name for name, _ in keys], [f"{name}|{Path(tell).name}" if tell else name for name, tell in keys])
    return [replace(record, image_id=image_id) for record, image_id in zip(first.values(), ids, strict=True)]


def _content(record: PhotoRecord) -> tuple[object, ...]:
    return (record.path, record.lat, record.lon, record.captured_at, record.bearing_deg, record.camera, record.sequence_id,
            dict(record.extra))


def is_table(path: Path) -> bool:
    """Return whether a file's extension is that of a table of positions (GeoJSON in `.json` is found by its content)."""
    return path.suffix.lower() in CSV_ENDINGS | PARQUET_ENDINGS | {".geojson", ".geojsonl", ".geojsons"}

