"""The copy of a photo that a session keeps: small, upright, without metadata."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg

from justzoomin.data import decode_photo

MAX_SIDE = 1024
"""Most pixels of a thumbnail's longer side."""
_QUALITY = 92


class Thumbnail(NamedTuple):
    """A small copy of a photo.

    Attributes:
        jpeg: Bytes of a JPEG file without metadata, upright.
        width: Its width in pixels.
        height: Its height in pixels.
    """

    jpeg: bytes
    width: int
    height: int


def thumbnail_of(photo: bytes, where: str = "photo") -> Thumbnail:
    """Return the thumbnail of a photo, at most `MAX_SIDE` pixels wide and high.

    Args:
        photo: The bytes of the photo's file.
        where: Name of the photo, for errors.

    Raises:
        PhotoError: If the photo cannot be read.
    """
    pixels = decode_photo(photo, where, (MAX_SIDE, MAX_SIDE))
    height, width = pixels.shape[:2]
    scale = MAX_SIDE / max(height, width)
    if scale < 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY, colorsubsampling="444")
    return Thumbnail(jpeg, pixels.shape[1], pixels.shape[0])
