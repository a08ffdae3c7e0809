"""Where a photo was taken, when, and by which camera, according to its EXIF and XMP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from justzoomin.data import exif_focal, exif_number
from justzoomin.photos.readers.exif_times import PhotoClock, photo_clock
from justzoomin.photos.readers.exif_values import plain_text
from justzoomin.photos.readers.headers import Header, gpano
from justzoomin.photos.readers.records import Camera, Scalar

_FAR_DATUMS = ("TOKYO", "NAD27", "NAD1927", "ED50", "OSGB36", "PULKOVO", "GCJ02", "BD09", "SAD69", "AGD66")
"""Datums that differ from WGS 84 by tens to hundreds of metres."""


@dataclass(frozen=True)
class ExifFacts:
    """What a header says about a photo.

    Attributes:
        position: (lat, lon) in degrees; None if there is no usable one.
        no_position: Why there is no position; empty if there is one.
        taken: When the photo was taken.
        bearing_deg: Direction of view, from true north.
        camera: The camera; None if nothing is known.
        no_camera: Why the photo is unusable, if its projection is not supported; empty otherwise.
        attribution: Copyright, else artist.
        more: Further facts, and the origin of those above.
    """

    position: tuple[float, float] | None
    no_position: str = ""
    taken: PhotoClock = field(default_factory=PhotoClock)
    bearing_deg: float | None = None
    camera: Camera | None = None
    no_camera: str = ""
    attribution: str | None = None
    more: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def captured_at(self) -> datetime | None:
        """Time in UTC; None if unknown."""
        return self.taken.time

    @property
    def extra(self) -> dict[str, Scalar]:
        """Values to store with the photo: further facts, the origin of values, and stated values that are not used."""
        return {**self.taken.columns, **self.more}


def exif_facts(header: Header, zone: tzinfo | None = None, offset_s: float | None = None) -> ExifFacts:
    """Return everything that a header says.

    Args:
        header: The header.
        zone: Zone of the camera's clock if the photo states none.
        offset_s: Seconds to add to the camera's clock.
    """
    extra: dict[str, Scalar] = {}
    position = gps_position(header.gps) if not header.broken_exif else "its EXIF cannot be read"
    panorama = gpano(header.xmp)
    camera, no_camera, camera_from = photo_camera(header, panorama)
    if camera_from:
        extra["camera_from"] = camera_from
    bearing = _bearing(header.gps, panorama if camera and camera.projection == "equirectangular" else {}, extra)
    _more(header, extra)
    name = _words(header.main.get(0x8298)) or _words(header.main.get(0x013B))
    return ExifFacts(None if isinstance(position, str) else position, position if isinstance(position, str) else "",
                     photo_clock(header, zone, offset_s), bearing, camera, no_camera, name, extra)


def gps_position(gps: Mapping[int, Any]) -> tuple[float, float] | str:
    """Return (lat, lon) in degrees from a GPS IFD, or why there is none; neither hemisphere nor unit is guessed.

    Source: Exif 2.32 (CIPA DC-008), GPSLatitudeRef, GPSLatitude, GPSLongitudeRef, GPSLongitude, GPSMapDatum.
    """
    if 2 not in gps and 4 not in gps:
        return "it gives no position"
    datum = re.sub(r"[^A-Z0-9]", "", plain_text(gps.get(18)).upper())
    if datum.startswith(_FAR_DATUMS):
        return f"its position is in the datum {datum[:20]}, not WGS 84"
    degrees = []
    for value, ref, name, letters, limit in ((2, 1, "latitude", "NS", 90.0), (4, 3, "longitude", "EW", 180.0)):
        angle = _angle(gps.get(value))
        if angle is None:
            return f"its {name} is not an angle"
        letter = plain_text(gps.get(ref)).upper()[:1]
        if not letter or letter not in letters:
            return f"its {name} does not say {' or '.join(letters)}"
        if angle > limit:
            return f"its {name} is {angle:.6g} degrees"
        degrees.append(-angle if letter in "SW" else angle)
    lat, lon = degrees
    if abs(lat) < 1e-6 and abs(lon) < 1e-6:
        return "its position is 0, 0, which cameras write before they know where they are"
    return lat, lon


def _angle(value: object) -> float | None:
    """Return degrees from degrees, minutes and seconds; later parts may be missing. None unless every part is valid."""
    parts = value if isinstance(value, tuple | list) else (value,)
    if not 1 <= len(parts) <= 3:
        return None
    numbers = [exif_number(p) for p in parts]
    if any(n is None or n < 0 for n in numbers):
        return None
    given = [n for n in numbers if n is not None]
    if any(n > 60 for n in given[1:]):
        return None
    # a part with a fraction ends the angle: later parts would repeat or contradict it
    for index, n in enumerate(given[:-1]):
        if n % 1 and any(given[index + 1:]):
            return None
    return float(sum(n / 60.0**k for k, n in enumerate(given)))


def photo_camera(header: Header, panorama: Mapping[str, str]) -> tuple[Camera | None, str, str]:
    """Return the camera, why it is unusable (empty if it is usable), and the source of the information."""
    projection = panorama.get("ProjectionType", "").lower()
    if projection == "equirectangular":
        reason = _partial(header, panorama)
        return (None, reason, "") if reason else (Camera("equirectangular"), "", "XMP GPano")
    if projection:
        return None, f"it is a panorama in the projection {projection[:30]!r}", ""
    focal, source = exif_focal(header.exif, header.width, header.height)
    return (Camera("perspective", focal), "", source) if focal is not None else (None, "", "")


def _partial(header: Header, panorama: Mapping[str, str]) -> str:
    """Return why a panorama is not the whole sphere; empty if it is.

    Source: Google's Photo Sphere XMP: the image is the cropped area of the full panorama.
    """
    sizes = {name: exif_number(_float(panorama.get(name))) for name in (
        "FullPanoWidthPixels", "FullPanoHeightPixels", "CroppedAreaImageWidthPixels", "CroppedAreaImageHeightPixels")}
    full_w, full_h, part_w, part_h = sizes.values()
    if full_w and full_h and part_w and part_h and (part_w < 0.99 * full_w or part_h < 0.99 * full_h):
        return (f"it is a partial panorama ({part_w / full_w * 360:.0f} x {part_h / full_h * 180:.0f} degrees), "
                "and only whole ones are supported")
    if not 0.98 < header.width / max(1, 2 * header.height) < 1.02:
        return f"it is marked as equirectangular but has {header.width} x {header.height} pixels, not twice as wide as high"
    return ""


def _float(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _bearing(gps: Mapping[int, Any], panorama: Mapping[str, str], extra: dict[str, Scalar]) -> float | None:
    """Return the bearing from true north. A magnetic one is stored in `extra`, as the declination is unknown here."""
    reference = plain_text(gps.get(16)).upper()[:1]
    for heading, name in ((exif_number(_float(panorama.get("PoseHeadingDegrees"))), "XMP GPano:PoseHeadingDegrees"),
                          (exif_number(gps.get(17)), "EXIF GPSImgDirection")):
        if heading is None:
            continue
        if not 0 <= heading <= 360:
            extra["bearing_stated"] = heading
        elif name.startswith("XMP") or reference == "T":
            extra["bearing_from"] = name
            return heading % 360.0
        else:
            extra["magnetic_heading_deg" if reference == "M" else "heading_of_unknown_north_deg"] = heading
    return None


def _more(header: Header, extra: dict[str, Scalar]) -> None:
    altitude = exif_number(header.gps.get(6))
    if altitude is not None:
        below = header.gps.get(5) in {1, 3, b"\x01", b"\x03"}  # Exif 3.0: below the ellipsoid, below the sea
        extra["altitude_m"] = -altitude if below else altitude
    for tag, name in ((11, "gps_dop"), (31, "gps_error_m")):
        value = exif_number(header.gps.get(tag))
        if value is not None:
            extra[name] = value
    for where, tag, name in ((header.gps, 10, "gps_mode"), (header.gps, 9, "gps_status"), (header.gps, 18, "gps_datum"),
                             (header.main, 0x010F, "make"), (header.main, 0x0110, "model")):
        words = _words(where.get(tag))
        if words:
            extra[name] = words


def _words(value: object) -> str | None:
    """Return a text tag on one line, without control characters, of at most 200 characters."""
    text = "".join(c if c.isprintable() else " " for c in plain_text(value))
    return " ".join(text.split())[:200] or None
