"""EXIF and XMP of image files in each format's place for them, read without decoding pixels."""

from __future__ import annotations

import struct
import zlib
from typing import IO

from PIL import Image

ORIENTATION = 0x0112
MAX_METADATA = 1 << 20
"""Largest EXIF or XMP that is read, in bytes; a photo's usually has some kilobytes."""
_MAX_CHUNKS = 100_000
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PROFILE = b"Raw profile type "
"""Keyword of text chunks in which ImageMagick and others store EXIF and XMP as hexadecimal digits."""


def exif_tags(image: Image.Image, file: IO[bytes]) -> Image.Exif:
    """Return the tags of an image's EXIF only.

    Pillow's own `getexif` uses the orientation in XMP if EXIF has none. But editors that turn a photo upright drop the EXIF
    and often leave the XMP unchanged.

    Args:
        image: The image, opened and not decoded.
        file: Its file, at any position.

    Raises:
        Exception: Of many kinds, if the EXIF is broken; Pillow does not limit them.
    """
    if image.format == "TIFF":  # its EXIF tags are the tags of the file
        tags = image.getexif()
        if ORIENTATION not in getattr(image, "tag_v2", {}) and ORIENTATION in tags:
            del tags[ORIENTATION]
        return tags
    return loaded_exif(png_metadata(file)[0] if image.format == "PNG" else image.info.get("exif"))


def loaded_exif(data: bytes | None) -> Image.Exif:
    """Return the tags in EXIF bytes, with or without their header; no tags if there are no bytes."""
    tags = Image.Exif()
    tags.load(data or b"")
    return tags


def png_metadata(file: IO[bytes]) -> tuple[bytes, bytes]:
    """Return EXIF and XMP of a PNG, stored before or after its pixels; empty bytes if it has none.

    EXIF is in the chunk eXIf; files of older programs have it in a text chunk `Raw profile type exif` or `APP1`.
    Source: PNG specification, third edition, 11.3; the text chunks as ImageMagick and ExifTool write them.
    """
    exif, profile, xmp = b"", b"", b""
    file.seek(8)
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        length, name = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"IEND")
        if name == b"IEND":
            break
        if name not in {b"eXIf", b"tEXt", b"zTXt", b"iTXt"} or length > MAX_METADATA:
            file.seek(length + 4, 1)
            continue
        body = file.read(length)
        file.seek(4, 1)
        if name == b"eXIf":
            exif = exif or body
            continue
        keyword, _, rest = body.partition(b"\0")
        if keyword == b"XML:com.adobe.xmp":
            xmp = xmp or _text(name, rest)
        elif keyword.startswith(_PROFILE):
            content = _profile(_text(name, rest))
            if content.startswith(_XMP) or keyword == _PROFILE + b"xmp":
                xmp = xmp or content.removeprefix(_XMP)
            elif keyword in {_PROFILE + b"exif", _PROFILE + b"APP1"}:
                profile = profile or content
    return exif or profile, xmp


def _text(name: bytes, rest: bytes) -> bytes:
    """Return the text after a chunk's keyword; empty if it cannot be unpacked or is too long."""
    packed = name == b"zTXt" or (name == b"iTXt" and rest[:1] == b"\1")
    if name == b"iTXt":
        rest = rest[2:].split(b"\0", 2)[-1]  # after language and translated keyword
    elif packed:
        rest = rest[1:]
    if not packed:
        return rest
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(rest, 4 * MAX_METADATA)
    except zlib.error:
        return b""
    return text if unpacker.eof else b""


def _profile(text: bytes) -> bytes:
    """Return the bytes of a raw profile: a line with its name, one with its length, then hexadecimal digits."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""
