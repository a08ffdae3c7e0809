"""Tiles that stand for "there is no tile here": found out by their content, and counted for people."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable

from justzoomin.tiles.tileheader import tile_format

_SMALL = 8 << 10
"""Larger files than this are pictures of something: an invisible tile packs to less."""
_MAX_PX = 1 << 22


def no_tile(content: bytes) -> str:
    """Why a tile's content means that there is no tile; empty where it does not mean that.

    Servers and packages fill holes with empty files, with pictures of 1 x 1 px, and with pictures that are transparent
    throughout, whatever their size.
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
        return ""  # what is broken is found, and said, when it is decoded


def first_picture(contents: Iterable[object]) -> object:
    """The first of some tiles that is one; the last of them where none is."""
    content: object = b""
    for content in contents:
        if not (content is None or (isinstance(content, bytes) and no_tile(content))):
            break
    return content
