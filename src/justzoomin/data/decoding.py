"""Decoding of street photos: upright RGB from JPEG, PNG, WebP, TIFF, BMP, GIF and HEIC, no larger than needed."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from justzoomin.data.exiftags import ORIENTATION, exif_tags
from justzoomin.errors import PhotoError
from justzoomin.filekind import PICTURE_FORMATS, is_heic, looks_like, too_many_scans
from justzoomin.tiles import decoded_jpeg, mended_jpegs
from justzoomin.untrusted import printable

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 100_000_000
"""Photos with more pixels are refused before decoding: no street camera makes them, but decompression bombs do."""
MIN_SIDE = 16
"""Photos narrower or lower than this many pixels show nothing to localize by."""
COARSE_FROM = 1.5
"""A photo that is this many times as large as needed may be decoded without its refining scans."""
_AGAIN = "Fetch or export the photo again."
_DECODING = (OSError, ValueError, TypeError, SyntaxError, struct.error, EOFError, MemoryError, LookupError, ArithmeticError,
             RuntimeError, AttributeError, zlib.error)
"""Errors that Pillow, libjpeg and libheif raise over broken files."""


def decode_photo(data: bytes, where: str, min_size: tuple[int, int] | None = None, coarse: bool = False) -> Pixels:
    """Decode a photo to upright RGB.

    JPEGs are decoded at the smallest of libjpeg's scales (1/1 to 1/8) that is not below `min_size`: a 2048 x 1152
    photo that becomes 768 x 384 is never decoded in full. The format is found from the content, not from the name. From files
    with several pictures (GIF, WebP, MPO, HEIC) the first or main one is used. Transparency and colour profiles are ignored,
    as they were for the training photos. JPEGs with harmless faults are read, see `decoded_jpeg`.

    Args:
        data: The file's bytes, in one of `PICTURE_FORMATS` or HEIC (which needs the extra `own`).
        where: Name of the file, for error texts.
        min_size: Least height and width in pixels that the caller needs; None decodes in full.
        coarse: Leave out the refining scans of a progressive JPEG that is at least `COARSE_FROM` times as large as needed.

    Returns:
        uint8 (H, W, 3), turned upright by the EXIF orientation. Other EXIF fields are ignored.

    Raises:
        PhotoError: If the file is not an image, is truncated, has too few or too many pixels, or its values are not colours.
    """
    try:
        if is_heic(data):
            return _heic(data, where)
        image = Image.open(io.BytesIO(data), formats=PICTURE_FORMATS)
        _check_size(image.size, where)
        orientation = exif_orientation(image, data)
        if image.format in {"JPEG", "MPO"}:
            if too_many_scans(data):
                raise PhotoError(where, "the JPEG has far too many scans: decoding it would take minutes", _AGAIN)
            if image.mode in {"RGB", "L"}:
                need = (min_size if orientation < 5 else min_size[::-1]) if min_size else (0, 0)
                if coarse and min_size and min(image.height / need[0], image.width / need[1]) >= COARSE_FROM:
                    from justzoomin.data.scans import reduced_jpeg

                    data = reduced_jpeg(data)
                return _upright(decoded_jpeg(data, lambda jpeg: simplejpeg.decode_jpeg(
                    jpeg, "RGB", min_height=need[0], min_width=need[1], strict=True)), orientation)
            return _upright(decoded_jpeg(data, lambda jpeg: _other(
                Image.open(io.BytesIO(jpeg), formats=PICTURE_FORMATS), where)), orientation)
        return _upright(_other(image, where), orientation)
    except Image.DecompressionBombError as error:
        raise PhotoError(where, f"it claims more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels",
                         f"Photos up to {MAX_PIXELS} pixels are read.") from error
    except UnidentifiedImageError as error:
        kind = looks_like(data)
        raise PhotoError(where, "it cannot be read as an image" + (f": it looks like {kind}" if kind else ""),
                         "Give a JPEG or PNG photo.") from error
    except _DECODING as error:
        reason = printable(error, 200) or type(error).__name__
        raise PhotoError(where, f"the image is broken ({reason})", _AGAIN) from error


def photo_aspect(data: bytes) -> float:
    """Return the upright width over height of an image file; 16:9 if its header is unreadable (decoding will then raise)."""
    try:
        with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as image:
            width, height = image.size
            turned = exif_orientation(image, data) >= 5
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 16 / 9
    return height / width if turned else width / height


def sound_jpeg(data: bytes) -> bytes:
    """Return a JPEG that strict decoders can read: the file unchanged, or without its harmless faults.

    Raises:
        ValueError: If it cannot be decoded.
    """
    if next(mended_jpegs(data), None) is None:
        return data

    def decodes(jpeg: bytes) -> bytes:
        simplejpeg.decode_jpeg(jpeg, "GRAY", min_height=1, min_width=1, strict=True)
        return jpeg

    return decoded_jpeg(data, decodes)


def exif_orientation(image: Image.Image, data: bytes) -> int:
    """Return the EXIF orientation (1 to 8) of an image in the file `data`; 1 (upright) if EXIF is missing or unreadable.

    TIFF always gives 1: Pillow turns TIFF images itself while it decodes them, also by their XMP.
    """
    try:
        tags = exif_tags(image, io.BytesIO(data))
        value = 1 if image.format == "TIFF" else tags.get(ORIENTATION, 1)
    except _DECODING:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_size(size: tuple[int, int], where: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise PhotoError(where, f"{width} x {height} pixels", f"Photos up to {MAX_PIXELS} pixels are read.")
    if min(width, height) < MIN_SIDE:
        raise PhotoError(where, f"only {width} x {height} pixels", f"Give a photo of at least {MIN_SIDE} pixels a side.")


def _heic(data: bytes, where: str) -> Pixels:
    """Decode the main picture of a HEIC file; libheif turns it upright itself, as ISO/IEC 23008-12 requires."""
    try:
        reader: Any = importlib.import_module("pillow_heif")
    except ImportError as error:
        raise PhotoError(where, "it is a HEIC photo, and the optional package pillow_heif that reads it is not installed",
                         "Install it with: pip install 'justzoomin[own]', or export the photo as JPEG.") from error
    image = reader.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    _check_size(image.size, where)
    return np.asarray(image.to_pillow().convert("RGB"))


def _other(image: Image.Image, where: str) -> Pixels:
    """Decode an image other than a plain JPEG to RGB; 16-bit grey keeps its upper 8 bits, which Pillow would clip."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):  # older versions of Pillow call it I
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in {"I", "F"}:
        raise PhotoError(where, f"its pixels are {'32-bit integers' if image.mode == 'I' else 'real numbers'}, not colours",
                         "Export it with 8 bits per colour.")
    if image.mode in {"P", "PA"}:  # Pillow warns about palettes with transparency unless RGBA comes first
        return np.asarray(image.convert("RGBA").convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo the EXIF orientation 1 to 8 (TIFF tag 274); other values leave the photo unchanged."""
    turns = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
    quarter, mirrored = turns.get(orientation, (0, False))
    turned = np.rot90(pixels, quarter) if quarter else pixels
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
