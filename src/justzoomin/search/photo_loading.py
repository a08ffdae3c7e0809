"""From the file of a photo to the pixels for a model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from justzoomin.data import (
    CameraSource,
    FramedPhoto,
    PhotoCamera,
    PhotoShape,
    declared_panorama,
    framed_photo,
    halves,
    to_tensor,
)
from justzoomin.errors import JustZoomInError, PhotoError
from justzoomin.models import ModelConfig
from justzoomin.search.heading_sources import KnownHeading
from justzoomin.untrusted import printable

MAX_FILE_BYTES = 256 << 20
"""Photos in larger files are refused without being read."""
LEAST_SHOWN = 0.5
"""Photos that show less than this share of a model's frame are unlike those of its training."""


class CameraNotUsedWarning(UserWarning):
    """Warning that a model does not use what is known of the photos' cameras."""


class LoadedPhoto(NamedTuple):
    """A photo prepared for a model.

    Attributes:
        pair: Its halves, uint8 (2, 3, n, n); those of its views (V, 2, 3, n, n) if it is a panorama.
        unlike: How its shape differs from those of the model's training photos; None if it does not differ much.
        heading: What is known of its heading.
        camera: The camera that was used, in words; None if the model squeezes the photos of all cameras.
    """

    pair: torch.Tensor
    unlike: str | None
    heading: KnownHeading = KnownHeading()
    camera: str | None = None


def load_photo(photo: str | Path | bytes, config: ModelConfig, shapes: Mapping[str, tuple[float, float]],
               stated: PhotoCamera | None = None, default: PhotoCamera | None = None, *,
               panoramas: bool = False) -> LoadedPhoto | JustZoomInError:
    """Return a photo prepared for a model, or the error that says what is wrong with it.

    Args:
        photo: Path of the photo, or the bytes of its file.
        config: The model's settings.
        shapes: Shapes of the model's training photos, from `shapes_trained_on`.
        stated: What a list says of this photo's camera.
        default: What an option says of all photos' cameras.
        panoramas: Whether the search can use the views of a panorama.
    """
    try:
        data, where = (photo, "photo") if isinstance(photo, bytes) else (read_photo(Path(photo)), str(photo))
        if (projection := _panorama(data, stated, default)) is not None:
            if not panoramas or not config.frame.uses_cameras:
                raise PhotoError(where, f"it is a panorama ({projection}), not an ordinary photo",
                                 "Give a photo of about 90 degrees cut from it; jzi photos import cuts such photos.")
            return _loaded_panorama(data, where, config)
        framed = framed_photo(data, where, config.photo_pixels, config.photo_decode, config.frame, stated, default)
        if config.frame.uses_cameras:
            unlike = _unlike(framed, shapes)
        else:
            unlike = PhotoShape.of(data).unlike(shapes) if shapes else None
        return LoadedPhoto(halves(to_tensor(framed.pixels)), unlike, camera=framed.words())
    except JustZoomInError as error:
        return error


def _unlike(framed: FramedPhoto, shapes: Mapping[str, tuple[float, float]]) -> str | None:
    """Return how a photo in a frame differs from those of a training whose cameras were known."""
    few = 1.0 - framed.empty
    if few < LEAST_SHOWN:
        return f"the photo shows only {few:.0%} of what the model's own camera would show"
    if "hfov_deg" in shapes and framed.camera is not None and framed.camera.fov_deg is None:
        return "the photo's field of view is unknown, and the model learned from photos of known ones"
    return None


def _loaded_panorama(data: bytes, where: str, config: ModelConfig) -> LoadedPhoto:
    from justzoomin.search.panoramas import panorama_views

    views = panorama_views(data, where, config.photo_pixels, config.frame)
    return LoadedPhoto(torch.stack([halves(to_tensor(view)) for view in views]),
                       "the views of a panorama are combined as if they were independent",
                       camera=f"whole panorama, {len(views)} views of {config.frame.fov_deg:g} degrees")


def used_cameras(config: ModelConfig, cameras: CameraSource | None) -> CameraSource | None:
    """Return what is known of the cameras, with a warning if a model does not use fields of view that were given."""
    if cameras is not None and not config.frame.uses_cameras and any(
            camera.fov_deg is not None for camera in (cameras.every, *cameras.stated.values()) if camera is not None):
        warnings.warn("the given field of view is not used: this model squeezes every photo to 2:1, whatever its camera "
                      "(model.photo_fit=squeeze)", CameraNotUsedWarning, stacklevel=3)
    return cameras


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


def _panorama(data: bytes, stated: PhotoCamera | None, default: PhotoCamera | None) -> str | None:
    """Return in words what says that a photo is a panorama; None for an ordinary photo.

    Models learn from ordinary photos and would give an arbitrary answer.
    """
    projection = declared_panorama(data).get("ProjectionType", "").lower()
    if projection:
        return f"{printable(projection, 30)} in its XMP"
    camera = stated if stated is not None and stated.known else default
    return f"{camera.source} 360" if camera is not None and camera.kind == "equirectangular" else None
