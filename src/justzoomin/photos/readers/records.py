"""A located photo as its source describes it, before anything is done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Projection = Literal["perspective", "fisheye", "equirectangular"]
Scalar = str | int | float | bool | None
NOT_A_PHOTO = "not_a_photo"
"""Kind of what lies beside photos and is passed over: texts, films, hidden files."""


@dataclass(frozen=True)
class Camera:
    """How a camera maps directions to pixels.

    Args:
        projection: Its kind. Names of other tools are mapped to these by the readers (`brown` and `fisheye_opencv` are
            refused where their further parameters are not zero; `spherical` is `equirectangular`).
        focal: Focal length over the larger side of the photo; None where it is not known, or for a panorama.
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
        source: What said so: a file and its row or field, for messages.
        captured_at: When it was taken, with a time zone; None where it is not known.
        bearing_deg: Where the camera looks, degrees clockwise from north; None where it is not known.
        camera: Its camera; None where nothing is known.
        sequence_id: The drive or walk it belongs to; None where it is not known.
        attribution: Whom to name.
        license: The licence it is under.
        extra: Further columns of the source, carried along.
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
    """A photo that was not taken, and why.

    Args:
        item: Its id, file or row.
        kind: One word for the reason, counted: `no_position`, `off_map`, `blurred`, `duplicate`, `broken`, ...
        detail: The reason in a sentence.
    """

    item: str
    kind: str
    detail: str
