"""CameraInfo of bags: the field of view, and photos without the lens's distortion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from justzoomin.data import PhotoCamera, decode_photo
from justzoomin.drives.bag_images import encoded
from justzoomin.errors import DataError
from justzoomin.untrusted import printable

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
_FISHEYE = {"equidistant", "fisheye"}
_POLYNOMIAL = {"plumb_bob", "rational_polynomial", "thin_prism", ""}
_OFF = 0.02
"""Share of the width by which the optical axis may be off the middle of a photo that is used as it is."""
Floats = npt.NDArray[np.float64]


def info_topic(image_topic: str) -> str:
    """Return the topic of the CameraInfo that belongs to an image topic: `camera_info` beside the image."""
    return image_topic.removesuffix("/compressed").rpartition("/")[0] + "/camera_info"


@dataclass(frozen=True)
class BagCamera:
    """The camera of a topic's photos.

    Attributes:
        matrix: Camera matrix (3, 3) in pixels.
        distortion: Coefficients of the lens, in OpenCV's order; empty for none.
        fisheye: Whether they are those of a fisheye lens.
        size: Width and height of the photos that the matrix is for.
    """

    matrix: Floats
    distortion: Floats
    fisheye: bool
    size: tuple[int, int]

    @classmethod
    def of(cls, message: Any, where: str, *, rectified: bool) -> BagCamera:
        """Return the camera of a CameraInfo.

        Args:
            message: The message.
            where: Bag, topic and number, for error texts.
            rectified: Whether the photos are rectified, so that the projection matrix P counts and no distortion is left.

        Raises:
            DataError: If it states no camera: it is not calibrated, or a number is wrong.
        """
        width, height = int(message.width), int(message.height)
        # ROS 1 writes K, D and P.
        k, d, p = (np.asarray(getattr(message, low, getattr(message, low.upper(), ())), np.float64) for low in "kdp")
        matrix = p.reshape(3, 4)[:, :3] if rectified and p.size == 12 else k.reshape(3, 3) if k.size == 9 else np.zeros((3, 3))
        lens = np.zeros(0) if rectified or not np.any(d) else d[:14]
        model = str(message.distortion_model)
        if not (np.isfinite(matrix).all() and np.isfinite(lens).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0
                and width > 0 and height > 0):
            raise DataError(where, "it states no calibrated camera", "Calibrate the camera, or give --fov.")
        if lens.size and model not in _FISHEYE | _POLYNOMIAL:
            raise DataError(where, f"the distortion model {printable(model, 40)!r} is unknown",
                            "Track a topic of rectified images.")
        if lens.size and model not in _FISHEYE and lens.size not in {4, 5, 8, 12, 14}:
            raise DataError(where, f"it has {lens.size} coefficients of distortion", "Give 4, 5, 8, 12 or 14.")
        fisheye = model in _FISHEYE
        return cls(matrix, np.resize(lens[:4], 4) if fisheye and lens.size >= 4 else lens, fisheye, (width, height))

    def camera(self, where: str) -> PhotoCamera:
        """Return the camera of a photo that `pinhole` has returned.

        Args:
            where: Where it is stated, in words.
        """
        half = self.size[0] / 2.0 / float(self.matrix[0, 0])
        return PhotoCamera(min(math.degrees(2.0 * math.atan(half)), 179.0), source=where)

    @property
    def needs_pinhole(self) -> bool:
        """Whether photos must be resampled: the lens distorts, pixels are not square, or the optical axis is off the middle."""
        (fx, _, cx), (_, fy, cy), _ = self.matrix
        width, height = self.size
        off = max(abs(cx - width / 2.0), abs(cy - height / 2.0)) / width
        return self.distortion.size > 0 or abs(fx / fy - 1.0) > _OFF or off > _OFF

    def pinhole(self, data: bytes, where: str) -> bytes:
        """Return a photo as a pinhole camera with the optical axis in the middle would have taken it.

        Args:
            data: The photo's file.
            where: Its name, for error texts.

        Raises:
            PhotoError: If it cannot be decoded.
        """
        if not self.needs_pinhole:
            return data
        image = np.ascontiguousarray(decode_photo(data, where)[:, :, ::-1])
        height, width = image.shape[:2]
        scale = np.diag([width / self.size[0], height / self.size[1], 1.0])
        own = scale @ self.matrix
        wanted = np.array([[own[0, 0], 0.0, (width - 1) / 2.0], [0.0, own[0, 0], (height - 1) / 2.0], [0.0, 0.0, 1.0]])
        if self.fisheye and self.distortion.size:
            maps = cv2.fisheye.initUndistortRectifyMap(own, self.distortion, np.eye(3), wanted, (width, height), cv2.CV_32FC1)
        else:
            maps = cv2.initUndistortRectifyMap(own, self.distortion, np.eye(3), wanted, (width, height), cv2.CV_32FC1)
        return encoded(np.asarray(cv2.remap(image, *maps, cv2.INTER_LINEAR), np.uint8))
