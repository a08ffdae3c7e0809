"""Lens distortion: the two models of `Camera`, their inverse, and the maps that undistort a photo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from justzoomin.errors import PhotoError
from justzoomin.photos.readers import Camera

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

MAX_THETA = math.radians(89.0)
"""Directions farther from the axis do not fit on a flat picture."""
UNSEEN_PX = 0.25
"""Distortion that moves no pixel by more than this is ignored."""
MIN_OUTPUT_SHARE = 0.25
"""A photo that keeps less than this share of its width has a wrong camera description."""
MIN_SLOPE = 0.3
"""If the distortion squeezes directions more than this, near its fold, too little is left to stretch out again."""
MAX_COEFFICIENT = 1e6
MAX_REMAP_SIDE = 32_000
"""OpenCV's remap accepts pictures of up to 32 767 pixels per side."""
_STEPS = 2048


@dataclass(frozen=True)
class Undistortion:
    """How a distorted photo becomes a perspective one.

    Args:
        width: Width of the result in pixels.
        height: Height of the result in pixels.
        focal_px: Focal length of the result in pixels.
        columns: Source column of each result pixel, float32 (height, width).
        rows: Source row of each result pixel, float32 (height, width).
    """

    width: int
    height: int
    focal_px: float
    columns: npt.NDArray[np.float32]
    rows: npt.NDArray[np.float32]

    @property
    def hfov_deg(self) -> float:
        """Horizontal field of view of the result in degrees."""
        return hfov_deg(self.width, self.focal_px)

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the perspective photo, uint8 (height, width, 3), of a distorted one."""
        import cv2

        return np.asarray(cv2.remap(pixels, self.columns, self.rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def hfov_deg(width: float, focal_px: float) -> float:
    """Return the horizontal field of view in degrees of a perspective photo."""
    return math.degrees(2.0 * math.atan(width / 2.0 / focal_px))


def distort(camera: Camera, points: npt.ArrayLike) -> Floats:
    """Return where directions land on the sensor.

    Args:
        camera: A perspective or fisheye camera; its focal length has no influence.
        points: Directions (..., 2): right and down divided by depth.

    Returns:
        Sensor positions (..., 2) in focal lengths from the centre; nan beyond where the distortion folds back.
    """
    xy = np.asarray(points, np.float64)
    r = np.hypot(xy[..., 0], xy[..., 1])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = np.where(r > 0, _radius(camera, r) / np.where(r > 0, r, 1.0), 1.0)
        scale = np.where(r <= _fold(camera), scale, np.nan)
    return xy * scale[..., None]


def undistort(camera: Camera, points: npt.ArrayLike) -> Floats:
    """Return the directions that land on sensor positions: the inverse of `distort`.

    Args:
        camera: A perspective or fisheye camera.
        points: Sensor positions (..., 2) in focal lengths from the centre.

    Returns:
        Directions (..., 2): right and down divided by depth; nan if no direction lands there.
    """
    xy = np.asarray(points, np.float64)
    wanted = np.hypot(xy[..., 0], xy[..., 1])
    fold = _fold(camera)
    low, high = np.zeros_like(wanted), np.full_like(wanted, fold)
    reachable = wanted <= float(_radius(camera, np.float64(fold)))
    for _ in range(80):  # the radius grows up to the fold, so halving finds it
        middle = (low + high) / 2.0
        below = _radius(camera, middle) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    r = (low + high) / 2.0
    scale = np.where(wanted > 0, r / np.where(wanted > 0, wanted, 1.0), 1.0)
    return xy * np.where(reachable, scale, np.nan)[..., None]


def _radius(camera: Camera, r: npt.NDArray[np.float64] | np.float64) -> Floats:
    """Return the distance from the centre, in focal lengths, of directions at `r` = tan of their angle to the axis."""
    angle = np.arctan(r) if camera.projection == "fisheye" else np.asarray(r)
    square = angle * angle
    out: Floats = angle * (1.0 + camera.k1 * square + camera.k2 * square * square)
    return out


@lru_cache(maxsize=256)
def _fold(camera: Camera, slope: float = 0.0) -> float:
    """Return the largest `r` up to which the distortion grows faster than `slope` and is invertible; at most `MAX_THETA`'s."""
    limit = MAX_THETA if camera.projection == "fisheye" else math.tan(MAX_THETA)
    # 1 + 3 k1 s + 5 k2 s^2 is the derivative, with s the square of the angle or radius: find where it first equals the slope.
    a, b, c = 5.0 * camera.k2, 3.0 * camera.k1, 1.0 - slope
    inside = b * b - 4.0 * a * c
    if inside >= 0.0:
        denominators = (-b + math.sqrt(inside), -b - math.sqrt(inside))  # 2 c / (...) stays precise if a is small
        zeros = [2.0 * c / d for d in denominators if d > 0.0]
        limit = min([limit, *(math.sqrt(z) * (1.0 - 1e-6) for z in zeros)])
    return math.tan(limit) if camera.projection == "fisheye" else limit


def is_distorted(camera: Camera | None, width: int, height: int) -> bool:
    """Return whether a photo of this camera must be resampled to become a perspective one.

    Raises:
        PhotoError: If the camera's numbers are out of range.
    """
    if camera is None or camera.projection == "equirectangular":
        return False
    _check(camera)
    if camera.projection == "fisheye":
        return True
    if camera.k1 == 0.0 and camera.k2 == 0.0:
        return False
    focal_px = _focal_px(camera, width, height)
    corner = math.hypot(width, height) / 2.0 / focal_px
    r = np.linspace(0.0, corner, _STEPS)
    return bool(np.max(np.abs(_radius(camera, r) - r)) * focal_px > UNSEEN_PX)


def _check(camera: Camera) -> None:
    where = f"camera {camera.projection}"
    if not (abs(camera.k1) <= MAX_COEFFICIENT and abs(camera.k2) <= MAX_COEFFICIENT):  # nan is rejected too
        raise PhotoError(where, f"the distortion {camera.k1}, {camera.k2} is out of range", "Correct or omit its parameters.")
    if camera.focal is not None and not 0.05 <= camera.focal <= 100.0:
        raise PhotoError(where, f"the focal length is {camera.focal:g} times the photo's larger side",
                         "Correct it: phones have about 0.7, telephoto lenses up to 20.")
    if camera.focal is None and (camera.projection == "fisheye" or camera.k1 or camera.k2):
        raise PhotoError(where, "the focal length is unknown, so the distortion cannot be removed",
                         "Give the focal length, or omit the distortion.")


def _focal_px(camera: Camera, width: int, height: int) -> float:
    if camera.focal is None:
        raise PhotoError(f"camera {camera.projection}", "the focal length is unknown", "Give the focal length.")
    return camera.focal * max(width, height)


@lru_cache(maxsize=2)  # the photos of a drive follow each other; the maps of 12 megapixels take 96 MB
def undistortion(camera: Camera, width: int, height: int, max_hfov_deg: float = 100.0) -> Undistortion:
    """Return how photos of a camera and size become perspective; see `undistorted_size`.

    Raises:
        PhotoError: If the distortion cannot be removed, or hardly anything of the photo would be left.
    """
    out_width, out_height, new_focal = undistorted_size(camera, width, height, max_hfov_deg)
    focal_px = _focal_px(camera, width, height)
    columns, rows = _source_pixels(camera, (width, height), focal_px, (out_width, out_height), new_focal)
    return Undistortion(out_width, out_height, new_focal, columns, rows)


@lru_cache(maxsize=1024)
def undistorted_size(camera: Camera, width: int, height: int, max_hfov_deg: float = 100.0) -> tuple[int, int, float]:
    """Return width, height and focal length in pixels of an undistorted photo.

    The result has the photo's aspect ratio and shows the widest field without an empty pixel, at most `max_hfov_deg`. At its
    centre it is not enlarged, and it never has more pixels than the photo.

    Raises:
        PhotoError: If the distortion cannot be removed, or hardly anything of the photo would be left.
    """
    focal_px = _checked_focal_px(camera, width, height)
    half_width = _half_field(camera, width, height, focal_px, max_hfov_deg)
    out_width = min(width, math.floor(2.0 * half_width * focal_px + 1e-6))
    out_height = min(height, round(out_width * height / width))
    if out_width < MIN_OUTPUT_SHARE * width or out_height < 1:
        raise PhotoError(f"camera {camera.projection}",
                         f"the distortion {camera.k1:g}, {camera.k2:g} leaves only {out_width} of {width} pixels",
                         "Correct or omit its parameters.")
    return out_width, out_height, out_width / 2.0 / half_width


def _checked_focal_px(camera: Camera, width: int, height: int) -> float:
    _check(camera)
    if max(width, height) > MAX_REMAP_SIDE:
        raise PhotoError(f"{width} x {height} px", "the photo is too large to be undistorted", "Reduce it first.")
    focal_px = _focal_px(camera, width, height)
    fold = _fold(camera)
    reach = float(_radius(camera, np.float64(fold))) * focal_px
    if fold < math.tan(MAX_THETA) * 0.999 and reach < min(width, height) / 2.0:
        raise PhotoError(f"camera {camera.projection}", f"the distortion {camera.k1:g}, {camera.k2:g} folds back {reach:.0f} "
                         "px from the centre, inside the photo", "Correct or omit its parameters.")
    return focal_px


def _half_field(camera: Camera, width: int, height: int, focal_px: float, max_hfov_deg: float) -> float:
    """Return half the width, over the depth, of the widest centred rectangle that the photo shows completely."""
    steps = np.linspace(0.0, 1.0, 65)
    aspect = height / width
    border = np.concatenate([np.stack([np.ones_like(steps), aspect * steps], -1),
                             np.stack([steps, np.full_like(steps, aspect)], -1)])
    limit = np.array([width - 1.0, height - 1.0]) / 2.0 / focal_px + 1e-12
    low, high = 0.0, math.tan(math.radians(max_hfov_deg) / 2.0)
    if _shown(camera, border * high, limit):
        return high
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _shown(camera, border * middle, limit) else (low, middle)
    return low


def _shown(camera: Camera, points: Floats, limit: Floats) -> bool:
    if float(np.hypot(points[:, 0], points[:, 1]).max()) > _fold(camera, MIN_SLOPE):
        return False
    return bool((np.abs(distort(camera, points)) <= limit).all())


def _source_pixels(camera: Camera, size: tuple[int, int], focal_px: float, out_size: tuple[int, int],
                   new_focal: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return source columns and rows, float32 (height, width) each, of the pixels of the result."""
    (width, height), (out_width, out_height) = size, out_size
    x = (np.arange(out_width) - (out_width - 1) / 2.0) / new_focal
    y = (np.arange(out_height) - (out_height - 1) / 2.0) / new_focal
    right, down = x[out_width // 2:], y[out_height // 2:]  # the other quarters mirror this one
    square = (right * right)[None, :] + (down * down)[:, None]
    # The radial factor is a smooth function of r^2: it is looked up in a fine table instead of computed per pixel.
    table = np.linspace(0.0, float(square.max()), 8 * _STEPS)
    r = np.sqrt(table)
    factor = np.ones_like(table)
    factor[1:] = _radius(camera, r[1:]) / r[1:]
    quarter = (np.interp(square.ravel(), table, factor).reshape(square.shape) * focal_px).astype(np.float32)
    lower = np.concatenate([quarter[:, ::-1][:, :out_width // 2], quarter], axis=1)
    scale = np.concatenate([lower[::-1][:out_height // 2], lower])
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    columns = np.clip(x32[None, :] * scale + np.float32((width - 1) / 2.0), 0.0, width - 1.0)
    rows = np.clip(y32[:, None] * scale + np.float32((height - 1) / 2.0), 0.0, height - 1.0)
    return columns.astype(np.float32, copy=False), rows.astype(np.float32, copy=False)
