"""Convert values of EXIF tags to text."""

from __future__ import annotations


def plain_text(value: object) -> str:
    """Return the text of an EXIF value: bytes decoded, cut at the first zero byte."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.split("\0")[0].strip() if isinstance(text, str) else ""
