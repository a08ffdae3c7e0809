"""When the seconds of a video were, from a GPX track or a table beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from justzoomin.errors import DataError
from justzoomin.photos.readers.camera_times import parse_time, parse_zone
from justzoomin.photos.readers.gpx_file import read_gpx
from justzoomin.photos.readers.json_input import finite
from justzoomin.photos.readers.table_files import numbers_where_all_are, read_csv
from justzoomin.untrusted import printable

_REMEDY = "Give a table of seconds (in the video) and time (ISO 8601), or a GPX track that begins with the video."
VideoClock = tuple[tuple[float, datetime], ...]
"""Pairs of seconds in a video and their times."""


def video_clock(path: Path, zone: str | None = None) -> tuple[VideoClock, bool]:
    """Return the times of a video, and whether they are known in UTC.

    Args:
        path: A GPX file, whose first point is that of the first frame, or a CSV with columns seconds and time.
        zone: Zone of times that state none.

    Raises:
        DataError: If the file is invalid, or only some of its zones are known.
        ConfigError: If the zone does not exist.
    """
    if path.suffix.lower() == ".gpx":
        first = min(float(segment.seconds[0]) for segment in read_gpx(path, path.name))
        return ((0.0, datetime.fromtimestamp(first, UTC)),), True
    columns, rows = read_csv(path)
    lowered = {c.lower(): c for c in columns}
    if not {"seconds", "time"} <= set(lowered) or not rows:
        raise DataError(path, f"the columns {printable(', '.join(columns), 100)} are not the expected ones", _REMEDY)
    numbers_where_all_are([lowered["seconds"]], rows)
    given = parse_zone(zone) if zone else None
    found, known = [], set()
    for number, row in enumerate(rows, 2):
        seconds, stated = finite(row[lowered["seconds"]]), row[lowered["time"]]
        utc = parse_time(stated, given)
        time = utc or parse_time(stated, UTC)
        if seconds is None or time is None:
            words = f"{printable(row[lowered['seconds']], 20)}, {printable(stated, 40)}"
            raise DataError(f"{path}, row {number}", f"{words} cannot be read as seconds and a time", _REMEDY)
        found.append((seconds, time))
        known.add(utc is not None)
    if len(known) > 1:
        raise DataError(path, "only some of its times state a zone", "Write the zone in every row, or give --time-zone.")
    return tuple(found), known.pop()
