"""Draws one raster's pixels on another raster: averaged if it shrinks, otherwise by cubic interpolation.

The geometry is own code: GDAL does the resampling, but gets only affine transforms, for parts so small that these are exact to
a twentieth of a pixel. GDAL converts between two datums in another way than a map's positions, which are converted through
WGS 84. If a grid file is missing, GDAL draws nothing and reports nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.imagery.base import Mask, Pixels
from justzoomin.imagery.points import convert, unwrapped
from justzoomin.imagery.rasters import Transform, gdal

AVERAGE_FROM = 1.2
"""Areas are averaged from this many source pixels per pixel."""
HALF = 0.499
"""A pixel has data if about half of its area does; rounding must not lose both of two halves."""
_EXACT_PX = 0.05
_SMALLEST_PX = 8
_INSIDE_PX = 1e-6
_AWAY = 1000.0
"""An offset, because GDAL treats pixels that begin at 0, 0 as a raster without georeference."""
_PLANE = "epsg:3857"
"""Any projection in metres, given for both source and target, so that GDAL converts nothing."""

Floats = npt.NDArray[np.float64]


def warp(pixels: Pixels, mask: Mask, source: tuple[str, Transform], target: tuple[str, Transform], width: int, height: int,
         ratio: float) -> tuple[Pixels, Mask]:
    """Draw pixels on another raster.

    Colours are weighted by the mask before they are mixed, so that pixels without data do not change others.

    Args:
        pixels: uint8 RGB (h, w, 3).
        mask: True where there is data, (h, w).
        source: Projection and transform of the pixels.
        target: Projection and transform of the wanted raster.
        width: Its columns.
        height: Its rows.
        ratio: Source pixels per wanted pixel, along the axis with more.

    Returns:
        uint8 RGB (height, width, 3), and True where there is data.
    """
    drawn, there = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_)
    whole, planes = bool(mask.all()), None
    waiting = [(0, 0, width, height)]
    while waiting:
        left, top, right, bottom = waiting.pop()
        size = right - left, bottom - top
        matrix, error = _plane(source, target, (left, top, right, bottom), pixels.shape[1])
        if error > _EXACT_PX * max(1.0, ratio) and max(size) > _SMALLEST_PX:
            middle = (left + right) // 2, (top + bottom) // 2
            waiting += [(left, top, middle[0], bottom), (middle[0], top, right, bottom)] if size[0] >= size[1] else \
                [(left, top, right, middle[1]), (left, middle[1], right, bottom)]
        elif matrix is not None:
            part, how = np.s_[top:bottom, left:right], "average" if ratio > AVERAGE_FROM else "cubic"
            if whole and _lies_inside(matrix, size, pixels.shape):
                drawn[part], there[part] = _draw(pixels, matrix, *size, how)
            else:
                planes = _weighted(pixels, mask) if planes is None else planes
                drawn[part], there[part] = _draw(planes, matrix, *size, how)
    return drawn, there


def _lies_inside(matrix: Floats, size: tuple[int, int], shape: tuple[int, ...]) -> bool:
    """Return whether all pixels of a part come from source pixels; beyond the source, GDAL would draw black."""
    corners = np.array([(0, 0, 1), (size[0], 0, 1), (0, size[1], 1), (*size, 1)]) @ matrix.T
    return bool((corners >= -_INSIDE_PX).all() and (corners <= np.array(shape[1::-1]) + _INSIDE_PX).all())


def _weighted(pixels: Pixels, mask: Mask) -> npt.NDArray[np.float32]:
    """Return colours weighted by the mask, and the mask itself: (4, h, w)."""
    planes = np.empty((4, *mask.shape), np.float32)
    planes[3] = mask
    for channel in range(3):
        np.multiply(pixels[..., channel], mask, out=planes[channel], casting="unsafe")
    return planes


def _plane(source: tuple[str, Transform], target: tuple[str, Transform], box: tuple[int, int, int, int],
           source_width: int) -> tuple[Floats | None, float]:
    """Return the affine matrix (2, 3) from pixels of a part of the target, counted from its corner, to source pixels.

    Returns:
        The matrix, None where the projection fails, and its largest error in source pixels.
    """
    left, top, right, bottom = box
    u, v = (grid.ravel() for grid in np.meshgrid(np.linspace(0, right - left, 5), np.linspace(0, bottom - top, 5)))
    a, b, c, d, e, f = target[1]
    x, y = convert(target[0], source[0], a * (left + u) + b * (top + v) + c, d * (left + u) + e * (top + v) + f)
    a, b, c, d, e, f = source[1]
    det = a * e - b * d
    x, y = unwrapped(source[0], x, c + a * source_width / 2) - c, y - f
    found = np.stack([(e * x - b * y) / det, (a * y - d * x) / det], -1)
    good = np.isfinite(found).all(1)
    if np.count_nonzero(good) < 4:
        return None, 0.0 if not good.any() else np.inf
    terms = np.stack([u, v, np.ones_like(u)], -1)[good]
    matrix = np.linalg.lstsq(terms, found[good], rcond=None)[0]
    return np.asarray(matrix.T, np.float64), float(np.abs(terms @ matrix - found[good]).max()) if good.all() else np.inf


def _draw(planes: npt.NDArray[Any], matrix: Floats, width: int, height: int, how: str) -> tuple[Pixels, Mask]:
    """Draw complete RGB pixels (h, w, 3), or weighted planes (4, h, w) with the weight as the last one."""
    plain = planes.ndim == 3 and planes.dtype == np.uint8
    drawn = _resample(np.ascontiguousarray(planes.transpose(2, 0, 1)) if plain else planes, matrix, width, height, how)
    if plain:
        return np.ascontiguousarray(drawn.transpose(1, 2, 0)), np.ones((height, width), np.bool_)
    share = drawn[3]
    there: Mask = share >= HALF
    share[~there] = 1.0
    colours = np.clip(drawn[:3] / share + 0.5, 0.0, 255.0).astype(np.uint8)
    colours[:, ~there] = 0
    return np.ascontiguousarray(colours.transpose(1, 2, 0)), there


def _resample(planes: npt.NDArray[Any], matrix: Floats, width: int, height: int, how: str) -> npt.NDArray[Any]:
    rasterio = gdal()
    from rasterio.warp import reproject

    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))  # from source pixels to target pixels
    inverse[:2, 2] += _AWAY
    drawn = np.zeros((len(planes), height, width), planes.dtype)
    reproject(planes, drawn, src_crs=_PLANE, src_transform=rasterio.Affine(*inverse[0], *-inverse[1]), dst_crs=_PLANE,
              dst_transform=rasterio.Affine(1.0, 0.0, _AWAY, 0.0, -1.0, -_AWAY), num_threads=1,
              resampling=rasterio.enums.Resampling[how])
    return drawn
