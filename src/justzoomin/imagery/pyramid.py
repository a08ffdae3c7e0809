"""One square of a map: its tiles, and the average of four tiles for one of the level above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.imagery.base import Bounds, Imagery, Mask, Pixels

Cover = npt.NDArray[np.uint8]
"""Share of a pixel that has data, 0 to 255. (h, w)"""
_WHITE = 255
_HALF = 128


@dataclass(frozen=True)
class Canvas:
    """Pixels, and the share of each that has data.

    Args:
        pixels: uint8 RGB (h, w, 3).
        cover: Share of each pixel that has data, 0 to 255. (h, w)
    """

    pixels: Pixels
    cover: Cover


def compose(imagery: Sequence[tuple[Imagery, Bounds]], crs: str, bounds: Bounds, size: int) -> Canvas | None:
    """Draw pieces of imagery over each other, the first on top; return None if none has data.

    Args:
        imagery: Pieces, each with its extent in the projection.
        crs: The projection.
        bounds: The wanted square.
        size: Its edge in pixels.
    """
    pixels: Pixels | None = None
    mask: Mask = np.zeros((size, size), np.bool_)
    for piece, (west, south, east, north) in imagery:
        if west >= bounds[2] or east <= bounds[0] or south >= bounds[3] or north <= bounds[1]:
            continue
        found, valid = piece.read(crs, bounds, size, size)
        if pixels is None:
            pixels, mask = np.ascontiguousarray(found), valid.copy()
        else:
            np.copyto(pixels, found, where=(valid & ~mask)[..., None])
            mask |= valid
        if mask.all():
            break
    return Canvas(pixels, mask.astype(np.uint8) * np.uint8(255)) if pixels is not None and mask.any() else None


def halve(canvas: Canvas) -> Canvas:
    """Return the means of 2 x 2 pixels, rounded to nearest; colours are weighted by their share of data."""
    cover = canvas.cover
    if cover.min() == 255:
        return Canvas(_means(canvas.pixels), np.full((cover.shape[0] // 2, cover.shape[1] // 2), 255, np.uint8))
    weights = cover.astype(np.uint32)
    total = _sums(weights)
    weighted = _sums(canvas.pixels * weights[..., None])
    safe = np.maximum(total, 1)[..., None]
    pixels = ((weighted + safe // 2) // safe).astype(np.uint8)
    return Canvas(pixels, ((total + 2) >> 2).astype(np.uint8))


def _sums(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    found: npt.NDArray[np.uint32] = values[0::2, 0::2] + values[1::2, 0::2] + values[0::2, 1::2] + values[1::2, 1::2]
    return found


def _means(pixels: Pixels) -> Pixels:
    import cv2

    height, width = pixels.shape[:2]
    return np.asarray(cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)


def cut_tiles(canvas: Canvas, tile_px: int, quality: int) -> Iterator[tuple[int, int, bytes]]:
    """Return the tiles of a canvas with data, as JPEG: (column from the west, row from the south, bytes).

    Pixels with data in less than half of them are white.
    """
    import simplejpeg

    rows, columns = canvas.cover.shape[0] // tile_px, canvas.cover.shape[1] // tile_px
    for row in range(rows):
        for column in range(columns):
            top, left = (rows - 1 - row) * tile_px, column * tile_px
            part = np.s_[top:top + tile_px, left:left + tile_px]
            has_data = canvas.cover[part] >= _HALF
            if not has_data.any():
                continue
            tile = np.ascontiguousarray(canvas.pixels[part])
            if not has_data.all():
                tile[~has_data] = _WHITE
            yield column, row, bytes(simplejpeg.encode_jpeg(tile, quality=quality, colorsubsampling="420"))


def pack_canvas(canvas: Canvas) -> bytes:
    """Return a canvas as a lossless picture."""
    import cv2

    whole = np.ascontiguousarray(np.dstack([canvas.pixels, canvas.cover]))
    return bytes(cv2.imencode(".png", whole, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def unpack_canvas(content: bytes) -> Canvas | None:
    """Return the canvas of a picture of `pack_canvas`; None if it is broken."""
    import cv2

    whole = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if whole is None or whole.ndim != 3 or whole.shape[2] != 4 or whole.dtype != np.uint8:
        return None
    return Canvas(np.ascontiguousarray(whole[..., :3]), np.ascontiguousarray(whole[..., 3]))
