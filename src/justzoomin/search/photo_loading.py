"""From a photo's file to pixels as a model takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from justzoomin.data import PhotoShape, declared_panorama, halves, to_tensor, wide_photo
from justzoomin.errors import JustZoomInError, PhotoError
from justzoomin.models import ModelConfig
from justzoomin.untrusted import printable

MAX_FILE_BYTES = 256 << 20
"""Photos in larger files are refused unread."""


class LoadedPhoto(NamedTuple):
    """A photo as a model takes it.

    Attributes:
        pair: Its halves, uint8 (2, 3, n, n).
        unlike: Why its shape is far from those that the model was trained on; None where it is not.
    """

    pair: torch.Tensor
    unlike: str | None


def load_photo(photo: str | Path | bytes, config: ModelConfig,
               shapes: Mapping[str, tuple[float, float]]) -> LoadedPhoto | JustZoomInError:
    """Return a photo as a model takes it, or the error that says what is wrong with it.

    Args:
        photo: Path of the photo, or the bytes of its file.
        config: The model's settings.
        shapes: Shapes of photos that the model was trained on, as `shapes_trained_on` gives them.
    """
    try:
        data, where = (photo, "photo") if isinstance(photo, bytes) else (read_photo(Path(photo)), str(photo))
        _refuse_panorama(data, where)
        pair = halves(to_tensor(wide_photo(data, where, config.image_pixels, config.photo_decode)))
        return LoadedPhoto(pair, PhotoShape.of(data).unlike(shapes) if shapes else None)
    except JustZoomInError as error:
        return error


def read_photo(path: Path) -> bytes:
    """Read the bytes of a photo file.

    Raises:
        PhotoError: If it is missing, not a file, empty or absurdly large.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise PhotoError(path, "it is not a file", "Give the path of a photo.")
        if not 0 < size <= MAX_FILE_BYTES:
            raise PhotoError(path, f"the file has {size} bytes", f"Photos up to {MAX_FILE_BYTES} bytes are read.")
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(path, f"it cannot be read ({error.strerror})", "Give the path of a readable photo.") from error


def _refuse_panorama(data: bytes, where: str) -> None:
    """Refuse a photo that says it is a panorama: models learn ordinary photos, and would answer something.

    Raises:
        PhotoError: If it says so.
    """
    projection = declared_panorama(data).get("ProjectionType", "").lower()
    if projection:
        raise PhotoError(where, f"it is a panorama ({printable(projection, 30)}, says its XMP), not an ordinary photo",
                         "Give a photo of about 90 degrees cut from it; jzi photos import cuts such photos.")
