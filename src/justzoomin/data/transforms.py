"""Transforms from image files and uint8 pictures to the tensors that a model sees."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from justzoomin.data.decoding import decode_photo

Decode = Literal["scaled", "full", "quick"]
OVER = 1.3
"""With `quick`, a photo is decoded to at least this many times the size, so that the resize has pixels to average."""


def wide_photo(
    data: bytes, where: str, pixels: int, decode: Decode = "scaled", crop: tuple[float, float, float, float] | None = None
) -> npt.NDArray[np.uint8]:
    """Decode a photo and resize it to 2:1.

    With `full` and `scaled` the resize is plain bilinear without antialiasing (OpenCV's INTER_LINEAR_EXACT), as published.
    With `scaled`, the JPEG decoder has already averaged the photo down to less than twice the size. `full` is what the
    authors' checkpoints were trained with. With `quick`, the decoder also leaves out the refining scans of large progressive
    JPEGs, and the resize is bilinear with antialiasing (Pillow's): faster, and closer to a full decode with such a resize.

    Args:
        data: The file's bytes.
        where: Name of the file, for error texts.
        pixels: Height of the result; its width is twice that.
        decode: How much of the photo is decoded.
        crop: Part of the photo to keep, as left, top, width, height in shares of the photo.

    Returns:
        uint8 (pixels, 2 * pixels, 3).

    Raises:
        PhotoError: If the photo cannot be used.
    """
    return sized_photo(data, where, (pixels, 2 * pixels), decode, crop)


def sized_photo(data: bytes, where: str, size: tuple[int, int], decode: Decode = "scaled",
                crop: tuple[float, float, float, float] | None = None) -> npt.NDArray[np.uint8]:
    """Decode a photo and resize it as `wide_photo` does, but to any height and width: uint8 (*size, 3).

    Raises:
        PhotoError: If the photo cannot be used.
    """
    _, _, width, height = crop or (0.0, 0.0, 1.0, 1.0)
    over = OVER if decode == "quick" else 1.0
    need = (int(np.ceil(over * size[0] / height)), int(np.ceil(over * size[1] / width)))
    image = decode_photo(data, where, None if decode == "full" else need, coarse=decode == "quick")
    if crop is not None:
        image = cropped(image, crop)
    if decode == "quick":
        return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    return plain_resize(image, size)


def cropped(image: npt.NDArray[np.uint8], crop: tuple[float, float, float, float]) -> npt.NDArray[np.uint8]:
    """Return a part of a picture, given as left, top, width, height in shares of it."""
    left, top, width, height = crop
    rows, cols = image.shape[:2]
    y, x = int(top * rows), int(left * cols)
    return image[y:y + max(1, round(height * rows)), x:x + max(1, round(width * cols))]


def plain_resize(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize a picture to a height and width, bilinear without antialiasing."""
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR_EXACT)
    return np.ascontiguousarray(resized, np.uint8)


def random_wide_crop(rng: np.random.Generator, aspect: float, scale: tuple[float, float]) -> tuple[float, float, float, float]:
    """Draw a 2:1 crop of a photo, as left, top, width and height in shares.

    Args:
        rng: Source of randomness.
        aspect: Width of the photo over its height.
        scale: Range of the share of the photo's area that is kept.

    Source: the usual random resized crop, with ten tries and then the largest central 2:1 window.
    """
    for _ in range(10):
        area = rng.uniform(*scale)
        width, height = float(np.sqrt(area * 2.0 / aspect)), float(np.sqrt(area * aspect / 2.0))
        if width <= 1.0 and height <= 1.0:
            return rng.uniform(0, 1 - width), rng.uniform(0, 1 - height), width, height
    width, height = min(1.0, 2.0 / aspect), min(1.0, aspect / 2.0)
    return (1 - width) / 2, (1 - height) / 2, width, height


def least_crop(aspect: float, scale: tuple[float, float]) -> tuple[float, float]:
    """Return the least width and height, in shares of the photo, that `random_wide_crop` draws."""
    width, height = float(np.sqrt(scale[0] * 2.0 / aspect)), float(np.sqrt(scale[0] * aspect / 2.0))
    return min(1.0, width, 2.0 / aspect), min(1.0, height, aspect / 2.0)


def to_tensor(image: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Turn a picture, uint8 (H, W, 3), into a uint8 tensor (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def halves(wide: torch.Tensor) -> torch.Tensor:
    """Cut wide photos (..., 3, H, k H) into squares (..., k, 3, H, H): left and right half of each part of their frame."""
    return torch.stack(torch.split(wide, wide.shape[-2], dim=-1), dim=-4)


def normalize(images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Subtract the mean and divide by the deviation per channel: uint8, or float in [0, 1], (..., 3, H, W) to float."""
    scaled = images.float() / 255.0 if images.dtype == torch.uint8 else images
    centre = torch.tensor(mean, device=images.device).view(3, 1, 1)
    spread = torch.tensor(std, device=images.device).view(3, 1, 1)
    return (scaled - centre) / spread
