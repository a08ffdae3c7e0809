"""The work of a worker: examine one photo, then prepare it for writing."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from justzoomin.data import declared_panorama, decode_photo, exif_orientation, sound_jpeg
from justzoomin.errors import PhotoError
from justzoomin.photos.cameras import hfov_deg, is_distorted, undistorted_size, undistortion
from justzoomin.photos.jpegs import strip_jpeg
from justzoomin.photos.panoramas import Pose, check_panorama, crops, cut, stated_pose
from justzoomin.photos.quality import LOOKED_AT_PX, look
from justzoomin.photos.readers import Camera, PhotoRecord
from justzoomin.photos.settings import ImportSettings
from justzoomin.untrusted import read_limited

Pixels = npt.NDArray[np.uint8]

MAX_FILE_BYTES = 1 << 28
_JPEG = b"\xff\xd8"


@dataclass(frozen=True)
class Examined:
    """What a photo's file showed.

    Args:
        digest: SHA-256 of its bytes.
        width: Width in pixels, upright.
        height: Height in pixels, upright.
        sharpness: See `quality.sharpness`.
        hash: See `quality.difference_hash`.
        broken: Why it cannot be read; None if it can.
    """

    digest: str
    width: int = 0
    height: int = 0
    sharpness: float = 0.0
    hash: int = 0
    broken: str | None = None


@dataclass(frozen=True)
class Developed:
    """A photo as it is written.

    Args:
        image_id: Its id.
        jpeg: The file.
        width: Width in pixels.
        height: Height in pixels.
        bearing_deg: Direction of view; None if unknown.
        hfov_deg: Horizontal field of view; None if unknown.
        panorama_id: Id of the panorama that it was cut from; None for other photos.
        treatment: What was done to its pixels: `none`, `encoded`, `undistorted` or `cut`.
    """

    image_id: str
    jpeg: bytes
    width: int
    height: int
    bearing_deg: float | None
    hfov_deg: float | None
    panorama_id: str | None
    treatment: str


def read_photo(path: Path) -> bytes:
    """Return the bytes of a photo's file.

    Raises:
        PhotoError: If the file cannot be read or is far too large.
    """
    try:
        return read_limited(path, MAX_FILE_BYTES)
    except OSError as error:
        raise PhotoError(path, f"the photo cannot be read ({error.strerror})", "Check that it is there.") from error


def examine(path: Path) -> Examined:
    """Examine a photo's file: its size, sharpness and hash, or why it cannot be read."""
    digest = ""
    try:
        data = read_photo(path)
        digest = hashlib.sha256(data).hexdigest()
        pixels = decode_photo(data, str(path), (LOOKED_AT_PX, LOOKED_AT_PX))
        width, height = _size(data, pixels)
    except PhotoError as error:
        return Examined(digest, broken=str(error))
    seen = look(pixels)
    return Examined(digest, width, height, seen.sharpness, seen.hash)


def check_camera(camera: Camera | None, width: int, height: int, max_hfov_deg: float) -> None:
    """Raise an error if photos of a camera and size cannot be made perspective.

    Raises:
        PhotoError: With the reason.
    """
    if camera is not None and camera.projection == "equirectangular":
        check_panorama(width, height)
    elif camera is not None and is_distorted(camera, width, height):
        undistorted_size(camera, width, height, max_hfov_deg)


def _size(data: bytes, pixels: Pixels) -> tuple[int, int]:
    """Return width and height of the whole upright photo; `pixels` is its reduced picture if it is a JPEG."""
    if not data.startswith(_JPEG):
        return pixels.shape[1], pixels.shape[0]
    with Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as image:
        width, height = image.size
        return (height, width) if exif_orientation(image, data) >= 5 else (width, height)


def develop(record: PhotoRecord, examined: Examined, settings: ImportSettings) -> list[Developed]:
    """Prepare a photo: upright, perspective, not too large, without metadata. One result, or one per crop of a panorama.

    Raises:
        PhotoError: If it cannot be read, changed since it was examined, or its camera is invalid.
    """
    data, where = read_photo(record.path), str(record.path)
    if hashlib.sha256(data).hexdigest() != examined.digest:
        raise PhotoError(where, "the file changed during the import", "Import again.")
    if record.camera is not None and record.camera.projection == "equirectangular":
        return _cut(record, decode_photo(data, where), stated_pose(declared_panorama(data), where), settings)
    if not is_distorted(record.camera, examined.width, examined.height):
        return [_plain(record, data, examined, settings)]
    assert record.camera is not None  # it is distorted
    pixels = decode_photo(data, where)
    flat = undistortion(record.camera, pixels.shape[1], pixels.shape[0], settings.max_hfov_deg)
    return [_finished(record.image_id, flat.apply(pixels), settings, record.bearing_deg, flat.hfov_deg, None, "undistorted")]


def _plain(record: PhotoRecord, data: bytes, examined: Examined, settings: ImportSettings) -> Developed:
    """Prepare an undistorted photo: its own file without metadata if its pixels can stay."""
    width, height, where = examined.width, examined.height, str(record.path)
    focal = record.camera.focal if record.camera else None
    field = None if focal is None else hfov_deg(width, focal * max(width, height))
    if max(width, height) <= settings.max_side and _stays(data):
        jpeg = strip_jpeg(sound_jpeg(data), where)
        return Developed(record.image_id, jpeg, width, height, record.bearing_deg, field, None, "none")
    return _finished(record.image_id, decode_photo(data, where), settings, record.bearing_deg, field, None, "encoded")


def _stays(data: bytes) -> bool:
    """Return whether a file is an upright JPEG in colour or grey."""
    if not data.startswith(_JPEG):
        return False
    with Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as image:
        return image.mode in {"RGB", "L"} and exif_orientation(image, data) == 1


def _cut(record: PhotoRecord, panorama: Pixels, pose: Pose, settings: ImportSettings) -> list[Developed]:
    height, width = panorama.shape[:2]
    out = []
    for crop in crops(width, height, settings.views_per_panorama, settings.hfov_deg, settings.crop_aspect):
        bearing = None if record.bearing_deg is None else (record.bearing_deg + crop.heading_deg) % 360.0
        field, image_id = hfov_deg(crop.width, crop.focal_px), record.image_id + crop.suffix
        out.append(_finished(image_id, cut(panorama, crop, pose), settings, bearing, field, record.image_id, "cut"))
    return out


def _finished(image_id: str, pixels: Pixels, settings: ImportSettings, bearing: float | None, field: float | None,
              panorama: str | None, treatment: str) -> Developed:
    """Reduce a photo that is too large, by averaging pixels, and encode it."""
    import cv2
    import simplejpeg

    height, width = pixels.shape[:2]
    if max(width, height) > settings.max_side:
        scale = settings.max_side / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), settings.quality, "RGB", "420")
    return Developed(image_id, bytes(jpeg), width, height, bearing, field, panorama, treatment)


def image_ids(record: PhotoRecord, settings: ImportSettings) -> list[str]:
    """Return the ids of the photos that a record becomes."""
    if record.camera is not None and record.camera.projection == "equirectangular":
        return [record.image_id + crop.suffix for crop in crops(720, 360, settings.views_per_panorama, settings.hfov_deg, 1.0)]
    return [record.image_id]
