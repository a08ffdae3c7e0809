"""The camera of a photo: its field of view and tilt, as an option, a table or the photo's own EXIF states them."""

from __future__ import annotations

import hashlib
import importlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from justzoomin.data.decoding import photo_aspect
from justzoomin.data.exiftags import exif_tags, loaded_exif
from justzoomin.errors import ConfigError
from justzoomin.filekind import PICTURE_FORMATS, is_heic

PANORAMA_DEG = 360.0
"""Field of view that says that a photo is a whole equirectangular panorama."""
_FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)
_MIN_FOCAL, _MAX_FOCAL = 0.1, 60.0
"""Focal lengths over the larger side outside of these (157 and 1 degree wide) come from wrong tags."""
_UNITS_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""FocalPlaneResolutionUnit: inch, centimetre; millimetre and micrometre are used beyond the standard."""
_EXIF = 0x8769
_WIDTH, _HEIGHT = 0xA002, 0xA003
_FOCAL_LENGTH, _FOCAL_35MM = 0x920A, 0xA405
_PLANE_X, _PLANE_Y, _PLANE_UNIT = 0xA20E, 0xA20F, 0xA210


@dataclass(frozen=True)
class PhotoCamera:
    """What is known of the camera of an upright photo without distortion.

    Attributes:
        fov_deg: Horizontal field of view in degrees; None if unknown, or for a panorama.
        pitch_deg: Degrees of the photo's middle above the horizon.
        roll_deg: Rotation about the viewing direction in degrees; if positive, the camera's right side was up.
        kind: `perspective`, or `equirectangular` for a whole panorama.
        source: Where the field of view comes from, in words.
    """

    fov_deg: float | None = None
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    kind: Literal["perspective", "equirectangular"] = "perspective"
    source: str = ""

    @property
    def known(self) -> bool:
        """Whether it says which directions the photo shows."""
        return self.fov_deg is not None or self.kind == "equirectangular"

    def __str__(self) -> str:
        if self.kind == "equirectangular":
            return "whole panorama"
        fov = "field of view unknown" if self.fov_deg is None else \
            f"field of view {self.fov_deg:.3g} degrees" + (f" ({self.source})" if self.source else "")
        tilt = [f"{name} {value:.3g}" for name, value in (("pitch", self.pitch_deg), ("roll", self.roll_deg)) if value]
        return ", ".join([fov, *tilt])


UNKNOWN = PhotoCamera()


@dataclass(frozen=True)
class CameraSource:
    """Cameras of photos: the one stated for a photo's path, else one for all.

    Args:
        every: Camera of the photos whose field of view is not stated; None to read their EXIF.
        stated: Cameras by path.
    """

    every: PhotoCamera | None = None
    stated: Mapping[str, PhotoCamera] = field(default_factory=dict)

    def of(self, photo: str | Path | bytes) -> PhotoCamera | None:
        """Return what is stated of a photo alone."""
        return None if isinstance(photo, bytes) else self.stated.get(str(Path(photo)))

    def renamed(self, name: Callable[[str], str]) -> CameraSource:
        """Return the same cameras for photos that have other paths, such as those on another machine."""
        return replace(self, stated={name(path): camera for path, camera in self.stated.items()})

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digits that change with any of its values."""
        values = repr((self.every, sorted(self.stated.items(), key=lambda item: item[0])))
        return hashlib.sha256(values.encode("utf-8", "surrogateescape")).hexdigest()


def stated_camera(fov_deg: float, where: str = "--fov") -> PhotoCamera:
    """Return the camera of a horizontal field of view in degrees; 360 is a whole panorama.

    Args:
        fov_deg: The field of view.
        where: Where it is stated, for the error text and the source.

    Raises:
        ConfigError: If it is not between 0 and 180 degrees, nor 360.
    """
    if fov_deg == PANORAMA_DEG:
        return PhotoCamera(kind="equirectangular", source=where)
    if not 0.0 < fov_deg < 180.0:  # nan is refused too
        raise ConfigError(f"{where} {fov_deg:g}", "a photo's horizontal field of view is between 0 and 180 degrees",
                          "Give it in degrees, or 360 for a whole panorama.")
    return PhotoCamera(fov_deg, source=where)


def known_camera(data: bytes, stated: PhotoCamera | None = None, default: PhotoCamera | None = None) -> PhotoCamera:
    """Return the camera of a photo: what is stated of it, else the default, else the focal length in its EXIF.

    Args:
        data: The photo's file.
        stated: What a table or a list says of this photo; its pitch and roll are always used.
        default: What an option says of all photos.
    """
    camera = stated or UNKNOWN
    if camera.known:
        return camera
    if default is not None:
        return default if default.kind == "equirectangular" else replace(camera, fov_deg=default.fov_deg, source=default.source)
    found = exif_fov(data)
    return camera if found is None else replace(camera, fov_deg=found[0], source=found[1])


def exif_fov(data: bytes) -> tuple[float, str] | None:
    """Return the horizontal field of view of the upright photo from its EXIF, and the tags that gave it; None if unknown."""
    try:
        if is_heic(data):
            reader: Any = importlib.import_module("pillow_heif")
            image = reader.open_heif(io.BytesIO(data))
            tags, (width, height) = loaded_exif(image.info.get("exif")), image.size
            aspect = width / height  # libheif turns it upright
        else:
            with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as opened:
                tags, (width, height) = exif_tags(opened, io.BytesIO(data)), opened.size
            aspect = photo_aspect(data)
        focal, source = exif_focal(tags.get_ifd(_EXIF), width, height)
    except Exception:  # broken EXIF counts as missing; Pillow raises many kinds of errors
        return None
    return None if focal is None else (math.degrees(2.0 * math.atan(min(1.0, aspect) / 2.0 / focal)), source)


def exif_focal(exif: Mapping[int, Any], width: int, height: int) -> tuple[float | None, str]:
    """Return the focal length over the larger side, and the tags that gave it.

    FocalLengthIn35mmFilm refers to equal diagonals (43.27 mm), whatever the aspect ratio. Source: CIPA DCG-001-2005,
    guideline for noting specifications of digital cameras. As whole millimetres it is accurate to about two per cent.

    Args:
        exif: Tags of the EXIF IFD.
        width: Width of the picture in pixels, as stored.
        height: Height of the picture in pixels, as stored.
    """
    equivalent = exif_number(exif.get(_FOCAL_35MM))
    larger = max(width, height)
    if equivalent and larger > 0:
        focal = equivalent / _FULL_FRAME_DIAGONAL_MM * math.hypot(width, height) / larger
        if _MIN_FOCAL <= focal <= _MAX_FOCAL:
            return focal, "EXIF FocalLengthIn35mmFilm"
    length, unit = exif_number(exif.get(_FOCAL_LENGTH)), _UNITS_MM.get(exif.get(_PLANE_UNIT, 2))
    sides = [(exif_number(exif.get(pixels)) or now) / per_unit * unit
             for pixels, plane, now in ((_WIDTH, _PLANE_X, width), (_HEIGHT, _PLANE_Y, height))
             if unit and (per_unit := exif_number(exif.get(plane))) and per_unit > 0]
    if length and len(sides) == 2 and max(sides) > 0:
        focal = length / max(sides)
        if _MIN_FOCAL <= focal <= _MAX_FOCAL:
            return focal, "EXIF FocalLength and FocalPlaneXResolution"
    return None, ""


def exif_number(value: object) -> float | None:
    """Return the finite number of an EXIF value; None if there is none, as for 1/0."""
    if isinstance(value, tuple | list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str | bytes) or value is None:
        return None
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return result if math.isfinite(result) else None
