"""When a photo was taken according to its header: the camera's clock, its offset from UTC, and GPS time."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal

from justzoomin.data import exif_number
from justzoomin.photos.readers.camera_times import Clock, in_zone, parse_clock, parse_offset, shifted
from justzoomin.photos.readers.exif_values import plain_text
from justzoomin.photos.readers.headers import Header
from justzoomin.photos.readers.records import Scalar
from justzoomin.untrusted import printable

_CLOCKS = (("DateTimeOriginal", 0x9003, 0x9291, 0x9011), ("DateTimeDigitized", 0x9004, 0x9292, 0x9012))
"""Tags of the time, of its fractional digits, and of its offset from UTC."""
_NOTHING = re.compile(r"[\s:0-]*")
"""What cameras write for an unknown time."""
_GPS_BEGAN = datetime(1980, 1, 6, tzinfo=UTC)
_FARTHEST = timedelta(hours=14)
"""The largest difference of a clock in any zone from UTC."""
_SAME_FIX = timedelta(seconds=2)
"""Photos taken within this time may have the same GPS time: receivers give whole seconds, one per second."""
_MAX_DESCRIPTION = 10_000


@dataclass(frozen=True)
class PhotoClock:
    """What a header says about the time.

    Attributes:
        time: Time in UTC; None if the clock's zone is unknown and nothing else states a time.
        clock: Time of the camera's clock, without a zone; None if it is missing or unreadable.
        by: Source of `time`: the clock, Mapillary's app, or the last GPS fix, which may be older than the photo.
        source: The same in words; empty if there is no time.
        stated: Stated values that are not used, by the name under which they are stored.
    """

    time: datetime | None = None
    clock: datetime | None = None
    by: Literal["clock", "mapillary", "gps", ""] = ""
    source: str = ""
    stated: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Scalar]:
        """Columns stored with the time: its source, the clock if that is not the source, and unused values."""
        found: dict[str, Scalar] = {"captured_at_from": self.source} if self.source else {}
        if self.clock is not None and self.by != "clock":
            found["camera_clock"] = self.clock.isoformat()
        return {**found, **self.stated}

    def without_gps(self) -> PhotoClock:
        """Return the same without the GPS time, which is stored as `gps_time_stated`."""
        if self.by != "gps" or self.time is None:
            return self
        return PhotoClock(None, self.clock, stated={**self.stated, "gps_time_stated": self.time.isoformat()})

    @property
    def problem(self) -> str:
        """Why there is no time in UTC, as the end of a sentence."""
        parts = [f"its clock reads {self.clock.isoformat(' ')}, but the zone is unknown or the hour occurred twice that day"
                 if self.clock is not None else ""]
        words = {"camera_clock_stated": "its EXIF states the time {}, which cannot be read",
                 "clock_offset_stated": "its EXIF states the offset {}, which cannot be used",
                 "gps_time_stated": "its GPS time {} is stale or wrong",
                 "mapillary_time_stated": "the time {} from Mapillary's app does not fit the clock"}
        parts += [text.format(self.stated[key]) for key, text in words.items() if key in self.stated]
        return "; ".join(p for p in parts if p) or "it does not say when it was taken"


def photo_clock(header: Header, zone: tzinfo | None, offset_s: float | None) -> PhotoClock:
    """Return when a photo was taken.

    The camera's clock with its stated offset has priority, then the clock in `zone` or moved by `offset_s`, then the time
    from Mapillary's apps, then GPS time. The last two must agree with the clock up to a difference that zones can explain.

    Args:
        header: The header.
        zone: Zone of the camera's clock if the photo states none.
        offset_s: Seconds to add to the camera's clock; without a zone they convert it to UTC.
    """
    stated: dict[str, Scalar] = {}
    tag, clock = _clock(header.exif, stated)
    if clock is not None:
        time, source = None, ""
        if clock.zone is not None:
            time, source = in_zone(clock.time, clock.zone), f"EXIF {tag} and its offset"
        elif zone is not None:
            time, source = in_zone(clock.time, zone), f"EXIF {tag} in the given zone"
        elif offset_s is not None:
            time, source = clock.time.replace(tzinfo=UTC), f"EXIF {tag} and the given seconds"
        if time is not None and (time := shifted(time, offset_s or 0.0)) is not None:
            return PhotoClock(time, clock.time, "clock", source, stated)
    wall = clock.time if clock is not None else None
    others: tuple[tuple[Literal["mapillary", "gps"], datetime | None, str], ...] = (
        ("mapillary", _mapillary_time(header.main), "Mapillary's MAPCaptureTime"),
        ("gps", _gps_time(header.gps), "EXIF GPS time"))
    for by, time, source in others:
        if time is not None and _possible(time, wall):
            return PhotoClock(time, wall, by, source, stated)
        if time is not None:
            stated[f"{by}_time_stated"] = time.isoformat()
    return PhotoClock(None, wall, stated=stated)


def drop_stuck_gps(clocks: Sequence[PhotoClock], cameras: Sequence[object]) -> list[PhotoClock]:
    """Return the same clocks without GPS times that stand still while their camera's clock runs.

    Args:
        clocks: The clocks of photos that belong together.
        cameras: A value that identifies the camera of each.
    """
    same: dict[tuple[object, datetime | None], list[datetime]] = defaultdict(list)
    for one, camera in zip(clocks, cameras, strict=True):
        if one.by == "gps" and one.clock is not None:
            same[camera, one.time].append(one.clock)
    standing = {key for key, shown in same.items() if max(shown) - min(shown) > _SAME_FIX}
    return [one.without_gps() if (camera, one.time) in standing else one for one, camera in zip(clocks, cameras, strict=True)]


def _clock(exif: Mapping[int, Any], stated: dict[str, Scalar]) -> tuple[str, Clock | None]:
    """Return the tag and time of the camera's clock, and its zone; unusable values go to `stated`."""
    for tag, number_, subseconds, offset_tag in _CLOCKS:
        text, offset_text = plain_text(exif.get(number_)), plain_text(exif.get(offset_tag))
        clock = None if _NOTHING.fullmatch(text) else parse_clock(text, exif.get(subseconds))
        if clock is None:
            if not _NOTHING.fullmatch(text):
                stated.setdefault("camera_clock_stated", printable(text, 60))
            continue
        offset = parse_offset(offset_text)
        if offset is None and not _NOTHING.fullmatch(offset_text):
            stated["clock_offset_stated"] = printable(offset_text, 60)
        if offset is not None and clock.zone is not None and offset.utcoffset(None) != clock.zone.utcoffset(None):
            stated["clock_offset_stated"] = f"{printable(text, 60)} and {printable(offset_text, 60)}"
            return tag, Clock(clock.time, None)
        return tag, Clock(clock.time, clock.zone or offset)
    return "", None


def _possible(time: datetime, clock: datetime | None) -> bool:
    """Return whether a time in UTC can belong to a photo whose clock shows this in an unknown zone.

    A clock that shows a time before GPS existed was not set, so it proves nothing.
    """
    if time < _GPS_BEGAN:
        return False
    return clock is None or clock.year < _GPS_BEGAN.year or abs(time - clock.replace(tzinfo=UTC)) <= _FARTHEST


def _mapillary_time(main: Mapping[int, Any]) -> datetime | None:
    """Return the time in UTC that Mapillary's apps and tools write into ImageDescription, as JSON.

    Source: mapillary_tools, `datetime_to_map_capture_time`: `2016_05_27_10_14_17_123` in UTC.
    """
    text = plain_text(main.get(0x010E))
    if "MAPCaptureTime" not in text or len(text) > _MAX_DESCRIPTION:
        return None
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    parts = str(facts.get("MAPCaptureTime") if isinstance(facts, dict) else "").split("_")
    clock = parse_clock("{}-{}-{} {}:{}:{}.{}".format(*parts)) if len(parts) == 7 else None
    return clock.time.replace(tzinfo=UTC) if clock is not None else None


def _gps_time(gps: Mapping[int, Any]) -> datetime | None:
    day = parse_clock(f"{plain_text(gps.get(29))} 00:00")
    parts = gps.get(7)
    if day is None or not isinstance(parts, tuple | list) or len(parts) != 3:
        return None
    values = [exif_number(p) for p in parts]
    if any(v is None or v < 0 for v in values):
        return None
    hours, minutes, seconds = (v or 0.0 for v in values)
    if hours > 24 or minutes > 60 or seconds > 61:
        return None
    return shifted(day.time.replace(tzinfo=UTC), 3600 * hours + 60 * minutes + seconds)
