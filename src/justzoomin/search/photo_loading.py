"""From the file of a photo to the pixels for a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from justzoomin.data import PhotoShape, declared_panorama, halves, to_tensor, wide_photo
from justzoomin.errors import JustZoomInError, PhotoError
from justzoomin.models import ModelConfig
from justzoomin.search.heading_sources import KnownHeading
from justzoomin.untrusted import printable

MAX_FILE_BYTES = 256 << 20
"""Photos in larger files are refused without being read."""


class LoadedPhoto(NamedTuple):
    """A photo prepared for a model.

    Attributes:
        pair: Its halves, uint8 (2, 3, n, n).
        unlike: How its shape differs from those of the model's training photos; None if it does not differ much.
        heading: What is known of its heading.
    """

    pair: torch.Tensor
    unlike: str | None
    heading: KnownHeading = KnownHeading()


def load_photo(photo: str | Path | bytes, config: ModelConfig,
               shapes: Mapping[str, tuple[float, float]]) -> LoadedPhoto | JustZoomInError:
    """Return a photo prepared for a model, or the error that says what is wrong with it.

    Args:
        photo: Path of the photo, or the bytes of its file.
        config: The model's settings.
        shapes: Shapes of the model's training photos, from `shapes_trained_on`.
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
        PhotoError: If it is missing, not a file, empty or larger than `MAX_FILE_BYTES`.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise PhotoError(path, "it is not a file", "Give the path of a photo.")
        if not 0 < size <= MAX_FILE_BYTES:
            raise PhotoError(path, f"the file has {size} bytes", f"Give a photo of 1 to {MAX_FILE_BYTES} bytes.")
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(path, f"it cannot be read ({error.strerror})", "Give the path of a readable photo.") from error


def _refuse_panorama(data: bytes, where: str) -> None:
    """Refuse a photo that is marked as a panorama: models learn from ordinary photos and would give an arbitrary answer.

    Raises:
        PhotoError: If so.
    """
    projection = declared_panorama(data).get("ProjectionType", "").lower()
    if projection:
        raise PhotoError(where, f"it is a panorama ({printable(projection, 30)} in its XMP), not an ordinary photo",
                         "Give a photo of about 90 degrees cut from it; jzi photos import cuts such photos.")
