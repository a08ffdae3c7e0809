"""Read JSON from outside: whole or line by line, without NaN or deep nesting, and with the place of every error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from justzoomin.errors import DataError
from justzoomin.geometry import stated_bearings
from justzoomin.photos.readers.records import Scalar
from justzoomin.untrusted import printable, read_limited

MAX_BYTES = 2 << 30
_RECORD = "\x1e"
LINE_ENDINGS = frozenset({".jsonl", ".ndjson", ".geojsonl", ".geojsons"})


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return a file's bytes.

    Raises:
        DataError: If the file cannot be read or is too large.
    """
    try:
        return read_limited(path, max_bytes)
    except OSError as error:
        raise DataError(path, f"the file cannot be read ({error.strerror})",
                        "Give a readable file; split it if it is too large.") from error


def decoded(data: bytes, where: Path, remedy: str, encoding: str = "utf-8") -> str:
    """Return the text of a file's bytes, without a byte order mark; UTF-16 if the mark says so.

    Args:
        data: The bytes.
        where: The file, for messages.
        remedy: What to do if they cannot be decoded.
        encoding: Their encoding if there is no mark.

    Raises:
        DataError: If they cannot be decoded.
    """
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else encoding
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(where, f"the file is not {encoding.upper()} text (byte {error.start})", remedy) from error


def json_values(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the values of a JSON file with their places: one value, one per line, or one after each record separator.

    Source of the last: RFC 8142, GeoJSON text sequences. Such a value may span several lines.

    Raises:
        DataError: If the file cannot be read or parsed, or is nested too deeply.
    """
    text = decoded(read_bytes(path), path, "Save it as UTF-8.")
    by_lines, separator, name = path.suffix.lower() in LINE_ENDINGS, "\n", "line"
    start = text.lstrip(" \t\r\n")  # Python counts a record separator as white space
    if start.startswith(_RECORD):
        by_lines, separator, name, text = True, _RECORD, "record", start[1:]
    if not by_lines:
        try:
            value = _parse(text, path)
        except DataError:
            first, _, rest = text.lstrip().partition("\n")
            if not (rest.strip() and first.rstrip().endswith("}") and first.startswith("{")):
                raise
            _parse(first, f"{path}, line 1")  # the first line is a complete value: one value per line
        else:
            yield str(path), value
            return
    for number, part in enumerate(text.split(separator), 1):
        if part.strip():
            where = f"{path}, {name} {number}"
            yield where, _parse(part, where)


def _parse(text: str, where: str | Path) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise DataError(where, f"this is not valid JSON ({error.msg} at line {error.lineno}, column {error.colno})",
                        "Correct the file, or fetch it again.") from error
    except RecursionError as error:
        raise DataError(where, "the JSON is nested too deeply", "Give a JSON file about photos.") from error
    except ValueError as error:  # NaN, integers of thousands of digits
        raise DataError(where, f"this is not valid JSON ({printable(error)})",
                        "Correct the file, or fetch it again.") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def finite(value: object) -> float | None:
    """Return the finite float of a JSON number; None for everything else, including booleans."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def point(geometry: object) -> tuple[float, float, float | None] | str:
    """Return (lat, lon, altitude) of a GeoJSON point, which stores longitude first; or why it is not a point."""
    if not isinstance(geometry, dict):
        return "it has no geometry"
    if geometry.get("type") != "Point":
        return f"its geometry is {printable(geometry.get('type'), 30)}, not Point"
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return "its point has no coordinates"
    lon, lat = finite(coordinates[0]), finite(coordinates[1])
    if lat is None or lon is None:
        return "its coordinates are not numbers"
    return lat, lon, finite(coordinates[2]) if len(coordinates) > 2 else None


def position_problem(lat: float, lon: float) -> str:
    """Return why a finite pair is not a position; empty if it is one."""
    if abs(lat) > 90 or abs(lon) > 180:
        return f"{lat:.10g}, {lon:.10g} is not a position in degrees"
    if abs(lat) < 1e-6 and abs(lon) < 1e-6:
        return "its position is 0, 0, which is written for an unknown one"
    return ""


def true_bearing(degrees: float | None) -> float | None:
    """Return the bearing of a stated number of degrees; None if there is none. See `stated_bearings`."""
    bearing = float(stated_bearings(math.nan if degrees is None else degrees))
    return None if math.isnan(bearing) else bearing


def scalar(value: object) -> Scalar:
    """Return a JSON value as one cell of a table: text and numbers unchanged, the rest as short JSON text."""
    if value is None or isinstance(value, bool | str):
        return value[:1000] if isinstance(value, str) else value
    if isinstance(value, int | float):
        if isinstance(value, int) and abs(value) < 1 << 63:
            return value
        return finite(value)
    try:
        return json.dumps(value, ensure_ascii=False)[:1000]
    except (TypeError, ValueError, RecursionError):
        return None
