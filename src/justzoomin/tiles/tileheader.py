"""Tiles from outside: which image a content is, before anything decodes it."""

from __future__ import annotations

import io
import warnings

from justzoomin.errors import TileError
from justzoomin.filekind import looks_like
from justzoomin.tiles.decoding import decode_tile

MAX_TILE_BYTES = 8 << 20
"""No tile of a web map is larger; what is, is something else."""
_AGAIN = "Get the tile again, or leave it out of the area."


class CutTileError(TileError):
    """A tile begins as an image and does not decode to a whole one."""


def tile_format(content: bytes) -> str | None:
    """The format of an image by its first bytes: "jpg", "png" or "webp"; None where it is none of them."""
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def tile_size(content: bytes, where: str) -> tuple[int, int]:
    """Width and height of a tile, from its header.

    Raises:
        TileError: If it is no JPEG, PNG or WebP; it says what it looks like instead.
        CutTileError: If its header is broken.
    """
    from PIL import Image

    kind = tile_format(content)
    if kind is None:
        raise TileError(where, f"it is no JPEG, PNG or WebP image but {looks_like(content) or 'something else'}",
                        "Check the address of the tiles; only pictures are read.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # only the header is read
            width, height = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")).size
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise CutTileError(where, f"the {kind} image is cut or broken", _AGAIN) from error
    return width, height


def check_size(content: bytes, where: str, tile_px: int) -> None:
    """Refuse what is no tile, or one of another size, by its header.

    Raises:
        TileError: If it is no JPEG, PNG or WebP of that size.
    """
    if len(content) > MAX_TILE_BYTES:
        raise TileError(where, f"it has {len(content)} bytes", f"Tiles have at most {MAX_TILE_BYTES}.")
    width, height = tile_size(content, where)
    if (width, height) != (tile_px, tile_px):
        raise TileError(where, f"the tile is {width} x {height} px, the others are {tile_px} x {tile_px}",
                        "All tiles of a map have one size: 256 px is usual, 512 px on some servers (tile_px).")


def check_whole(content: bytes, where: str, tile_px: int) -> None:
    """Refuse what does not decode to a whole tile of that size.

    Raises:
        TileError: If it is no JPEG, PNG or WebP of that size.
        CutTileError: If it is one and does not decode to a whole picture.
    """
    check_size(content, where, tile_px)
    try:
        decode_tile(content, f"{where}.{tile_format(content)}", tile_px)
    except TileError as error:
        raise CutTileError(where, f"the {tile_format(content)} image is cut or broken", _AGAIN) from error
