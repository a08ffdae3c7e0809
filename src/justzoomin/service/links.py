"""Corrections as a short text for a link: JSON, compressed, in the alphabet of addresses."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Sequence
from typing import NoReturn

from justzoomin.errors import ConfigError
from justzoomin.service.corrections import AnyCorrection, corrections_from_json

MAX_LINK = 4_000
"""Most characters of a link: servers and chat programs cut longer addresses."""
MAX_JSON = 1 << 20
"""Most characters of corrections as JSON."""
_SAFE = re.compile(r"[A-Za-z0-9_-]*")
_REMEDY = "Copy the whole link again."


def corrections_link(corrections: Sequence[AnyCorrection]) -> str | None:
    """Return corrections as a text for a link; an empty text for none, and None if it would be too long."""
    if not corrections:
        return ""
    plain = json.dumps([one.to_dict() for one in corrections], separators=(",", ":"))
    text = base64.urlsafe_b64encode(zlib.compress(plain.encode(), 9)).decode().rstrip("=")
    return text if len(text) <= MAX_LINK else None


def read_corrections(text: str) -> list[AnyCorrection]:
    """Return the corrections of a link's text, or of a JSON list.

    Raises:
        ConfigError: If it is neither, or too long.
    """
    if text.lstrip()[:1] == "[":
        return _read_json(text)
    if not text:
        return []
    if len(text) > MAX_LINK or not _SAFE.fullmatch(text):
        raise ConfigError("corrections", "this is not the text of a link", _REMEDY)
    try:
        unpacking = zlib.decompressobj()
        plain = unpacking.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), MAX_JSON)
        if not unpacking.eof:
            raise ConfigError("corrections", "the link is cut off, or too long", _REMEDY)
        return _read_json(plain.decode())
    except (ValueError, zlib.error) as error:
        raise ConfigError("corrections", "the link is broken", _REMEDY) from error


def _read_json(text: str) -> list[AnyCorrection]:
    if len(text) > MAX_JSON:
        raise ConfigError("corrections", f"they have more than {MAX_JSON:,} characters", "Give fewer corrections.")
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ConfigError("corrections", "they are not valid JSON", "Give a JSON list of corrections.") from error
    return corrections_from_json(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
