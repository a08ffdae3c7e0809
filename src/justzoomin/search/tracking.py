"""From the photos of a drive to a track: the posteriors of all photos, then the filter over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from justzoomin.errors import JustZoomInError, PhotoError
from justzoomin.geometry import LatLon
from justzoomin.posterior import TEMPERING, Distance, Motion, Posterior, decide, track
from justzoomin.search.localizer import Localizer
from justzoomin.spelling import spelled

GPX = "http://www.topografix.com/GPX/1/1"
OWN = "urn:justzoomin:gpx:1"
_HALF, _MOST = 0.5, 0.9

MotionBetween = Callable[[int, int], Motion]
"""The motion between two photos, given their numbers."""


@dataclass(frozen=True)
class TrackPoint:
    """A photo of a drive with its place.

    Attributes:
        photo: The photo.
        time: When it was taken.
        position: The point with the least expected distance.
        radius_m: Radius around it that holds half of the posterior.
        radius_90_m: Radius around it that holds nine tenths of the posterior.
        on_map: Whether the photo alone looks like a photo of the map; None without a calibration for this map.
    """

    photo: str
    time: datetime
    position: LatLon
    radius_m: float
    radius_90_m: float
    on_map: bool | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, lat before lon."""
        return {"photo": self.photo, "time": self.time.isoformat(), "lat": self.position.lat, "lon": self.position.lon,
                "radius_m": self.radius_m, "radius_90_m": self.radius_90_m, "on_map": self.on_map}


def photo_posteriors(localizer: Localizer, photos: Sequence[Path], batch_size: int = 16,
                     progress: Callable[[int, int], None] | None = None,
                     ) -> list[np.ndarray[tuple[int], np.dtype[np.float32]] | JustZoomInError]:
    """Return log-probabilities (N,) of each photo alone, calibrated and without a prior, or the photo's error.

    Args:
        localizer: Model and map.
        photos: Paths.
        batch_size: Photos encoded at once.
        progress: Called with the number of photos done and of all photos.

    Raises:
        TileError: If the map cannot give a view.
    """
    import torch

    found: list[np.ndarray[tuple[int], np.dtype[np.float32]] | JustZoomInError] = []
    for start in range(0, len(photos), batch_size):
        loaded = [localizer.load_photo(photo) for photo in photos[start:start + batch_size]]
        usable = [one.pair for one in loaded if not isinstance(one, JustZoomInError)]
        alike = len({pair.shape for pair in usable}) == 1  # a panorama has several views
        stacks = [torch.stack(usable)] if alike else [pair[None] for pair in usable]
        rows = (row for stack in stacks for row in localizer.log_probs(stack, prior=False).astype(np.float32))
        found += [pair if isinstance(pair, JustZoomInError) else next(rows) for pair in loaded]
        if progress:
            progress(len(found), len(photos))
    return found


def track_points(localizer: Localizer, times: Sequence[tuple[Path, datetime]],
                 posteriors: Sequence[np.ndarray[tuple[int], np.dtype[np.float32]] | JustZoomInError], motion: MotionBetween, *,
                 smooth: bool = True, tempering: float = TEMPERING) -> list[TrackPoint]:
    """Return the track of a drive; photos without a posterior are skipped, and motions lead past them.

    Args:
        localizer: Model and map.
        times: Photos and their times, in order.
        posteriors: Their posteriors from `photo_posteriors`.
        motion: The motion between two of them, by their numbers.
        smooth: Whether later photos count too.
        tempering: Exponent of the likelihoods; see `track`.

    Raises:
        PhotoError: If no photo can be used.
        GeometryError: If times and speed, or odometry, exclude every place.
    """
    usable = [(k, p) for k, p in enumerate(posteriors) if not isinstance(p, JustZoomInError)]
    if not usable:
        raise PhotoError("drive", "none of its photos can be used", "Give at least one photo that can be read.")
    motions = [motion(a, b) for (a, _), (b, _) in pairwise(usable)]
    alone = np.stack([p for _, p in usable]).astype(np.float64)
    on_map = localizer.posteriors.on_map(alone)
    places = track(localizer.grid, alone, motions, smooth=smooth, tempering=tempering)
    return [_point(*times[k], place, here) for (k, _), place, here in zip(usable, places, on_map, strict=True)]


def _point(photo: Path, time: datetime, place: Posterior, on_map: bool | None) -> TrackPoint:
    lat, lon = (float(v[0]) for v in decide(place.grid, place.log_probs[None], Distance()))
    return TrackPoint(str(photo), time, LatLon(lat, lon), place.radius_about(lat, lon, _HALF),
                      place.radius_about(lat, lon, _MOST), on_map)


def gpx(points: Sequence[TrackPoint], *, with_time: bool = True, name: str = "justzoomin") -> bytes:
    """Return a GPX 1.1 file of one track: position, time and name of each photo, with the radii as extensions.

    Source: https://www.topografix.com/GPX/1/1/, order of elements in wptType.
    """
    ElementTree.register_namespace("", GPX)
    ElementTree.register_namespace("jzi", OWN)
    root = ElementTree.Element(f"{{{GPX}}}gpx", {"version": "1.1", "creator": "justzoomin"})
    whole = ElementTree.SubElement(root, f"{{{GPX}}}trk")
    ElementTree.SubElement(whole, f"{{{GPX}}}name").text = _text(name)
    segment = ElementTree.SubElement(whole, f"{{{GPX}}}trkseg")
    for p in points:
        at = {"lat": f"{p.position.lat:.7f}", "lon": f"{p.position.lon:.7f}"}
        place = ElementTree.SubElement(segment, f"{{{GPX}}}trkpt", at)
        if with_time:
            ElementTree.SubElement(place, f"{{{GPX}}}time").text = p.time.isoformat().replace("+00:00", "Z")
        ElementTree.SubElement(place, f"{{{GPX}}}name").text = _text(Path(p.photo).name)
        more = ElementTree.SubElement(place, f"{{{GPX}}}extensions")
        ElementTree.SubElement(more, f"{{{OWN}}}radius_m").text = f"{p.radius_m:.1f}"
        ElementTree.SubElement(more, f"{{{OWN}}}radius_90_m").text = f"{p.radius_90_m:.1f}"
        if p.on_map is not None:
            ElementTree.SubElement(more, f"{{{OWN}}}on_map").text = "true" if p.on_map else "false"
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return text + b"\n"


def _text(words: str) -> str:
    """Return a text with the characters replaced that XML does not allow."""
    return "".join(c if c.isprintable() or c in "\t\n" else "\ufffd" for c in spelled(words))


def geojson(points: Sequence[TrackPoint]) -> dict[str, Any]:
    """Return a GeoJSON FeatureCollection (lon, lat): the line, then a point for each photo."""
    line = [[p.position.lon, p.position.lat] for p in points]
    features = [{"type": "Feature", "properties": {"kind": "track"}, "geometry": {"type": "LineString", "coordinates": line}}
                ] if len(points) > 1 else []
    features += [{"type": "Feature", "properties": {**p.to_dict(), "kind": "photo"},
                  "geometry": {"type": "Point", "coordinates": at}} for p, at in zip(points, line, strict=True)]
    return {"type": "FeatureCollection", "features": features}
