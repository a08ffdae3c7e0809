"""Times of photos: what cameras write, what tables write, and the zones of their clocks."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from justzoomin.errors import ConfigError

_EXIF_TIME = re.compile(r"\s*(\d{4})[:-](\d{2})[:-](\d{2})[ T]+(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?\s*$")
_OFFSET = re.compile(r"\s*(?:(Z|UTC)|([+-])(\d{1,2}):?(\d{2}))\s*$")
_EPOCH_MS = 1e11
"""Numbers above this are milliseconds since 1970, those below are seconds: the two meet in the years 1973 and 5138."""


def parse_zone(text: str) -> tzinfo:
    """A time zone from its name (`Europe/Stockholm`) or its offset (`+02:00`, `UTC`).

    Raises:
        ConfigError: If there is no such zone.
    """
    fixed = parse_offset(text)
    if fixed is not None:
        return fixed
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError("--time-zone", f"there is no time zone {text!r}",
                          "Give a name such as Europe/Stockholm, or an offset such as +02:00.") from error


def parse_offset(text: object) -> timezone | None:
    """The zone of an offset from UTC as EXIF writes it (`+02:00`); None where it is none."""
    match = _OFFSET.match(plain_text(text))
    if match is None:
        return None
    if match[1]:
        return UTC
    minutes = 60 * int(match[3]) + int(match[4])
    if minutes >= 24 * 60 or int(match[4]) > 59:
        return None
    return timezone(timedelta(minutes=minutes if match[2] == "+" else -minutes))


def plain_text(value: object) -> str:
    """Text of an EXIF value: bytes decoded, cut at the first zero byte."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.split("\0")[0].strip() if isinstance(text, str) else ""


def parse_exif_time(text: object, subseconds: object = None) -> datetime | None:
    """The camera's clock, without a zone, from `2024:05:17 13:04:59` and its digits behind the point; None where none."""
    match = _EXIF_TIME.match(plain_text(text))
    if match is None:
        return None
    digits = re.match(r"\d{1,9}", plain_text(subseconds))
    fraction = match[7] or (digits[0] if digits else "0")
    try:
        whole = datetime(*(int(match[k]) for k in range(1, 7)))  # type: ignore[arg-type]
    except ValueError:  # 0000:00:00, month 13
        return None
    return whole.replace(microsecond=int(float("0." + fraction) * 1e6))


def in_zone(clock: datetime, zone: tzinfo) -> datetime | None:
    """A clock's time in a zone; None for the hour that is skipped or repeated when clocks are changed."""
    early, late = clock.replace(tzinfo=zone, fold=0), clock.replace(tzinfo=zone, fold=1)
    try:
        if early.utcoffset() != late.utcoffset():
            return None
        return early.astimezone(UTC)
    except (OverflowError, ValueError):  # the first and last day of all years
        return None


def shifted(time: datetime, seconds: float) -> datetime | None:
    """A time moved by seconds; None where that leaves the calendar."""
    try:
        return time + timedelta(seconds=seconds)
    except OverflowError:
        return None


def parse_time(value: object, zone: tzinfo | None = None) -> datetime | None:
    """A time of a table or JSON in UTC: ISO 8601, or seconds or milliseconds since 1970; None where it is none.

    ISO times without an offset are in `zone`; None without one.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else (in_zone(value, zone) if zone else None)
    number = value if isinstance(value, int | float) else _number(str(value))
    if number is not None:
        try:
            seconds = number / 1000.0 if abs(number) >= _EPOCH_MS else float(number)
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds) if math.isfinite(seconds) else None
        except (OverflowError, ValueError):
            return None
    text = str(value).strip()
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        exif = parse_exif_time(text)
        if exif is None:
            return None
        time = exif
    return in_zone(time, zone) if zone else None


def _number(text: str) -> float | None:
    # four digits are a year, eight a date
    return float(text) if re.fullmatch(r"\s*-?\d{9,17}(\.\d{1,9})?\s*", text) else None
