"""Tiles from outside: the image format and size of a content, checked before it is decoded."""

from __future__ import annotations

import io
import warnings

from justzoomin.errors import TileError
from justzoomin.filekind import looks_like
from justzoomin.tiles.decoding import decode_tile

MAX_TILE_BYTES = 8 << 20
"""No tile of a web map is larger."""
_AGAIN = "Get the tile again, or leave it out of the area."


class CutTileError(TileError):
    """A tile begins like an image but cannot be decoded completely."""


def tile_format(content: bytes) -> str | None:
    """Return the format of an image by its first bytes: "jpg", "png" or "webp"; else None."""
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def tile_size(content: bytes, where: str) -> tuple[int, int]:
    """Return width and height of a tile from its header.

    Raises:
        TileError: If it is not a JPEG, PNG or WebP; it says what it looks like instead.
        CutTileError: If its header is broken.
    """
    from PIL import Image

    kind = tile_format(content)
    if kind is None:
        raise TileError(where, f"it is not a JPEG, PNG or WebP image but {looks_like(content) or 'something else'}",
                        "Check the address of the tiles: only pictures can be read.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # only the header is read
            width, height = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")).size
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise CutTileError(where, f"the {kind} image is truncated or broken", _AGAIN) from error
    return width, height


def check_size(content: bytes, where: str, tile_px: int) -> None:
    """Refuse a content that is not a tile of the given size, by its header.

    Raises:
        TileError: If it is not a JPEG, PNG or WebP of that size.
    """
    if len(content) > MAX_TILE_BYTES:
        raise TileError(where, f"it has {len(content)} bytes", f"Tiles may have at most {MAX_TILE_BYTES} bytes.")
    width, height = tile_size(content, where)
    if (width, height) != (tile_px, tile_px):
        raise TileError(where, f"the tile is {width} x {height} px, but the others are {tile_px} x {tile_px}",
                        "All tiles of a map have one size: 256 px is usual, 512 px on some servers (tile_px).")


def check_whole(content: bytes, where: str, tile_px: int) -> None:
    """Refuse a content that does not decode to a complete tile of the given size.

    Raises:
        TileError: If it is not a JPEG, PNG or WebP of that size.
        CutTileError: If it is one but cannot be decoded completely.
    """
    check_size(content, where, tile_px)
    try:
        decode_tile(content, f"{where}.{tile_format(content)}", tile_px)
    except TileError as error:
        raise CutTileError(where, f"the {tile_format(content)} image is truncated or broken", _AGAIN) from error
