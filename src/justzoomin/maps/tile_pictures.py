"""Pictures of tiles as files: JPEG, PNG, WebP, or whichever of JPEG and PNG fits."""

from __future__ import annotations

import io
from typing import Literal, NamedTuple, get_args

import numpy as np

from justzoomin.maps.web_tiles import Picture
from justzoomin.tiles import Pixels

TileFormat = Literal["jpg", "png", "webp", "mixed"]
TILE_FORMATS: tuple[TileFormat, ...] = get_args(TileFormat)
"""The formats of a tile; mixed is JPEG for opaque pictures and PNG for others."""
JPEG_QUALITY = 85
_WEBP_QUALITY = 80
_PNG_EFFORT = 1
"""Of 9: more takes much longer and saves little on aerial pictures."""


class TileFile(NamedTuple):
    """A tile as a file.

    Attributes:
        content: Its bytes.
        media_type: Its media type.
    """

    content: bytes
    media_type: str


def encode_picture(picture: Picture, form: TileFormat) -> TileFile:
    """Write a picture as a file; JPEG, which has no transparency, gets white behind it, as in a view."""
    if form == "jpg" or (form == "mixed" and picture.alpha is None):
        return TileFile(_jpeg(picture), "image/jpeg")
    if form == "webp":
        return TileFile(_webp(picture), "image/webp")
    return TileFile(_png(picture), "image/png")


def media_type_of(content: bytes) -> str | None:
    """Return the media type of a tile's file; None if it is neither JPEG, PNG nor WebP."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def palette_png(numbers: Pixels, palette: Pixels) -> bytes:
    """Return a PNG of numbers (n, n) of colours, uint8, and the palette, uint8 RGBA (256, 4): small and quick to write."""
    from PIL import Image

    image, palette = Image.fromarray(numbers), palette[:int(numbers.max()) + 1]
    image.putpalette(np.ascontiguousarray(palette[:, :3]).tobytes(), "RGB")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=_PNG_EFFORT, transparency=palette[:, 3].tobytes())
    return file.getvalue()


def _jpeg(picture: Picture) -> bytes:
    import simplejpeg

    rgb = picture.rgb
    if picture.alpha is not None:
        share = picture.alpha[..., None].astype(np.uint16)
        rgb = ((rgb * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
    content: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=JPEG_QUALITY, colorspace="RGB",
                                            colorsubsampling="420")
    return content


def _png(picture: Picture) -> bytes:
    import cv2

    bgr = picture.rgb[..., ::-1] if picture.alpha is None else np.dstack([picture.rgb[..., ::-1], picture.alpha])
    return cv2.imencode(".png", np.ascontiguousarray(bgr), [cv2.IMWRITE_PNG_COMPRESSION, _PNG_EFFORT])[1].tobytes()


def _webp(picture: Picture) -> bytes:
    from PIL import Image

    image = Image.fromarray(picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha]))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_WEBP_QUALITY, method=0)
    return file.getvalue()
