"""Perspective photos cut from equirectangular panoramas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.errors import PhotoError

Pixels = npt.NDArray[np.uint8]

_ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True)
class Crop:
    """How a perspective photo lies on a panorama: level, its axis turned right from the panorama's middle.

    Args:
        heading_deg: How far its axis is turned, degrees clockwise from the middle column.
        width: Width in pixels.
        height: Height in pixels.
        focal_px: Focal length in pixels.
    """

    heading_deg: float
    width: int
    height: int
    focal_px: float

    @property
    def suffix(self) -> str:
        """What stands behind the panorama's id in the crop's: `_h090`."""
        return f"_h{round(self.heading_deg) % 360:03d}"


def crops(width: int, height: int, views: int, hfov_deg: float, aspect: float) -> list[Crop]:
    """The crops of a panorama, evenly spaced, the first straight ahead, none finer than the panorama.

    Args:
        width: Width of the panorama in pixels.
        height: Height of the panorama in pixels.
        views: How many crops.
        hfov_deg: Horizontal field of view of each in degrees.
        aspect: Width over height of each.

    Raises:
        PhotoError: If the panorama does not show all directions.
    """
    check_panorama(width, height)
    half = math.tan(math.radians(hfov_deg) / 2.0)
    out_width = max(1, round(2.0 * half * width / (2.0 * math.pi)))  # a panorama has width / 2 pi pixels a radian
    out_height = max(1, round(out_width / aspect))
    return [Crop(k * 360.0 / views, out_width, out_height, out_width / 2.0 / half) for k in range(views)]


def check_panorama(width: int, height: int) -> None:
    """Refuse what cannot be a whole equirectangular panorama.

    Raises:
        PhotoError: If its width is not twice its height.
    """
    if abs(width - 2 * height) > _ASPECT_TOLERANCE * width:
        raise PhotoError(f"panorama of {width} x {height} px", "a panorama of all directions is twice as wide as high; partial "
                         "panoramas are not cut", "Give it as a perspective photo, or fill it up to the whole sphere.")
    if width > 32_000:
        raise PhotoError(f"panorama of {width} x {height} px", "it is too wide to be cut", "Reduce it to 32000 px or less.")


def cut(panorama: Pixels, crop: Crop) -> Pixels:
    """A crop of a panorama, uint8 (height, width, 3).

    Args:
        panorama: uint8 (H, W, 3), W = 2 H; its columns run once around, its middle column is straight ahead.
        crop: Where it lies.
    """
    import cv2

    height, width = panorama.shape[:2]
    x = (np.arange(crop.width) - (crop.width - 1) / 2.0) / crop.focal_px
    y = (np.arange(crop.height) - (crop.height - 1) / 2.0) / crop.focal_px
    turn = np.arctan(x) + math.radians(crop.heading_deg)
    columns = turn / (2.0 * math.pi) * width + width / 2.0 - 0.5
    # Taken from a strip that begins left of the crop, so that the seam lies nowhere in it.
    first = math.floor(float(columns[0])) - 1
    last = math.ceil(float(columns[-1])) + 2
    strip = np.take(panorama, np.arange(first, last), axis=1, mode="wrap")
    down = np.arctan2(y[:, None], np.sqrt(1.0 + x * x)[None, :])
    rows = (down / math.pi * height + height / 2.0 - 0.5).astype(np.float32)
    along = np.broadcast_to((columns - first).astype(np.float32), rows.shape)
    return np.asarray(cv2.remap(strip, np.ascontiguousarray(along), rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
