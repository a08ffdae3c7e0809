"""Tiles as pixels: strict decoding, and a bounded cache of decoded tiles."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import threading
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.filekind import PICTURE_FORMATS, looks_like, too_many_scans
from justzoomin.tiles.jpegfaults import decoded_jpeg
from justzoomin.tiles.source import TileId, TileSource
from justzoomin.untrusted import printable

Pixels = npt.NDArray[np.uint8]
_PLAIN_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
_SPARE_TILES = 64
_AGAIN = "Download or build the tile again."
_DECODING = (OSError, ValueError, TypeError, SyntaxError, struct.error, EOFError, MemoryError, LookupError, ArithmeticError,
             RuntimeError, AttributeError)
"""What Pillow raises on broken files."""


def decode_tile(content: bytes, where: str, tile_px: int, into: Pixels | None = None) -> Pixels:
    """Decode one tile strictly to RGB, uint8 (tile_px, tile_px, 3).

    JPEG tiles are decoded by libjpeg-turbo with its accurate transform and smooth chroma, as OpenCV (and so tiledwebmaps)
    does. All others are decoded by Pillow, and their transparency is dropped. A tile named .jpg must be a JPEG. The size is
    checked before the pixels are decoded. If an array is given, JPEG tiles are decoded into it.

    Raises:
        TileError: If it is not an image, is truncated, or has another size; it names `where`.
    """
    if not content:
        raise TileError(where, "the tile is empty", _AGAIN)
    is_jpeg = content.startswith(b"\xff\xd8")
    if not is_jpeg and where.lower().endswith((".jpg", ".jpeg")):
        kind = looks_like(content)
        raise TileError(where, "the tile is not a JPEG" + (f": it looks like {kind}" if kind else ""), _AGAIN)
    return _decode_jpeg(content, where, tile_px, into) if is_jpeg else _decode_other(content, where, tile_px)


def _check_size(height: int, width: int, where: str, tile_px: int) -> None:
    if (height, width) != (tile_px, tile_px):
        raise TileError(where, f"the tile is {width} x {height} px, but the layout says {tile_px} x {tile_px}",
                        "Check tile_shape_px in layout.yaml, or build the tile again.")


def _decode_jpeg(content: bytes, where: str, tile_px: int, into: Pixels | None) -> Pixels:
    try:
        pixels = decoded_jpeg(content, lambda jpeg: _jpeg_pixels(jpeg, where, tile_px, into))
    except ValueError as error:
        raise TileError(where, f"the tile is a broken JPEG ({printable(error, 200)})", _AGAIN) from error
    return pixels if into is None else into


def _jpeg_pixels(content: bytes, where: str, tile_px: int, into: Pixels | None) -> Pixels:
    import simplejpeg

    height, width, colorspace, _ = simplejpeg.decode_jpeg_header(content)
    _check_size(height, width, where, tile_px)
    if colorspace in {"CMYK", "YCCK"}:
        raise TileError(where, f"the tile is a {colorspace} JPEG", "Tiles must be colour (YCbCr, RGB) or grey.")
    if too_many_scans(content):
        raise TileError(where, "the tile is a JPEG with far too many scans", _AGAIN)
    pixels: Pixels = simplejpeg.decode_jpeg(content, "RGB", fastdct=False, fastupsample=False, buffer=into)
    return pixels


def _decode_other(content: bytes, where: str, tile_px: int) -> Pixels:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked right here, and odd metadata is not used
            image = Image.open(io.BytesIO(content), formats=PICTURE_FORMATS)
            _check_size(image.height, image.width, where, tile_px)
            if image.mode not in _PLAIN_MODES:
                raise TileError(where, f"the tile has pixels of mode {image.mode}", "Tiles must have 8 bits per channel.")
            return np.asarray(image.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise TileError(where, "the tile claims far too many pixels", _AGAIN) from error
    except UnidentifiedImageError as error:
        kind = looks_like(content)
        raise TileError(where, "the tile is not a readable image" + (f": it looks like {kind}" if kind else ""),
                        _AGAIN) from error
    except _DECODING as error:
        raise TileError(where, f"the tile is not a complete image ({printable(error, 200) or type(error).__name__})",
                        _AGAIN) from error


class TileCache:
    """Decoded tiles of a source; the least recently used tiles are dropped first.

    The memory of dropped tiles that nothing refers to is used again, because new pages from the system cost half as much as
    decoding.

    Args:
        source: Where tiles come from.
        tile_px: Edge of every tile in pixels.
        max_bytes: Most bytes of pixels kept; at least one tile is always kept.
    """

    def __init__(self, source: TileSource, tile_px: int, max_bytes: int = 64 << 20) -> None:
        self._source = source
        self._tile_px = tile_px
        self._max = max(1, max_bytes // (3 * tile_px * tile_px))
        self._kept: OrderedDict[TileId, Pixels | None] = OrderedDict()
        self._spare: list[Pixels] = []
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self._source, "tile_px": self._tile_px, "max": self._max}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._source, self._tile_px, self._max = state["source"], state["tile_px"], state["max"]
        self._kept, self._spare = OrderedDict(), []
        self._lock = threading.Lock()

    def get(self, tile: TileId) -> Pixels | None:
        """Return a tile's pixels, uint8 (tile_px, tile_px, 3), read-only; None if there is no such tile.

        Raises:
            TileError: If the tile cannot be read or decoded.
        """
        with self._lock:
            if tile in self._kept:
                self._kept.move_to_end(tile)
                return self._kept[tile]
        content = self._source.read(tile)
        pixels = None if content is None else self._decode(content, tile)
        if pixels is not None:
            pixels.flags.writeable = False
        with self._lock:
            self._kept[tile] = pixels
            while len(self._kept) > self._max:
                self._drop_oldest()
        return pixels

    def clear(self) -> None:
        """Drop all tiles."""
        with self._lock:
            while self._kept:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Drop the oldest tile; call this with the lock held, so that no thread gets the tile meanwhile."""
        pixels = self._kept.popitem(last=False)[1]
        # Only this name and the call refer to it: no view, no copying thread and no user does.
        if pixels is not None and pixels.base is None and len(self._spare) < _SPARE_TILES and sys.getrefcount(pixels) <= 2:
            self._spare.append(pixels)

    def _take_spare(self) -> Pixels:
        with self._lock:
            pixels = self._spare.pop() if self._spare else np.empty((self._tile_px, self._tile_px, 3), np.uint8)
        pixels.flags.writeable = True
        return pixels

    def _decode(self, content: bytes, tile: TileId) -> Pixels:
        """Decode a tile; its name is found only for messages, because that takes longer than reading the tile."""
        if content.startswith(b"\xff\xd8"):
            with contextlib.suppress(TileError):
                return decode_tile(content, "", self._tile_px, self._take_spare())
        return decode_tile(content, self._source.describe(tile), self._tile_px)
