"""XMP of image files, and its panorama properties. The packet is not parsed as XML, so XML entities are never resolved."""

from __future__ import annotations

import importlib
import io
import re
from typing import IO, Any

from PIL import Image

from justzoomin.data.exiftags import MAX_METADATA, png_metadata
from justzoomin.filekind import PICTURE_FORMATS, is_heic

_TAG = 700
_NAMESPACE = "GPano:"
_READING = (OSError, ValueError, TypeError, SyntaxError, EOFError, LookupError, ArithmeticError, RuntimeError, AttributeError,
            Image.DecompressionBombError, ImportError)


def xmp_of(image: Image.Image, file: IO[bytes]) -> str:
    """Return the XMP packet of an image; empty if it has none.

    Args:
        image: The image, opened and not decoded.
        file: Its file, at any position.
    """
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or getattr(image, "tag_v2", {}).get(_TAG)
    return xmp_text(found or (png_metadata(file)[1] if image.format == "PNG" else None))


def xmp_text(xmp: object) -> str:
    """Return a packet as text; it may be text, bytes, or a tuple of byte values, as in TIFF."""
    if isinstance(xmp, tuple):
        xmp = bytes(v for v in xmp[:MAX_METADATA] if isinstance(v, int) and 0 <= v < 256)
    if isinstance(xmp, bytes):
        xmp = xmp[:MAX_METADATA].decode("utf-8", "replace")
    return xmp[:MAX_METADATA] if isinstance(xmp, str) else ""


def gpano(xmp: str) -> dict[str, str]:
    """Return the properties of Google's panorama namespace in an XMP packet, by name without prefix.

    They are read from attributes and from elements.
    """
    if _NAMESPACE not in xmp:
        return {}
    found = dict(re.findall(r"\bGPano:(\w{1,40})\s{0,9}=\s{0,9}[\"']([^\"'<>]{0,200})[\"']", xmp))
    found.update(re.findall(r"<GPano:(\w{1,40})>([^<>]{0,200})</GPano:\1>", xmp))
    return {name: value.strip() for name, value in found.items()}


def declared_panorama(data: bytes) -> dict[str, str]:
    """Return the panorama properties in a file's XMP, see `gpano`; empty for ordinary photos."""
    if _NAMESPACE.encode() not in data and not data.startswith(b"\x89PNG"):  # PNG may compress it
        return {}
    try:
        if is_heic(data):
            reader: Any = importlib.import_module("pillow_heif")
            return gpano(xmp_text(reader.open_heif(io.BytesIO(data)).info.get("xmp")))
        with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as image:
            return gpano(xmp_of(image, io.BytesIO(data)))
    except _READING:  # decoding will report what is wrong
        return {}
