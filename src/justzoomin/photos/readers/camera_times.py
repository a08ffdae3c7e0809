"""Times of photos: formats of cameras and of tables, and the time zones of their clocks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from justzoomin.errors import ConfigError
from justzoomin.photos.readers.exif_values import plain_text

_ZONE = r"(?:(Z|UTC|GMT)|([+-])(\d{1,2})(?::?(\d{2}))?)"
_OFFSET = re.compile(rf"\s*{_ZONE}\s*$", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(
    r"\s*(\d{4})(?:([-:/.])(\d{1,2})\2(\d{1,2})|(\d{2})(\d{2}))"  # 2024:05:17, 2024-5-17, 20240517; never the day first
    r"(?:[T_]|\s+T?|(?<=\d{8}))"
    r"(\d{2}|\d(?=:)):?(\d{2})(?::?(\d{2})(?:[.,](\d+)|(?<=\d{14})(\d+))?)?"  # 13:04:59.25, 13:04, 130459, 130459250
    rf"\s*({_ZONE})?\s*$", re.ASCII | re.IGNORECASE)
_UNITS = (1, 10**3, 10**6, 10**9)
"""Seconds, milliseconds, microseconds and nanoseconds."""
_FIRST_S, _LAST_S = 315_532_800, 4_102_444_800
"""1980 and 2100 in seconds since 1970. Between them no number is a time in two of the units, or a date of 12 or 14 digits."""
_MAX_OFFSET_MIN = 14 * 60
"""The largest offset of a time zone from UTC: Kiritimati, in the east."""


class Clock(NamedTuple):
    """The reading of a clock.

    Attributes:
        time: The time, without a zone.
        zone: The zone written after it; None if there is none.
    """

    time: datetime
    zone: tzinfo | None


def parse_zone(text: str) -> tzinfo:
    """Return a time zone by its name (`Europe/Stockholm`) or its offset (`+02:00`, `UTC`).

    Raises:
        ConfigError: If the zone does not exist.
    """
    fixed = parse_offset(text)
    if fixed is not None:
        return fixed
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError("--time-zone", f"unknown time zone {text!r}",
                          "Give a name such as Europe/Stockholm, or an offset such as +02:00.") from error


def parse_offset(text: object) -> timezone | None:
    """Return the zone of an offset from UTC as EXIF writes it (`+02:00`, `+0200`, `+2`, `Z`), or None if it is unreadable."""
    match = _OFFSET.match(plain_text(text))
    if match is None:
        return None
    if match[1]:
        return UTC
    hours, minutes = int(match[3]), int(match[4] or 0)
    if minutes > 59 or 60 * hours + minutes > _MAX_OFFSET_MIN:
        return None
    return timezone((1 if match[2] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


def parse_clock(text: object, subseconds: object = None) -> Clock | None:
    """Read a clock as written in EXIF (`2024:05:17 13:04:59`), ISO 8601 or 12 or 14 digits; None if it is unreadable.

    Args:
        text: Year first, then at least hours and minutes: a date alone is not a time.
        subseconds: Digits after the decimal point, as EXIF stores them; used if the text has none.
    """
    match = _CLOCK.match(plain_text(text))
    if match is None:
        return None
    year, _, *date, hour, minute, second, point, behind, zone_text = match.groups()[:12]
    month, day = (int(v) for v in date if v is not None)
    digits = re.match(r"\d{1,9}", plain_text(subseconds), re.ASCII)
    fraction = point or behind or (digits[0] if digits else "0")
    zone = parse_offset(zone_text)
    if zone_text and zone is None:
        return None
    try:  # month 13, hour 24 (which may belong to the day before or after), second 60
        time = datetime(int(year), month, day, int(hour), int(minute), int(second or 0))
    except ValueError:
        return None
    return Clock(time.replace(microsecond=int(f"{fraction:0<6}"[:6])), zone)


def in_zone(clock: datetime, zone: tzinfo) -> datetime | None:
    """Return a clock's time in a zone; None for the hour that is skipped or repeated when clocks change."""
    early, late = clock.replace(tzinfo=zone, fold=0), clock.replace(tzinfo=zone, fold=1)
    try:
        if early.utcoffset() != late.utcoffset():
            return None
        return early.astimezone(UTC)
    except (OverflowError, ValueError):  # the first and last day of the calendar
        return None


def shifted(time: datetime, seconds: float) -> datetime | None:
    """Return a time moved by seconds; None if that leaves the calendar."""
    try:
        return time + timedelta(seconds=seconds)
    except OverflowError:
        return None


def parse_time(value: object, zone: tzinfo | None = None) -> datetime | None:
    """Return a time from a table or JSON in UTC; None if it is unreadable, could be two times, or has no zone.

    Accepted are ISO 8601, the formats of cameras, `YYYYMMDDhhmm`, `YYYYMMDDhhmmss`, and seconds, milliseconds, microseconds
    or nanoseconds since 1970, as text or as numbers. Digits that could be a date or a count are rejected.

    Args:
        value: The value of a cell.
        zone: Zone of times that state none.
    """
    if isinstance(value, datetime) and value.tzinfo:
        try:
            return value.astimezone(UTC)
        except OverflowError:
            return None
    clock = Clock(value, None) if isinstance(value, datetime) else _stated(_digits(value))
    known = clock and (clock.zone or zone)
    return in_zone(clock.time, known) if clock and known else None


def _digits(value: object) -> str:
    """Return the text of a cell; integers without the `.0` that spreadsheets and pandas append."""
    if isinstance(value, bool) or (isinstance(value, int | float) and not 0 <= value < 10**20):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return re.sub(r"^(\d+)\.0*$", r"\1", text.strip(), flags=re.ASCII)


def _stated(text: str) -> Clock | None:
    """Return the time of a date or of a count since 1970; None if the digits could be both."""
    number = re.fullmatch(r"(\d{9,20})(?:\.(\d+))?", text, re.ASCII)
    if number is None:
        return parse_clock(text)
    date = parse_clock(f"{text[:10]}00" if len(number[1]) == 10 else text)  # YYYYMMDDhh is never used, only recognized
    found = [date] if date and 1980 <= date.time.year < 2100 else []
    micros = int(f"{number[1]}{number[2] or '':0<6.6}")
    found += [Clock(datetime(1970, 1, 1) + timedelta(microseconds=micros // unit), UTC)
              for unit in _UNITS if _FIRST_S <= micros // unit // 10**6 < _LAST_S]
    return found[0] if len(found) == 1 else None
