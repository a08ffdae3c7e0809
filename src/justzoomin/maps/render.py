"""Drawing one view from tiles: the reference renderer's arithmetic, only on the pixels that matter.

The steps are those of tiledwebmaps 0.2.0: a mosaic of the tiles touched; r = native pixels per output pixel, from the mean of
the two axes' scale at the centre; for r > 1 a Gaussian blur of sigma (r - 1) / 2 and kernel 4 ceil(sigma) + 1; one bilinear
remap, in single precision, in which output pixel (i, j) samples (i - n/2, j - n/2) output pixels from the centre, rotated by
bearing and meridian convergence.

Three errors of the reference are not repeated. Its mosaic ignores the convergence, so that corners of a view can be black
although their tiles exist. It rounds tile numbers below zero to the wrong side. It rotates views the wrong way in projections
whose first axis is north. Here such views are drawn completely and upright.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError, TileError
from justzoomin.maps.scratch import scratch
from justzoomin.tiles import Pixels, TileCache, TileId, TileProjection

RENDERER = 1
"""Version of this file's arithmetic: increase it whenever a view's pixels change."""
MAX_VIEW_PX = 8192
MAX_MOSAIC_PX = 24_000
"""Longest edge of a mosaic in native pixels (OpenCV's remap reads at most 32 767)."""
_WHITE = 255


@cache
def renderer_name() -> str:
    """Return the name of this arithmetic and of the libraries that decode, blur, sample and project, for view caches."""
    import cv2
    import PIL
    import pyproj
    import simplejpeg

    libraries = (("OpenCV", cv2.__version__), ("simplejpeg", simplejpeg.__version__), ("Pillow", PIL.__version__),
                 ("PROJ", pyproj.proj_version_str))
    return "; ".join([f"renderer {RENDERER}", *(f"{name} {version}" for name, version in libraries)])


@dataclass(frozen=True)
class Placement:
    """The placement of a view on the pixels of one level.

    Args:
        level: The level.
        matrix: Source pixel steps (row, column) per output pixel step (row, column). (2, 2)
        start: Source pixel (row, column) of output pixel (0, 0), counted over the whole level. (2,)
        reach: Lower and upper source pixel (row, column) of the reference's mosaic. (2, 2)
        ratio: Native pixels per output pixel.
        pixels: Edge of the view in output pixels.
    """

    level: int
    matrix: npt.NDArray[np.float64]
    start: npt.NDArray[np.float64]
    reach: npt.NDArray[np.float64]
    ratio: float
    pixels: int


def place(projection: TileProjection, lat: float, lon: float, *, size_m: float, pixels: int,
          bearing_deg: float) -> Placement:
    """Place a square view on the level that its ground resolution needs.

    Raises:
        GeometryError: If position, size, pixels or bearing are not valid, or the projection fails there.
    """
    if not (math.isfinite(size_m) and 0.0 < size_m < 4e7):
        raise GeometryError(f"size_m {size_m}", "a view cannot have this size", "Give metres on the ground, above 0 m.")
    if not 1 <= pixels <= MAX_VIEW_PX:
        raise GeometryError(f"pixels {pixels}", "a view cannot have this edge", f"Give 1 to {MAX_VIEW_PX} pixels.")
    if not math.isfinite(bearing_deg):
        raise GeometryError(f"bearing_deg {bearing_deg}", "the bearing is not finite", "Give degrees clockwise from north.")
    metres_per_pixel = size_m / pixels
    ground = projection.ground(lat, lon)
    level, per_metre = projection.finer_level(ground.per_metre, lat, lon, metres_per_pixel)
    ratio = per_metre * metres_per_pixel
    turn = ground.convergence_rad - math.radians(bearing_deg)
    centre = projection.tile_to_pixel(projection.crs_to_tile(ground.crs, level))
    matrix = ratio * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    bearing = math.radians(bearing_deg)
    half = ratio * pixels / 2.0 * (abs(math.cos(bearing)) + abs(math.sin(bearing)))
    return Placement(level, matrix, centre - matrix @ np.full(2, pixels / 2.0),
                     np.stack([centre - half, centre + half]), ratio, pixels)


def render(placement: Placement, projection: TileProjection, tiles: TileCache) -> tuple[Pixels, float]:
    """Draw a placed view.

    Returns:
        The pixels, uint8 RGB (n, n, 3), white where there is no tile; and the share of the output pixels without a tile,
        in [0, 1].

    Raises:
        TileError: If a tile is broken, or the view would need too large a mosaic.
    """
    tile_px = projection.layout.tile_px
    kernel, sigma = blur_of(placement.ratio)
    low, high = np.empty(2, np.int64), np.empty(2, np.int64)
    far = placement.pixels - 1
    for axis, ((step, side), start, reach) in enumerate(zip(placement.matrix.tolist(), placement.start.tolist(),
                                                            placement.reach.T.tolist(), strict=True)):
        ends = (0.0, far * step, far * side, far * (step + side))
        # The pixels that bilinear sampling reads.
        lowest, highest = math.floor(min(ends) + start - 0.01), math.floor(max(ends) + start + 0.01) + 2
        # The blur mirrors at the mosaic's edge, so the edge must be the same as the reference's.
        first = math.floor(min(lowest, reach[0]) / tile_px)
        last = math.floor(max(highest - 1, reach[1]) / tile_px) + 1
        low[axis] = max(lowest - kernel // 2, first * tile_px)
        high[axis] = min(highest + kernel // 2, last * tile_px)
    if (high - low).max() > MAX_MOSAIC_PX:
        raise TileError(f"level {placement.level}", f"the view needs {int((high - low).max())} native px along an edge",
                        "Choose a smaller size_m, or build coarser levels.")
    mosaic, has_tile, corner = mosaic_of(placement.level, low, high, projection, tiles)
    start = placement.start - low
    if not has_tile.any():
        return np.full((placement.pixels, placement.pixels, 3), _WHITE, np.uint8), 1.0
    view = _sample(mosaic, placement, start, kernel, sigma)
    if has_tile.all():
        return view, 0.0
    rows, columns = _source_pixels(placement, placement.start)
    row = np.floor(rows / tile_px).astype(np.int64) - corner[0]
    column = np.floor(columns / tile_px).astype(np.int64) - corner[1]
    inside = has_tile[np.clip(row, 0, has_tile.shape[0] - 1), np.clip(column, 0, has_tile.shape[1] - 1)]
    return view, 1.0 - np.count_nonzero(inside) / inside.size


def _source_pixels(placement: Placement, start: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Return the source rows and the source columns of every output pixel, two arrays (n, n)."""
    steps = np.arange(placement.pixels, dtype=np.float64)
    rows, columns = (placement.matrix[axis, 0] * steps[:, None] + placement.matrix[axis, 1] * steps[None, :]
                     + start[axis] for axis in (0, 1))
    return rows, columns


def _sample(mosaic: Pixels, placement: Placement, start: npt.NDArray[np.float64], kernel: int, sigma: float) -> Pixels:
    """Blur and resample a mosaic; `start` is output pixel (0, 0) in the mosaic's pixels."""
    n = placement.pixels
    steps = np.arange(n, dtype=np.float32)
    matrix, offset = placement.matrix.astype(np.float32), start.astype(np.float32)
    rows, columns = scratch("rows", (n, n), np.float32), scratch("columns", (n, n), np.float32)
    np.add((matrix[0, 0] * steps + offset[0])[:, None], matrix[0, 1] * steps, out=rows)
    np.add((matrix[1, 0] * steps + offset[1])[:, None], matrix[1, 1] * steps, out=columns)
    return resample(blurred(mosaic, kernel, sigma), *sampling(rows, columns))


def blur_of(ratio: float) -> tuple[int, float]:
    """Return the Gaussian blur for native pixels per output pixel: edge of the kernel in native pixels (1: none), and sigma."""
    sigma = float(np.float32((ratio - 1.0) / 2.0))
    return (4 * math.ceil(sigma) + 1 if ratio > 1.0 else 1), sigma


def blurred(mosaic: Pixels, kernel: int, sigma: float) -> Pixels:
    """Blur pixels (rows, columns) or (rows, columns, 3) as `blur_of` says; the result is valid until the next call."""
    import cv2

    if kernel <= 1:
        return mosaic
    memory = scratch(f"blurred {mosaic.ndim}", mosaic.shape, np.uint8)
    return np.asarray(cv2.GaussianBlur(mosaic, (kernel, kernel), sigma, memory, sigma), np.uint8)


def sampling(rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int16],
                                                                                         npt.NDArray[np.uint16]]:
    """Return OpenCV's fixed-point maps of the places (n, n) to sample; they are valid until the next call.

    Places are rounded to 1/32 pixel, as in the older OpenCV of the reference; it is also the fast way.
    """
    import cv2

    whole, part = cv2.convertMaps(columns, rows, cv2.CV_16SC2, scratch("whole", (*rows.shape, 2), np.int16),
                                  scratch("part", rows.shape, np.uint16))
    return np.asarray(whole, np.int16), np.asarray(part, np.uint16)


def resample(mosaic: Pixels, whole: npt.NDArray[np.int16], part: npt.NDArray[np.uint16]) -> Pixels:
    """Sample pixels (rows, columns) or (rows, columns, 3) bilinearly at the places that `sampling` returned."""
    import cv2

    return np.asarray(cv2.remap(mosaic, whole, part, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def mosaic_of(level: int, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64], projection: TileProjection,
              tiles: TileCache) -> tuple[Pixels, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return the pixels [low, high) of a level, white where there is no tile.

    Returns:
        The mosaic, uint8 (rows, columns, 3), valid until the next call; which tiles of its raster exist; and that raster's
        first row and column.
    """
    tile_px = projection.layout.tile_px
    first, last = low // tile_px, -(-high // tile_px)
    (top, left), (rows, columns) = (first * tile_px - low).tolist(), (last - first).tolist()
    middles = np.stack(np.meshgrid(*(np.arange(a, b) + 0.5 for a, b in zip(first, last, strict=True)), indexing="ij"), -1)
    numbers = np.floor(projection.pixel_to_tile(middles * tile_px)).astype(np.int64)
    around = projection.layout.tiles_around(level)
    if around is not None:  # beyond the antimeridian the same tiles repeat
        numbers[..., 0] %= around
    numbers = numbers.tolist()
    mosaic = scratch("mosaic", (*(high - low).tolist(), 3), np.uint8)
    has_tile = np.zeros((rows, columns), np.bool_)
    for row in range(rows):
        above = top + row * tile_px
        y = max(above, 0)
        band = mosaic[y:above + tile_px]
        for column in range(columns):
            beside = left + column * tile_px
            x = max(beside, 0)
            pixels = tiles.get(TileId(level, *numbers[row][column]))
            part = band[:, x:beside + tile_px]
            if pixels is None:
                part[...] = _WHITE
            else:
                has_tile[row, column] = True
                part[...] = pixels[y - above:y - above + part.shape[0], x - beside:x - beside + part.shape[1]]
    return mosaic, has_tile, first
