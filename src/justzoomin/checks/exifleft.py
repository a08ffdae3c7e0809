"""What a photo's file contains besides its pixels: EXIF, embedded previews, XMP, IPTC, comments."""

from __future__ import annotations

import io
import struct
import warnings

from PIL import ExifTags, Image, UnidentifiedImageError

from justzoomin.errors import PhotoError
from justzoomin.filekind import PICTURE_FORMATS

_UNREADABLE = (OSError, ValueError, TypeError, SyntaxError, struct.error, EOFError, LookupError, ArithmeticError, RuntimeError,
               UnidentifiedImageError, Image.DecompressionBombError)
_OWNER = {0x013B: "Artist", 0x8298: "Copyright", 0x9C9D: "XPAuthor", 0xA430: "CameraOwnerName", 0x013C: "HostComputer"}
_SERIAL = {0xA431: "BodySerialNumber", 0xA435: "LensSerialNumber", 0xC62F: "CameraSerialNumber", 0xA420: "ImageUniqueID"}
_TEXT = {0x010E: "ImageDescription", 0x9286: "UserComment", 0x927C: "MakerNote", 0x9C9B: "XPTitle", 0x9C9C: "XPComment"}
_HARMLESS = {0x0112, 0x8769, 0x8825, 0x011A, 0x011B, 0x0128, 0xA001, 0xA002, 0xA003, 0x9000, 0xA000, 0x9101, 0x0213, 0xA005,
             0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0111, 0x0115, 0x0116, 0x0117, 0x011C}
"""Orientation, pixel counts, colour space, versions, pointers and TIFF structure: nothing about place or person."""

PERSONAL = ("gps", "owner", "serial", "preview", "text")
"""Kinds that reveal place or person, or (preview) show what was blurred in the photo."""


def left_behind(data: bytes, where: str) -> dict[str, list[str]]:
    """Return what a file still reveals, by kind: `gps`, `owner`, `serial`, `preview`, `text`, `other`; empty for bare pixels.

    Args:
        data: The file's bytes.
        where: Its name, for error texts.

    Raises:
        PhotoError: If it is not a readable image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=PICTURE_FORMATS)
            info = dict(image.info)
    except _UNREADABLE as error:
        raise PhotoError(where, "the file is not a readable image", "Fetch or export the photo again.") from error
    found: dict[str, list[str]] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exif = image.getexif()
            tags = {**dict(exif), **exif.get_ifd(ExifTags.IFD.Exif)}
            if exif.get_ifd(ExifTags.IFD.GPSInfo):
                found.setdefault("gps", []).append("GPSInfo")
            if exif.get_ifd(ExifTags.IFD.IFD1):
                found.setdefault("preview", []).append("thumbnail")
    except _UNREADABLE:
        tags = {}
        found.setdefault("other", []).append("an unreadable EXIF part")
    for tag in tags:
        if tag in _HARMLESS:
            continue
        for kind, names in (("owner", _OWNER), ("serial", _SERIAL), ("text", _TEXT)):
            if tag in names:
                found.setdefault(kind, []).append(names[tag])
                break
        else:
            found.setdefault("other", []).append(ExifTags.TAGS.get(tag, f"tag {tag:#06x}"))
    for key, kind, name in (("xmp", "text", "XMP"), ("photoshop", "text", "IPTC"), ("comment", "text", "comment"),
                            ("XML:com.adobe.xmp", "text", "XMP")):
        if info.get(key):
            found.setdefault(kind, []).append(name)
    if getattr(image, "n_frames", 1) > 1:
        found.setdefault("preview", []).append("further pictures in the file")
    return found
