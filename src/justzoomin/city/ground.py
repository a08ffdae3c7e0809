"""The ground of the town: a raster of kinds and colours, painted layer by layer, then weathered."""

from __future__ import annotations

import math

import numpy as np

from justzoomin.city.arrays import U8, Array, noise_tile
from justzoomin.city.solids import Rgb

# kinds of ground
MEADOW, LAWN, YARD, PAVEMENT, ROAD, MARKING, WATER, PAVING, GRAVEL, SOIL, DECK = range(11)

# noise amplitude of each kind: (fine, coarse)
_WEATHER = {MEADOW: (0.30, 0.42), LAWN: (0.26, 0.30), YARD: (0.14, 0.22), PAVEMENT: (0.12, 0.16), ROAD: (0.13, 0.22),
            MARKING: (0.18, 0.20), WATER: (0.03, 0.22), PAVING: (0.12, 0.18), GRAVEL: (0.26, 0.20), SOIL: (0.28, 0.35),
            DECK: (0.20, 0.15)}
_SHIFT = 4


class Canvas:
    """A square raster centred on the town: `kind` (n, n) and `rgb` (n, n, 3), row 0 in the north."""

    def __init__(self, half_m: float, metres_per_pixel: float, background: Rgb) -> None:
        self.half_m = half_m
        self.metres_per_pixel = metres_per_pixel
        n = int(np.ceil(2 * half_m / metres_per_pixel))
        self.kind: U8 = np.zeros((n, n), np.uint8)
        self.rgb: U8 = np.empty((n, n, 3), np.uint8)
        self.rgb[:] = np.array(background, np.uint8)

    def _pixels(self, points: Array) -> Array:
        points = np.asarray(points, np.float64)
        col = (points[:, 0] + self.half_m) / self.metres_per_pixel - 0.5
        row = (self.half_m - points[:, 1]) / self.metres_per_pixel - 0.5
        return np.round(np.stack([col, row], axis=1) * (1 << _SHIFT)).astype(np.int32)

    def polygon(self, points: Array, kind: int, rgb: Rgb) -> None:
        """Fill a polygon (n, 2) given in metres."""
        import cv2

        pixels = [self._pixels(points)]
        cv2.fillPoly(self.kind, pixels, kind, shift=_SHIFT)
        cv2.fillPoly(self.rgb, pixels, rgb, cv2.LINE_AA, _SHIFT)

    def stroke(self, points: Array, width_m: float, kind: int, rgb: Rgb) -> None:
        """Draw a line (n, 2) of a given width, with round ends."""
        import cv2

        pixels = [self._pixels(points)]
        width = max(1, round(width_m / self.metres_per_pixel))
        cv2.polylines(self.kind, pixels, False, kind, width, shift=_SHIFT)
        cv2.polylines(self.rgb, pixels, False, rgb, width, cv2.LINE_AA, _SHIFT)

    def kind_at(self, x: Array, y: Array) -> U8:
        """Return the kinds at positions in metres, clamped to the raster."""
        n = self.kind.shape[0]
        col = np.clip(((np.asarray(x) + self.half_m) / self.metres_per_pixel).astype(np.int64), 0, n - 1)
        row = np.clip(((self.half_m - np.asarray(y)) / self.metres_per_pixel).astype(np.int64), 0, n - 1)
        return np.asarray(self.kind[row, col], np.uint8)


class Claims:
    """Which ground is taken: a coarse raster that keeps houses, trees and streets apart."""

    RESOLUTION_M = 0.4

    def __init__(self, half_m: float) -> None:
        self.half_m = half_m
        n = int(np.ceil(2 * half_m / self.RESOLUTION_M))
        self.taken: U8 = np.zeros((n, n), np.uint8)

    def _mask(self, points: Array) -> tuple[tuple[slice, slice], U8] | None:
        import cv2

        half, step, (rows, columns) = self.half_m, self.RESOLUTION_M, self.taken.shape
        pixels = [((x + half) / step, (half - y) / step) for x, y in np.asarray(points, np.float64).tolist()]
        across, down = zip(*pixels, strict=True)
        left, top = math.floor(min(across)), math.floor(min(down))
        right, bottom = math.ceil(max(across)) + 1, math.ceil(max(down)) + 1
        if min(left, top) < 0 or right > columns or bottom > rows:
            return None
        mask = np.zeros((bottom - top, right - left), np.uint8)
        outline = [(round((x - left - 0.5) * 16), round((y - top - 0.5) * 16)) for x, y in pixels]
        cv2.fillConvexPoly(mask, np.array(outline, np.int32), 1, shift=4)
        return (slice(top, bottom), slice(left, right)), mask

    def free(self, points: Array) -> bool:
        """Return whether a convex polygon (n, 2) is on the raster and touches nothing taken."""
        found = self._mask(points)
        return found is not None and not bool((self.taken[found[0]] & found[1]).any())

    def take(self, points: Array, value: int = 1) -> None:
        """Take a convex polygon (n, 2): value 1 for a house or tree trunk, 3 for a street."""
        found = self._mask(points)
        if found is not None:
            self.taken[found[0]] |= found[1] * np.uint8(value)

    def take_line(self, points: Array, width_m: float) -> None:
        """Take a line (n, 2) of a given width as street."""
        import cv2

        pixels = np.stack([points[:, 0] + self.half_m, self.half_m - points[:, 1]], axis=1) / self.RESOLUTION_M
        cv2.polylines(self.taken, [np.round((pixels - 0.5) * 16).astype(np.int32)], False, 3,
                      max(1, round(width_m / self.RESOLUTION_M)), shift=4)


def weather(canvas: Canvas, walls: list[Array], seed: int) -> None:
    """Turn flat paint into ground, in place: grass and stone texture, joints, stains, and the dark base of walls."""
    import cv2

    n, res = canvas.kind.shape[0], canvas.metres_per_pixel
    fine, coarse, patches = noise_tile(seed + 1, 0.35), noise_tile(seed + 2, 1.3), noise_tile(seed + 3, 1.0)
    # occlusion by walls, at 0.5 m
    step = 0.5
    m = int(np.ceil(2 * canvas.half_m / step))
    foot = np.zeros((m, m), np.float32)
    for outline in walls:
        pixels = np.stack([outline[:, 0] + canvas.half_m, canvas.half_m - outline[:, 1]], axis=1) / step - 0.5
        cv2.fillConvexPoly(foot, np.round(pixels * 16).astype(np.int32), 1.0, shift=4)
    foot = np.asarray(cv2.GaussianBlur(foot, (0, 0), 1.3 / step), np.float32)
    table_fine = np.array([_WEATHER[k][0] for k in range(len(_WEATHER))], np.float32)
    table_coarse = np.array([_WEATHER[k][1] for k in range(len(_WEATHER))], np.float32)
    x = (np.arange(n) + 0.5) * res - canvas.half_m
    across = [np.arange(n) & 511, (x * 5.0).astype(int) & 511, (x * 0.9 + 37.0).astype(int) & 511]
    slabs, stones = np.mod(x, 0.75) < 0.13, np.mod(x, 1.5) < 0.15
    mapx = ((x + canvas.half_m) / step - 0.5).astype(np.float32)
    rows_at_once = 32  # so that what is computed stays in the processor's cache
    for start in range(0, n, rows_at_once):
        rows = np.arange(start, min(n, start + rows_at_once))
        y = canvas.half_m - (rows + 0.5) * res
        kind = canvas.kind[rows[0]:rows[-1] + 1]
        down = [rows & 511, (y * 5.0).astype(int) & 511, (y * 0.9 + 91.0).astype(int) & 511]
        a, b, c = (np.take(tile[v], u, axis=1) for tile, v, u in zip((fine, coarse, patches), down, across, strict=True))
        gain = 1.0 + (a - 0.5) * 2.0 * np.take(table_fine, kind)
        gain += (0.6 * b + 0.4 * c - 0.5) * 2.0 * np.take(table_coarse, kind)
        # joints of slabs
        joint = (slabs | (np.mod(y, 0.75) < 0.13)[:, None]) & (kind == PAVEMENT)
        np.multiply(gain, np.float32(0.86), out=gain, where=joint)
        joint = (stones | (np.mod(y, 1.5) < 0.15)[:, None]) & (kind == PAVING)
        np.multiply(gain, np.float32(0.84), out=gain, where=joint)
        mapy = np.repeat(((canvas.half_m - y) / step - 0.5).astype(np.float32), n).reshape(kind.shape)
        gain *= 1.0 - 0.45 * cv2.remap(foot, np.tile(mapx, (len(rows), 1)), mapy, cv2.INTER_LINEAR)
        block = canvas.rgb[rows[0]:rows[-1] + 1] * gain[..., None]
        # dry and lush grass differ in hue, not only in brightness
        grass = ((kind == MEADOW) | (kind == LAWN)) * (c - 0.5)
        block[..., 0] *= 1.0 + 0.42 * grass
        block[..., 2] *= 1.0 - 0.3 * grass
        np.clip(np.round(block, out=block), 0, 255, out=block)
        canvas.rgb[rows[0]:rows[-1] + 1] = block
