"""Convert values of EXIF tags to text and numbers."""

from __future__ import annotations

import math


def plain_text(value: object) -> str:
    """Return the text of an EXIF value: bytes decoded, cut at the first zero byte."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.split("\0")[0].strip() if isinstance(text, str) else ""


def number(value: object) -> float | None:
    """Return the finite number of an EXIF value; None if there is none, as for 1/0."""
    if isinstance(value, tuple | list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str | bytes) or value is None:
        return None
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return result if math.isfinite(result) else None
