"""Find which column of a table means what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from justzoomin.errors import ConfigError, DataError
from justzoomin.untrusted import printable

ROLES: dict[str, tuple[str, ...]] = {
    "file": ("file", "image", "path", "filename", "file_name", "file_path", "filepath", "image_file", "image_path", "photo"),
    "image_id": ("image_id", "image_key"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "long", "longitude"),
    "lat_ref": ("lat_ref", "latitude_ref", "latref", "latituderef", "lat_hemisphere", "latitude_hemisphere", "lat_direction",
                "latitude_direction", "lat_dir", "latitude_dir", "lat_ns", "latitude_ns", "ns", "n_s", "n/s", "north_south",
                "gpslatituderef", "gps_latitude_ref"),
    "lon_ref": ("lon_ref", "lng_ref", "long_ref", "longitude_ref", "lonref", "longituderef", "lon_hemisphere",
                "longitude_hemisphere", "lon_direction", "longitude_direction", "lon_dir", "longitude_dir", "lon_ew",
                "longitude_ew", "ew", "e_w", "e/w", "east_west", "gpslongituderef", "gps_longitude_ref"),
    "bearing": ("bearing", "bearing_deg", "heading", "heading_deg", "compass_angle"),
    "bearing_ref": ("bearing_ref", "heading_ref", "gpsimgdirectionref", "gps_img_direction_ref"),
    "captured_at": ("captured_at", "timestamp", "datetime", "date_time", "time"),
    "sequence_id": ("sequence_id", "sequence", "sequence_key"),
    "camera_type": ("camera_type", "projection"),
    "focal": ("focal",),
    "k1": ("k1",),
    "k2": ("k2",),
    "fov_deg": ("fov_deg",),
    "attribution": ("attribution", "credit"),
    "license": ("license", "licence"),
}
"""Possible meanings of a column, and the names that have them, in any case."""


def find_columns(columns: Sequence[str], chosen: Mapping[str, str], where: Path,
                 not_here: Iterable[str] = ()) -> dict[str, str]:
    """Return the column of each role that a table has.

    Args:
        columns: Names of the table's columns.
        chosen: Role, or another of its names, to column, as chosen by the user; these override the names.
        where: The table, for messages.
        not_here: Roles without columns in this table, such as `lat` if a geometry gives it.

    Raises:
        ConfigError: If a chosen role or column does not exist.
        DataError: If several columns match a role.
    """
    roles = [r for r in ROLES if r not in set(not_here)]
    listed = ", ".join(printable(c, 40) for c in columns[:30])
    meant = {name: role for role, names in ROLES.items() for name in (role, *names)}
    stated: dict[str, str] = {}
    for name, column in chosen.items():
        role = meant.get(plain(name), "")
        if not role:
            raise ConfigError("--columns", f"unknown meaning {printable(name, 40)!r} of a column",
                              "Choose one of " + ", ".join(ROLES) + ".")
        if column not in columns:
            raise ConfigError("--columns", f"{where} has no column {printable(column, 40)!r}", f"Its columns are {listed}.")
        if stated.setdefault(role, column) != column:
            raise ConfigError("--columns", f"{role} has two columns: {stated[role]} and {column}", "Give one column for each.")
    found = {role: column for role, column in stated.items() if role in roles}
    taken = set(found.values())
    for role in roles:
        if role in found:
            continue
        candidates = [c for c in columns if plain(c) in ROLES[role] and c not in taken]
        if len(candidates) > 1:
            raise DataError(where, f"the columns {', '.join(printable(c, 40) for c in candidates)} could all mean {role}",
                            f"Choose one with --columns {role}={printable(candidates[0], 40)}.")
        if candidates:
            found[role] = candidates[0]
    for role in ("lat", "lon"):
        if role in roles and role not in found:
            raise DataError(where, f"no column gives {role} (columns: {listed})",
                            f"Name it {' or '.join(ROLES[role])}, or choose it with --columns {role}=NAME.")
    if "file" not in found and "image_id" not in found:
        raise DataError(where, f"no column gives the image (columns: {listed})",
                        "Name it file, image or path (or image_id), or choose it with --columns file=NAME.")
    return found


def plain(name: str) -> str:
    """Return a column's name in the form used for comparison: lower case, words joined by `_`."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower())
