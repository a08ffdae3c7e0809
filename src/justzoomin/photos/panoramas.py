"""Cut perspective photos from equirectangular panoramas."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.errors import PhotoError
from justzoomin.untrusted import printable

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

_ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True)
class Pose:
    """How the camera of a panorama was tilted; its heading is stored separately, as the photo's bearing.

    Args:
        pitch_deg: Degrees of the panorama's middle above the horizon.
        roll_deg: Rotation about the axis through the middle, in degrees; if positive, the camera's right side was down and the
            horizon in the picture is rotated counterclockwise.
    """

    pitch_deg: float = 0.0
    roll_deg: float = 0.0


LEVEL = Pose()


def stated_pose(panorama: Mapping[str, str], where: str) -> Pose:
    """Return the tilt that a panorama's file states; level if it states none.

    Args:
        panorama: The fields of its XMP, see `data.gpano`.
        where: Name of the file, for messages.

    Raises:
        PhotoError: If an angle is not a number.
    """
    angles = []
    for name in ("PosePitchDegrees", "PoseRollDegrees"):
        try:
            angle = float(panorama.get(name) or 0.0)
        except ValueError:
            angle = math.nan
        if not math.isfinite(angle):
            raise PhotoError(where, f"its {name} is {printable(panorama[name], 30)!r}, not a number of degrees",
                             "Correct it in the photo's XMP, or remove it if the panorama is level.")
        angles.append(angle)
    return Pose(*angles)


@dataclass(frozen=True)
class Crop:
    """Geometry of a perspective photo on a panorama: level, its axis turned right from the panorama's middle.

    Args:
        heading_deg: Rotation of its axis, degrees clockwise from the middle column.
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
        """Suffix of the panorama's id in the crop's id: `_h090`."""
        return f"_h{round(self.heading_deg) % 360:03d}"


def crops(width: int, height: int, views: int, hfov_deg: float, aspect: float) -> list[Crop]:
    """Return the crops of a panorama, evenly spaced, the first straight ahead, none finer than the panorama.

    Args:
        width: Width of the panorama in pixels.
        height: Height of the panorama in pixels.
        views: Number of crops.
        hfov_deg: Horizontal field of view of each in degrees.
        aspect: Width over height of each.

    Raises:
        PhotoError: If the panorama does not show all directions.
    """
    check_panorama(width, height)
    half = math.tan(math.radians(hfov_deg) / 2.0)
    out_width = max(1, round(2.0 * half * width / (2.0 * math.pi)))  # a panorama has width / 2 pi pixels per radian
    out_height = max(1, round(out_width / aspect))
    return [Crop(k * 360.0 / views, out_width, out_height, out_width / 2.0 / half) for k in range(views)]


def check_panorama(width: int, height: int) -> None:
    """Raise an error if this cannot be a whole equirectangular panorama.

    Raises:
        PhotoError: If its width is not twice its height.
    """
    if abs(width - 2 * height) > _ASPECT_TOLERANCE * width:
        raise PhotoError(f"panorama of {width} x {height} px",
                         "a panorama of all directions is twice as wide as high; partial panoramas are not supported",
                         "Give it as a perspective photo, or extend it to the whole sphere.")
    if width > 32_000:
        raise PhotoError(f"panorama of {width} x {height} px", "the panorama is too wide", "Reduce it to 32000 px or less.")


def cut(panorama: Pixels, crop: Crop, pose: Pose = LEVEL) -> Pixels:
    """Return a crop of a panorama, uint8 (height, width, 3), level whatever the tilt of the panorama.

    Args:
        panorama: uint8 (H, W, 3), W = 2 H; its columns cover one full turn, its middle column is straight ahead.
        crop: The crop's geometry.
        pose: Tilt of the panorama.
    """
    import cv2

    height, width = panorama.shape[:2]
    x = (np.arange(crop.width) - (crop.width - 1) / 2.0) / crop.focal_px
    y = (np.arange(crop.height) - (crop.height - 1) / 2.0) / crop.focal_px
    turn = np.arctan(x) + math.radians(crop.heading_deg)
    down = np.arctan2(y[:, None], np.sqrt(1.0 + x * x)[None, :])
    if pose != LEVEL:
        turn, down = _in_panorama(turn, down, pose)
    columns = turn / (2.0 * math.pi) * width + width / 2.0 - 0.5
    # Cut from a strip that begins left of the crop, so that the crop never contains the seam.
    first = math.floor(float(columns.min())) - 1
    last = math.ceil(float(columns.max())) + 2
    strip = np.take(panorama, np.arange(first, last), axis=1, mode="wrap")
    rows = (down / math.pi * height + height / 2.0 - 0.5).astype(np.float32)
    along = np.broadcast_to((columns - first).astype(np.float32), rows.shape)
    return np.asarray(cv2.remap(strip, np.ascontiguousarray(along), rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _in_panorama(turn: Floats, down: Floats, pose: Pose) -> tuple[Floats, Floats]:
    """Return directions in a tilted panorama: angles right of its middle and angles below it, in radians.

    Args:
        turn: Angles right of the panorama's heading, of each column.
        down: Angles below the horizon.
        pose: The tilt. Source of its order (heading, then pitch, then roll): Google's Photo Sphere XMP, Euler angles.
    """
    pitch, roll = math.radians(pose.pitch_deg), math.radians(pose.roll_deg)
    right, ahead, up = np.cos(down) * np.sin(turn), np.cos(down) * np.cos(turn), -np.sin(down)
    ahead, up = math.cos(pitch) * ahead + math.sin(pitch) * up, math.cos(pitch) * up - math.sin(pitch) * ahead
    right, up = math.cos(roll) * right - math.sin(roll) * up, math.cos(roll) * up + math.sin(roll) * right
    return np.arctan2(right, ahead), -np.arcsin(np.clip(up, -1.0, 1.0))
