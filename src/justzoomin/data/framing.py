"""Photos brought into a model's frame: the picture that the model's own camera would have taken.

The frame is 2:1 and level, with square angles: a pinhole camera of a given horizontal field of view. A photo with a known
field of view is resampled to it, and its pitch and roll are undone. `squeeze` is the older way: the whole photo is resized to
2:1, whatever its shape and angles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from justzoomin.data.cameras import UNKNOWN, PhotoCamera, known_camera
from justzoomin.data.decoding import decode_photo, photo_aspect
from justzoomin.data.transforms import OVER, Decode, wide_photo
from justzoomin.errors import PhotoError

Fit = Literal["squeeze", "crop", "fit"]
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

NEUTRAL = (124, 116, 104)
"""Colour of the part of a frame that a photo does not show: ImageNet's mean, which is 0 after normalization."""
_BEHIND = 0.05
"""Directions at least this far in front of the frame's camera count when a photo is made to fit."""


@dataclass(frozen=True)
class Frame:
    """The frame of a model.

    Attributes:
        fit: `squeeze` resizes the whole photo to 2:1. `crop` shows what the frame covers, at true angles. `fit` does the
            same, but reduces a photo that is larger than the frame until all of it is inside.
        fov_deg: Horizontal field of view of the frame in degrees; unused by `squeeze`.
        beside: A second way, for a ray matcher that looks otherwise than its zoomer; None for one way only.
    """

    fit: Fit = "squeeze"
    fov_deg: float = 75.0
    beside: Fit | None = None

    @property
    def half_width(self) -> float:
        """Tangent of half the field of view; the frame is half as high."""
        return math.tan(math.radians(self.fov_deg) / 2.0)

    @property
    def uses_cameras(self) -> bool:
        """Whether the camera of a photo makes a difference."""
        return self.fit != "squeeze" or self.beside not in (None, "squeeze")

    @property
    def parts(self) -> tuple[Frame, ...]:
        """The frames that a photo's pixels show side by side: one, or two with `beside`."""
        return tuple(replace(self, fit=fit, beside=None) for fit in (self.fit, self.beside) if fit is not None)

    def assumed(self, aspect: float) -> PhotoCamera:
        """Return the camera assumed for a photo whose field of view is unknown.

        With `crop` its largest central 2:1 part fills the frame, with `fit` all of it is just inside.

        Args:
            aspect: Width of the photo over its height.
        """
        half = self.half_width * (max if self.fit == "crop" else min)(1.0, aspect / 2.0)
        return PhotoCamera(math.degrees(2.0 * math.atan(half)))


SQUEEZE = Frame()


class FramedPhoto(NamedTuple):
    """A photo in a model's frame.

    Attributes:
        pixels: uint8 (n, 2 n, 3); (n, 4 n, 3) if the frame has two parts.
        camera: Its camera, as used; None with `squeeze`, which uses none.
        empty: Share of the frame that the photo does not show.
    """

    pixels: Pixels
    camera: PhotoCamera | None
    empty: float

    def words(self) -> str | None:
        """Return in words which camera was used; None if none was."""
        if self.camera is None:
            return None
        return str(self.camera) + (f"; {self.empty:.0%} of the frame is empty" if self.empty >= 0.005 else "")


def framed_photo(data: bytes, where: str, pixels: int, decode: Decode = "scaled", frame: Frame = SQUEEZE,
                 stated: PhotoCamera | None = None, default: PhotoCamera | None = None) -> FramedPhoto:
    """Decode a photo and bring it into a model's frame.

    Args:
        data: The file's bytes.
        where: Name of the file, for error texts.
        pixels: Height of the result; the width of each part of the frame is twice that.
        decode: How much of the photo is decoded; see `wide_photo`.
        frame: The frame.
        stated: What a table or a list says of this photo's camera.
        default: What an option says of all photos' cameras. Without any, the focal length in EXIF is used.

    Raises:
        PhotoError: If the photo cannot be used, is a panorama, or shows nothing of the frame.
    """
    if frame.beside is not None:
        first, second = (framed_photo(data, where, pixels, decode, part, stated, default) for part in frame.parts)
        used = first if second.camera is None else second
        return FramedPhoto(np.concatenate([first.pixels, second.pixels], axis=1), used.camera, used.empty)
    if not frame.uses_cameras:
        return FramedPhoto(wide_photo(data, where, pixels, decode), None, 0.0)
    camera, aspect = known_camera(data, stated, default), photo_aspect(data)
    if camera.kind == "equirectangular":
        raise PhotoError(where, "it is a panorama, not an ordinary photo",
                         "Give a photo of about 90 degrees cut from it; jzi photos import cuts such photos.")
    fov = camera.fov_deg if camera.fov_deg is not None else frame.assumed(aspect).fov_deg
    assert fov is not None
    width = pixels / frame.half_width * 2.0 * math.tan(math.radians(fov) / 2.0)  # of the whole photo, at the frame's scale
    over = OVER if decode == "quick" else 1.0
    need = max(1, math.ceil(over * width / aspect)), max(1, math.ceil(over * width))
    image = decode_photo(data, where, None if decode == "full" else need, coarse=decode == "quick")
    shown, empty = framed(image, frame, pixels, camera)
    if empty >= 1.0:
        raise PhotoError(where, f"its camera shows nothing of the model's frame ({camera})", "Correct its pitch.")
    return FramedPhoto(shown, camera, empty)


def framed(image: Pixels, frame: Frame, pixels: int, camera: PhotoCamera = UNKNOWN) -> tuple[Pixels, float]:
    """Resample a photo into a frame.

    Args:
        image: The upright photo, uint8 (H, W, 3).
        frame: The frame; its `fit` is `crop` or `fit`.
        pixels: Height of the result; its width is twice that.
        camera: The photo's camera, perspective.

    Returns:
        The picture, uint8 (pixels, 2 * pixels, 3), and the share of it that the photo does not show, in `NEUTRAL`.
    """
    height, width = image.shape[:2]
    fov = camera.fov_deg if camera.fov_deg is not None else frame.assumed(width / height).fov_deg
    assert fov is not None
    half = math.tan(math.radians(fov) / 2.0)
    axes = _axes(camera)
    step = frame.half_width / pixels  # tangent per pixel of the result
    if frame.fit == "fit":
        step *= _reduction(axes, half, half * height / width, frame.half_width)
    image = reduced(image, step / (2.0 * half / width))
    x = (np.arange(2 * pixels) + 0.5 - pixels) * step
    y = (np.arange(pixels) + 0.5 - pixels / 2.0) * step
    right, down, ahead = (a[0] * x[None, :] + a[1] * y[:, None] + a[2] for a in axes)
    seen = ahead > 1e-6
    ahead = np.where(seen, ahead, 1.0)
    rows, cols = image.shape[:2]
    across = (right / ahead / half + 1.0) * (cols / 2.0) - 0.5
    along = (down / ahead / (half * height / width) + 1.0) * (rows / 2.0) - 0.5
    edge = 1e-6  # a direction on the photo's border belongs to it, whatever rounding says
    seen &= (across >= -0.5 - edge) & (across <= cols - 0.5 + edge) & (along >= -0.5 - edge) & (along <= rows - 0.5 + edge)
    found = cv2.remap(image, np.clip(across, 0.0, cols - 1.0).astype(np.float32),
                      np.clip(along, 0.0, rows - 1.0).astype(np.float32), cv2.INTER_LINEAR)
    out = np.where(seen[..., None], found, np.array(NEUTRAL, np.uint8)).astype(np.uint8)
    return out, float(1.0 - seen.mean())


def _axes(camera: PhotoCamera) -> Floats:
    """Return the photo camera's axes right, down and ahead (3, 3), each in the level camera's right, down and ahead."""
    pitch, roll = math.radians(camera.pitch_deg), math.radians(camera.roll_deg)
    ahead = np.array([0.0, -math.sin(pitch), math.cos(pitch)])
    right, down = np.array([1.0, 0.0, 0.0]), np.array([0.0, math.cos(pitch), math.sin(pitch)])
    return np.stack([right * math.cos(roll) - down * math.sin(roll), down * math.cos(roll) + right * math.sin(roll), ahead])


def _reduction(axes: Floats, half_width: float, half_height: float, frame_half: float) -> float:
    """Return by how much a photo must be reduced, at least 1, so that its corners are inside a frame."""
    corners = np.array([[a * half_width, b * half_height, 1.0] for a in (-1, 1) for b in (-1, 1)]) @ axes
    flat = np.abs(corners[:, :2]) / np.maximum(corners[:, 2:], _BEHIND)
    return max(1.0, float(flat[:, 0].max()) / frame_half, float(flat[:, 1].max()) / (frame_half / 2.0))


def reduced(image: Pixels, ratio: float) -> Pixels:
    """Return a photo averaged down by a ratio, if that is above 1, so that no pixel is skipped when it is resampled."""
    height, width = image.shape[:2]
    size = max(1, round(width / ratio)), max(1, round(height / ratio))
    if ratio <= 1.0 or size == (width, height):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
