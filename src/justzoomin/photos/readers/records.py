"""A located photo as its source describes it, before any processing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Projection = Literal["perspective", "fisheye", "equirectangular"]
Scalar = str | int | float | bool | None
NOT_A_PHOTO = "not_a_photo"
"""Kind of files that are beside photos and are ignored: texts, videos, hidden files."""


@dataclass(frozen=True)
class Camera:
    """How a camera maps directions to pixels.

    Args:
        projection: Its kind. Readers map the names of other tools to these (`brown` and `fisheye_opencv` are rejected if their
            further parameters are not zero; `spherical` is `equirectangular`).
        focal: Focal length over the larger side of the photo; None if unknown, or for a panorama.
        k1: First radial distortion coefficient.
        k2: Second radial distortion coefficient.

    Source: the camera models of OpenSfM, which the Mapillary API v4 gives as `camera_parameters` [focal, k1, k2].
    With x, y the direction divided by its depth and r^2 = x^2 + y^2, perspective: (x, y) (1 + k1 r^2 + k2 r^4) focal;
    fisheye: theta = atan(r), (x, y) / r theta (1 + k1 theta^2 + k2 theta^4) focal.
    """

    projection: Projection = "perspective"
    focal: float | None = None
    k1: float = 0.0
    k2: float = 0.0


@dataclass(frozen=True)
class PhotoRecord:
    """One located photo.

    Args:
        image_id: Its id: letters, digits, `_`, `-` and `.`; unique within an import.
        path: The image file.
        lat: Latitude in degrees.
        lon: Longitude in degrees.
        source: Origin of the record: a file and its row or field, for messages.
        captured_at: When it was taken, with a time zone; None if unknown.
        bearing_deg: Direction of view, degrees clockwise from north; None if unknown.
        camera: Its camera; None if nothing is known.
        sequence_id: The drive or walk that it belongs to; None if unknown.
        attribution: Whom to credit.
        license: Its licence.
        extra: Further columns of the source, stored with the photo.
    """

    image_id: str
    path: Path
    lat: float
    lon: float
    source: str
    captured_at: datetime | None = None
    bearing_deg: float | None = None
    camera: Camera | None = None
    sequence_id: str | None = None
    attribution: str | None = None
    license: str | None = None
    extra: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A photo that was not used, and why.

    Args:
        item: Its id, file or row.
        kind: The reason in one word, for counting: `no_position`, `off_map`, `blurred`, `duplicate`, `broken`, ...
        detail: The reason in a sentence.
    """

    item: str
    kind: str
    detail: str
