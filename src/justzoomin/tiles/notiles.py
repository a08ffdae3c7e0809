"""Tiles whose content means that there is no tile: they are recognized, and counted for the user."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable

from justzoomin.tiles.tileheader import tile_format

_SMALL = 8 << 10
"""Larger files show something: an invisible tile takes fewer bytes."""
_MAX_PX = 1 << 22


def no_tile(content: bytes) -> str:
    """Return why a tile's content means that there is no tile; empty if it does not mean that.

    Servers and packages fill holes with empty files, with pictures of 1 x 1 px, and with completely transparent pictures
    of any size.
    """
    from PIL import Image

    if not content:
        return "empty"
    if len(content) > _SMALL or tile_format(content) is None:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP"))
            if image.size == (1, 1):
                return "1 x 1 px"
            if image.width * image.height > _MAX_PX or not image.has_transparency_data:
                return ""
            return "transparent throughout" if image.convert("RGBA").getchannel("A").getbbox() is None else ""
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, LookupError, Image.DecompressionBombError):
        return ""  # a broken tile is found and reported when it is decoded


def first_picture(contents: Iterable[object]) -> object:
    """Return the first tile that is not empty; the last one if all are empty."""
    content: object = b""
    for content in contents:
        if not (content is None or (isinstance(content, bytes) and no_tile(content))):
            break
    return content
