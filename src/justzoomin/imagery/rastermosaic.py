"""Raster files on one pixel grid, as one piece of imagery without seams."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.imagery.areas import Area, area_bounds
from justzoomin.imagery.base import Bounds, Mask, Pixels
from justzoomin.imagery.points import (
    DEGREES,
    along,
    convert,
    convert_border,
    convert_bounds,
    metres_between,
    shifted,
    turn,
    unwrapped,
)
from justzoomin.imagery.rasters import Limits, RasterFile, Transform
from justzoomin.imagery.warp import warp

_ALIGNED_PX = 0.02
_MAX_WINDOW_PX = 1 << 22
_GRID = 17
_FARTHEST_PX = 10_000_000
"""Files farther apart are not joined."""
_FAR_DEG = 20.0
"""For larger files, the border of their rectangle says little about their place in another projection."""

Floats = npt.NDArray[np.float64]


class RasterMosaic:
    """Raster files on one pixel grid; where they overlap, the first one with data is on top.

    Threads can use it at the same time: each opens its own handles.

    Args:
        files: The files, at least one, all on the first one's grid (see `mosaics`).
    """

    def __init__(self, files: Sequence[RasterFile]) -> None:
        self.files = tuple(files)
        self.transform: Transform = self.files[0].transform
        offsets = np.array([_offset(self.files[0], file) for file in self.files]).round().astype(np.int64)
        sizes = np.array([(file.width, file.height) for file in self.files], np.int64)
        self._boxes = np.concatenate([offsets, offsets + sizes], 1)  # first and last column and row of each file
        # Once around the earth the same pixels repeat, to half a pixel: columns continue across the antimeridian.
        self._turn_px = round(_turn_px(self.crs, self.transform) or 0.0)
        moves = (0, -self._turn_px, self._turn_px) if self._turn_px else (0,)
        self._placed = np.concatenate([self._boxes + np.array([move, 0, move, 0]) for move in moves])  # file k: rows k + n * i
        self._seen = self._boxes.astype(np.float64)

    @property
    def name(self) -> str:
        """The file, or the first of several."""
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{self.files[0].path}{more}"

    @property
    def crs(self) -> str:
        """The projection of the files."""
        return self.files[0].crs

    @property
    def attribution(self) -> str:
        """The attributions that the files state, without repeats."""
        return "\n".join(dict.fromkeys(file.attribution for file in self.files if file.attribution))

    @property
    def pixel_units(self) -> float | None:
        """Edge of a pixel in units of the projection; None if pixels are rotated or not square."""
        a, b, _, d, e, _ = self.transform
        square = b == d == 0.0 and a > 0 and e < 0 and abs(a + e) <= 1e-9 * a
        return a if square else None

    def stretched(self, limits: Limits) -> RasterMosaic:
        """Return the same files stretched to 8 bits; grey files use the first band's limits, palettes do not change."""
        return RasterMosaic([file if file.palette is not None else
                             dataclasses.replace(file, limits=limits[:len(file.bands)]) for file in self.files])

    def within(self, area: Area | None) -> RasterMosaic:
        """Return the same files with footprints and resolution of only an area; all pixels can still be read."""
        bounds = None if area is None else convert_bounds(DEGREES, self.crs, area_bounds(area))
        if bounds is None:  # the projection fails in the area, so it cannot be cut
            return self
        west, south, east, north = shifted(self.crs, bounds, self._middle)
        columns, rows = self._to_pixels(*along((west, south), (east, north)))
        low = np.maximum(self._placed[:, :2], [columns.min(), rows.min()])
        high = np.minimum(self._placed[:, 2:], [columns.max(), rows.max()])
        cut = RasterMosaic(self.files)
        cut._seen = np.concatenate([low, high], 1)[(low < high).all(1)]
        return cut

    @property
    def is_seen(self) -> bool:
        """Whether any file is in the area of `within`."""
        return len(self._seen) > 0

    def footprints(self, crs: str) -> list[Bounds]:
        """Return the rectangle around each file in a projection, or around its part in the area of `within`.

        Raises:
            TileError: If the projection fails at one.
        """
        return self._footprints(crs, self._seen)

    def _footprints(self, crs: str, boxes: Floats) -> list[Bounds]:
        found = []
        for left, top, right, bottom in boxes.tolist():
            bounds = convert_border(self.crs, crs, *self._to_crs(*along((left, top), (right, bottom))))
            if bounds is None:
                raise TileError(self.name, f"the projection {crs[:60]} fails at its place",
                                "Choose another projection with --crs, or check the file's georeference.")
            found.append(bounds)
        return found

    def bounds(self, crs: str) -> Bounds:
        """Return the rectangle around all footprints in a projection.

        Raises:
            TileError: If the projection fails at one.
        """
        return _around(self._footprints(crs, self._seen))

    def reach(self, crs: str) -> Bounds:
        """Return a rectangle in a projection that holds all pixels; infinite for files of large parts of the earth."""
        west, south, east, north = _around(self._footprints(DEGREES, self._boxes.astype(np.float64)))
        if east - west > _FAR_DEG or north - south > _FAR_DEG:
            return -np.inf, -np.inf, np.inf, np.inf
        return _around(self._footprints(crs, self._boxes.astype(np.float64)))

    @cached_property
    def _middle(self) -> float:
        """East coordinate of the middle of all files."""
        corners = self._boxes.reshape(-1, 2, 2).mean((0, 1))
        return float(self._to_crs(corners[0], corners[1])[0])

    @cached_property
    def _metres_per_pixel(self) -> float:
        file, box = self.files[0], self._seen[0]
        column, row = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        lon, lat = convert(self.crs, DEGREES, *self._to_crs(np.array([column - 0.5, column + 0.5, column, column]),
                                                            np.array([row, row, row - 0.5, row + 0.5])))
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise TileError(file.path, "its centre is not on the earth", "Check the file's georeference.")
        return float(np.sqrt(metres_between(lon[:2], lat[:2]) * metres_between(lon[2:], lat[2:])))

    def metres_per_pixel(self) -> float:
        """Return the ground resolution at the centre of the first footprint: the geometric mean of both axes, in metres.

        Raises:
            TileError: If the centre is not on the earth.
        """
        return self._metres_per_pixel

    def read(self, crs: str, bounds: Bounds, width: int, height: int) -> tuple[Pixels, Mask]:
        """Return its pixels on a north-up raster of a projection; see `Imagery.read`.

        Raises:
            TileError: If a file is broken there.
        """
        west, south, east, north = bounds
        target: Transform = ((east - west) / width, 0.0, west, 0.0, (south - north) / height, north)
        if crs == self.crs and (start := self._aligned(target, width, height)):
            return self._native(*start, width, height)
        columns, rows, ratio = self._window(crs, target, width, height)
        if columns is None or rows is None:
            return np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_)
        if (columns[1] - columns[0]) * (rows[1] - rows[0]) > _MAX_WINDOW_PX and max(width, height) > 1:
            return self._halves(crs, bounds, width, height)
        pixels, mask = self._native(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])
        if not mask.any():
            return np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_)
        a, b, c, d, e, f = self.transform
        moved: Transform = (a, b, c + a * columns[0] + b * rows[0], d, e, f + d * columns[0] + e * rows[0])
        return warp(pixels, mask, (self.crs, moved), (crs, target), width, height, ratio)

    def _to_crs(self, columns: npt.ArrayLike, rows: npt.ArrayLike) -> tuple[Floats, Floats]:
        a, b, c, d, e, f = self.transform
        columns, rows = np.asarray(columns, np.float64), np.asarray(rows, np.float64)
        return a * columns + b * rows + c, d * columns + e * rows + f

    def _to_pixels(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        a, b, c, d, e, f = self.transform
        det, x, y = a * e - b * d, x - c, y - f
        return (e * x - b * y) / det, (a * y - d * x) / det

    def _aligned(self, target: Transform, width: int, height: int) -> tuple[int, int] | None:
        """Return where a raster begins in the files' grid; None if its pixels are not those of the grid."""
        pixel = self.pixel_units
        if pixel is None or max(abs(target[0] / pixel - 1.0), abs(-target[4] / pixel - 1.0)) * max(width, height) > _ALIGNED_PX:
            return None
        column, row = (target[2] - self.transform[2]) / pixel, (self.transform[5] - target[5]) / pixel
        near = max(abs(column - round(column)), abs(row - round(row))) <= _ALIGNED_PX
        return (round(column), round(row)) if near else None

    def _window(self, crs: str, target: Transform, width: int, height: int,
                ) -> tuple[tuple[int, int] | None, tuple[int, int] | None, float]:
        """Return the columns and rows of the files' grid that a raster needs, and the number of grid pixels per pixel."""
        u, v = np.meshgrid(np.linspace(0, width, _GRID), np.linspace(0, height, _GRID))
        x, y = convert(crs, self.crs, target[2] + u * target[0], target[5] + v * target[4])
        middle = x[_GRID // 2, _GRID // 2]
        near = float(unwrapped(self.crs, middle, self._middle)) if self._turn_px and np.isfinite(middle) else self._middle
        columns, rows = self._to_pixels(unwrapped(self.crs, x, near), y)
        good = np.isfinite(columns) & np.isfinite(rows)
        if not good.any():
            return None, None, 1.0
        with np.errstate(invalid="ignore"):
            steps = [np.hypot(np.diff(columns, axis=k), np.diff(rows, axis=k)) * (_GRID - 1) / size
                     for k, size in ((1, width), (0, height))]
        ratio = max((float(np.median(s[np.isfinite(s)])) for s in steps if np.isfinite(s).any()), default=1.0)
        margin = 4 + int(np.ceil(2 * ratio))
        low, high = self._placed[:, :2].min(0) - margin, self._placed[:, 2:].max(0) + margin
        span = []
        for values, first, last in ((columns[good], low[0], high[0]), (rows[good], low[1], high[1])):
            begin = max(int(np.floor(max(values.min(), -1e15))) - margin, int(first))
            end = min(int(np.ceil(min(values.max(), 1e15))) + margin, int(last))
            if begin >= end:
                return None, None, ratio
            span.append((begin, end))
        return span[0], span[1], ratio

    def _halves(self, crs: str, bounds: Bounds, width: int, height: int) -> tuple[Pixels, Mask]:
        """Read a raster in two halves, because the files' pixels for all of it would need too much memory."""
        west, south, east, north = bounds
        if width >= height:
            middle = west + (east - west) * (width // 2) / width
            parts = [self.read(crs, (west, south, middle, north), width // 2, height),
                     self.read(crs, (middle, south, east, north), width - width // 2, height)]
        else:
            middle = north - (north - south) * (height // 2) / height
            parts = [self.read(crs, (west, middle, east, north), width, height // 2),
                     self.read(crs, (west, south, east, middle), width, height - height // 2)]
        axis = 1 if width >= height else 0
        return np.concatenate([p for p, _ in parts], axis), np.concatenate([m for _, m in parts], axis)

    def _native(self, column: int, row: int, width: int, height: int) -> tuple[Pixels, Mask]:
        """Return pixels of the common grid, the first file on top; there is no data outside the files."""
        low, high = np.array([column, row]), np.array([column + width, row + height])
        hit = np.flatnonzero((self._placed[:, 2:] > low).all(1) & (self._placed[:, :2] < high).all(1))
        hit = hit[np.argsort(hit % len(self.files), kind="stable")]
        pixels, mask = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_)
        for index in hit.tolist():
            box, file = self._placed[index], self.files[index % len(self.files)]
            left, top = np.maximum(low, box[:2]).tolist()
            right, bottom = np.minimum(high, box[2:]).tolist()
            part = np.s_[top - row:bottom - row, left - column:right - column]
            if mask[part].all():
                continue
            found, valid = file.read(left - int(box[0]), top - int(box[1]), right - left, bottom - top)
            new = valid & ~mask[part]
            if new.all():
                pixels[part] = found
            else:
                np.copyto(pixels[part], found, where=new[..., None])
            mask[part] |= valid
        return pixels, mask


def _offset(first: RasterFile, other: RasterFile) -> tuple[float, float]:
    """Return the columns and rows from one file's corner to another's, in the first one's pixels."""
    a, b, c, d, e, f = first.transform
    x, y = other.transform[2] - c, other.transform[5] - f
    det = a * e - b * d
    return (e * x - b * y) / det, (a * y - d * x) / det


def _turn_px(crs: str, transform: Transform) -> float | None:
    """Return the number of columns around the earth if a row of pixels goes around it; else None."""
    around = turn(crs)
    return around / abs(transform[0]) if around is not None and transform[1] == transform[3] == 0.0 else None


def _around(footprints: Sequence[Bounds]) -> Bounds:
    corners = np.array(footprints)
    west, south = corners[:, :2].min(0).tolist()
    east, north = corners[:, 2:].max(0).tolist()
    return west, south, east, north


def _same_grid(first: RasterFile, other: RasterFile) -> bool:
    """Return whether the pixels of two files are on one grid."""
    if other.crs != first.crs:
        return False
    scale = max(map(abs, (first.transform[k] for k in (0, 1, 3, 4))))
    drift = max(abs(first.transform[k] - other.transform[k]) for k in (0, 1, 3, 4)) / scale * max(other.width, other.height)
    column, row = _offset(first, other)
    turn_px = _turn_px(first.crs, first.transform)
    if turn_px is not None and abs(column) > turn_px / 2:  # on both sides of the antimeridian, so their middle is far from both
        return False
    return drift <= _ALIGNED_PX and max(abs(column - round(column)), abs(row - round(row)), 0.0) <= _ALIGNED_PX \
        and max(abs(column), abs(row)) < _FARTHEST_PX


def mosaics(files: Iterable[RasterFile]) -> list[RasterMosaic]:
    """Join consecutive files on one pixel grid; the order, and so what is on top, does not change."""
    groups: list[list[RasterFile]] = []
    for file in files:
        if groups and _same_grid(groups[-1][0], file):
            groups[-1].append(file)
        else:
            groups.append([file])
    return [RasterMosaic(group) for group in groups]
