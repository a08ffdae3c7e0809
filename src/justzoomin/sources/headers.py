"""What stands before the pixels of an image file: its size, EXIF and XMP. Pixels are not decoded."""

from __future__ import annotations

import importlib
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from justzoomin.errors import MissingExtraError, PhotoError

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")
HEIC_ENDINGS = frozenset({".heic", ".heif"})
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
_XMP_TAG = 700
_MAX_XMP = 1 << 20
"""A photo's XMP is some kilobytes; what is larger is not looked at."""
_MAX_CHUNKS = 100_000
_READING = (OSError, ValueError, TypeError, SyntaxError, struct.error, EOFError, MemoryError, LookupError, ArithmeticError,
            RuntimeError, AttributeError, zlib.error, Image.DecompressionBombError)
"""What Pillow raises over broken files."""


@dataclass(frozen=True)
class Header:
    """What stands before the pixels.

    Attributes:
        width: Pixels from left to right, as stored.
        height: Pixels from top to bottom, as stored.
        main: Tags of the first IFD by number.
        exif: Tags of the EXIF IFD.
        gps: Tags of the GPS IFD.
        xmp: The XMP packet as text; empty where there is none.
        broken_exif: Whether there is EXIF that cannot be read; the tags are empty then.
    """

    width: int
    height: int
    main: Mapping[int, Any] = field(default_factory=dict)
    exif: Mapping[int, Any] = field(default_factory=dict)
    gps: Mapping[int, Any] = field(default_factory=dict)
    xmp: str = ""
    broken_exif: bool = False


def read_header(path: Path) -> Header:
    """Read the header of an image file.

    Raises:
        PhotoError: If it cannot be read as an image.
        MissingExtraError: If it is a HEIC file and pillow_heif is missing.
    """
    heic = heic_reader() if path.suffix.lower() in HEIC_ENDINGS else None
    try:
        if heic is not None and _is_heic(path):
            image = heic.open_heif(path)
            return _header(image.size, lambda: _loaded(image.info.get("exif")), image.info.get("xmp"))
        with Image.open(path, formats=FORMATS) as image:
            info = image.info
            late = image.format == "PNG" and "exif" not in info  # Pillow would decode all pixels to look behind them
            return _header(image.size, (lambda: _loaded(_late_png_exif(path))) if late else image.getexif,
                           info.get("xmp") or info.get("XML:com.adobe.xmp"))
    except UnidentifiedImageError as error:
        raise PhotoError(path, "it is no image that can be read", "Give JPEG, PNG, TIFF, WebP or HEIC photos.") from error
    except _READING as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PhotoError(path, f"its header is broken ({reason})", "Fetch or export the photo again.") from error


def heic_reader() -> Any:
    """The package that reads HEIC.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return importlib.import_module("pillow_heif")
    except ImportError as error:
        raise MissingExtraError("pillow_heif", "own") from error


def _header(size: tuple[int, int], load: Callable[[], Image.Exif], xmp: object) -> Header:
    width, height = int(size[0]), int(size[1])
    try:
        tags = load()
        main = dict(tags)
    except _READING:
        return Header(width, height, xmp=_xmp_text(xmp), broken_exif=True)
    return Header(width, height, main, _ifd(tags, EXIF_IFD), _ifd(tags, GPS_IFD), _xmp_text(xmp or main.get(_XMP_TAG)))


def _loaded(data: bytes | None) -> Image.Exif:
    tags = Image.Exif()
    tags.load(data or b"")
    return tags


def _ifd(tags: Image.Exif, number: int) -> dict[int, Any]:
    try:
        return dict(tags.get_ifd(number))
    except _READING:  # a broken part of the EXIF leaves the others readable
        return {}


def _xmp_text(xmp: object) -> str:
    if isinstance(xmp, tuple):  # TIFF with bytes written one by one
        xmp = bytes(v for v in xmp[:_MAX_XMP] if isinstance(v, int) and 0 <= v < 256)
    if isinstance(xmp, bytes):
        xmp = xmp[:_MAX_XMP].decode("utf-8", "replace")
    return xmp[:_MAX_XMP] if isinstance(xmp, str) else ""


def _is_heic(path: Path) -> bool:
    """Whether the file is in the container of HEIC: phones give this ending to JPEGs now and then."""
    with path.open("rb") as file:
        return file.read(12)[4:8] == b"ftyp"


def _late_png_exif(path: Path) -> bytes:
    """The eXIf chunk of a PNG that stands behind the pixels; empty where there is none."""
    with path.open("rb") as file:
        file.seek(8)
        for _ in range(_MAX_CHUNKS):
            head = file.read(8)
            if len(head) < 8:
                break
            length, name = struct.unpack(">I4s", head)
            if name == b"eXIf":
                return file.read(min(length, _MAX_XMP)) if length <= _MAX_XMP else b""
            if name == b"IEND":
                break
            file.seek(length + 4, 1)
    return b""


def gpano(xmp: str) -> dict[str, str]:
    """The properties of Google's panorama namespace in an XMP packet, by name without prefix.

    Both ways of writing them are read: as attributes and as elements. The packet is not parsed as XML, so that no
    entity is ever resolved.
    """
    if "GPano:" not in xmp:
        return {}
    found = dict(re.findall(r"\bGPano:(\w{1,40})\s{0,9}=\s{0,9}[\"']([^\"'<>]{0,200})[\"']", xmp))
    found.update(re.findall(r"<GPano:(\w{1,40})>([^<>]{0,200})</GPano:\1>", xmp))
    return {name: value.strip() for name, value in found.items()}
