"""Read what precedes the pixels of an image file: size, EXIF and XMP. Pixels are not decoded."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from justzoomin.data import exif_tags, gpano, loaded_exif, xmp_of, xmp_text
from justzoomin.errors import MissingExtraError, PhotoError
from justzoomin.filekind import PICTURE_FORMATS, is_heic, looks_like

__all__ = ["Header", "gpano", "heic_reader", "read_header"]
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
_LOOKED_AT = 4096
_READING = (OSError, ValueError, TypeError, SyntaxError, struct.error, EOFError, MemoryError, LookupError, ArithmeticError,
            RuntimeError, AttributeError, zlib.error, Image.DecompressionBombError)
"""What Pillow raises for broken files."""


@dataclass(frozen=True)
class Header:
    """The contents of a file before its pixels.

    Attributes:
        width: Number of pixel columns, as stored.
        height: Number of pixel rows, as stored.
        main: Tags of the first IFD by number.
        exif: Tags of the EXIF IFD.
        gps: Tags of the GPS IFD.
        xmp: The XMP packet as text; empty if there is none.
        broken_exif: Whether there is unreadable EXIF; the tags are empty in that case.
    """

    width: int
    height: int
    main: Mapping[int, Any] = field(default_factory=dict)
    exif: Mapping[int, Any] = field(default_factory=dict)
    gps: Mapping[int, Any] = field(default_factory=dict)
    xmp: str = ""
    broken_exif: bool = False


def read_header(path: Path, data: bytes | None = None) -> Header:
    """Read the header of an image file.

    Args:
        path: The file.
        data: Its bytes, if they are already read.

    Raises:
        PhotoError: If it cannot be read as an image.
        MissingExtraError: If it is a HEIC file and pillow_heif is missing.
    """
    start = b""
    try:
        with path.open("rb") if data is None else io.BytesIO(data) as file:
            start = file.read(_LOOKED_AT)
            file.seek(0)
            if is_heic(start):
                image = heic_reader().open_heif(file)
                return _header(image.size, lambda: loaded_exif(image.info.get("exif")), xmp_text(image.info.get("xmp")))
            with Image.open(file, formats=PICTURE_FORMATS) as image:
                return _header(image.size, lambda: exif_tags(image, file), xmp_of(image, file))
    except UnidentifiedImageError as error:
        kind = looks_like(start)
        raise PhotoError(path, "the file is not a readable image" + (f": it looks like {kind}" if kind else ""),
                         "Give JPEG, PNG, TIFF, WebP or HEIC photos.") from error
    except _READING as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PhotoError(path, f"the header is broken ({reason})", "Fetch or export the photo again.") from error


def heic_reader() -> Any:
    """Return the package that reads HEIC.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return importlib.import_module("pillow_heif")
    except ImportError as error:
        raise MissingExtraError("pillow_heif", "own") from error


def _header(size: tuple[int, int], load: Callable[[], Image.Exif], xmp: str) -> Header:
    width, height = int(size[0]), int(size[1])
    try:
        tags = load()
        main = dict(tags)
    except _READING:
        return Header(width, height, xmp=xmp, broken_exif=True)
    return Header(width, height, main, _ifd(tags, EXIF_IFD), _ifd(tags, GPS_IFD), xmp)


def _ifd(tags: Image.Exif, number: int) -> dict[int, Any]:
    try:
        return dict(tags.get_ifd(number))
    except _READING:  # other parts of the EXIF may still be readable
        return {}
