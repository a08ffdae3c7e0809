"""Images of bags: raw and compressed messages to the bytes of an image file."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from justzoomin.errors import PhotoError
from justzoomin.untrusted import printable

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
MAX_PIXELS = 100_000_000
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3, "8UC4": 4, "mono16": 2, "16UC1": 2,
             "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1, "uyvy": 2, "yuv422": 2, "yuyv": 2,
             "yuv422_yuy2": 2}
"""Bytes of a pixel by encoding."""
# OpenCV names a Bayer pattern by its second row, second column first.
_TO_BGR = {"rgb8": cv2.COLOR_RGB2BGR, "rgba8": cv2.COLOR_RGBA2BGR, "bgra8": cv2.COLOR_BGRA2BGR, "8UC4": cv2.COLOR_BGRA2BGR,
           "bayer_rggb8": cv2.COLOR_BayerBG2BGR, "bayer_bggr8": cv2.COLOR_BayerRG2BGR, "bayer_gbrg8": cv2.COLOR_BayerGR2BGR,
           "bayer_grbg8": cv2.COLOR_BayerGB2BGR, "uyvy": cv2.COLOR_YUV2BGR_UYVY, "yuv422": cv2.COLOR_YUV2BGR_UYVY,
           "yuyv": cv2.COLOR_YUV2BGR_YUY2, "yuv422_yuy2": cv2.COLOR_YUV2BGR_YUY2}


def image_bytes(message: Any, kind: str, where: str) -> bytes:
    """Return the bytes of an image file for an image message; a raw image becomes an uncompressed file.

    Args:
        message: The message.
        kind: Its type: `RAW` or `COMPRESSED`.
        where: Bag, topic and number, for error texts.

    Raises:
        PhotoError: If its encoding cannot be used, or its size does not fit its data.
    """
    if kind == COMPRESSED:
        data = np.ascontiguousarray(message.data, np.uint8).tobytes()
        if "compressedDepth" in message.format:
            raise PhotoError(where, "it is a depth image, not a photo", "Give the topic of the camera's colour images.")
        if not data:
            raise PhotoError(where, "the image has 0 bytes", "Record it again.")
        return data
    return encoded(_pixels(message, where))


def encoded(bgr: npt.NDArray[np.uint8]) -> bytes:
    """Return an image (H, W, 3) or (H, W), blue first, as the bytes of an uncompressed file."""
    return cv2.imencode(".bmp", bgr)[1].tobytes()


def _pixels(message: Any, where: str) -> npt.NDArray[np.uint8]:
    """Return the pixels of a raw image, blue first or grey."""
    encoding, width, height, step = str(message.encoding), int(message.width), int(message.height), int(message.step)
    if encoding not in _CHANNELS:
        raise PhotoError(where, f"the encoding {printable(encoding, 40)!r} cannot be used",
                         f"Record one of {', '.join(_CHANNELS)}.")
    row = width * _CHANNELS[encoding]
    if width * height > MAX_PIXELS or width < 1 or height < 1:
        raise PhotoError(where, f"{width} x {height} pixels", f"Images of 1 to {MAX_PIXELS} pixels are read.")
    data = np.ascontiguousarray(message.data).view(np.uint8).ravel()
    if step < row or len(data) < step * (height - 1) + row:
        raise PhotoError(where, f"{width} x {height} pixels of {encoding} with rows of {step} bytes do not fit its {len(data)} "
                         "bytes", "Record it again.")
    if len(data) < step * height:  # the last row may end without padding
        data = np.concatenate([data, np.zeros(step * height - len(data), np.uint8)])
    rows = data[:step * height].reshape(height, step)[:, :row]
    if _CHANNELS[encoding] == 2 and encoding in {"mono16", "16UC1"}:
        return np.ascontiguousarray(rows[:, 0::2] if message.is_bigendian else rows[:, 1::2])  # the upper 8 bits
    if _CHANNELS[encoding] == 2 and width % 2:
        raise PhotoError(where, f"{encoding} needs an even width, not {width}", "Record it again.")
    image = np.ascontiguousarray(rows.reshape(height, width, -1))
    if encoding in _TO_BGR:
        return np.asarray(cv2.cvtColor(image, _TO_BGR[encoding]), np.uint8)
    return image[:, :, 0] if image.shape[2] == 1 else image
