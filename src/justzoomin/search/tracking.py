"""From the photos of a drive to a track: the posteriors of all photos, then the filter over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError, JustZoomInError, PhotoError
from justzoomin.geometry import LatLon, to_local
from justzoomin.posterior import (
    CREDIBLE_LEVELS,
    TEMPERING,
    Distance,
    HeadingPrior,
    Motion,
    PoseMotion,
    Posterior,
    Turn,
    decide,
    track,
)
from justzoomin.search.heading_wedge import wedge
from justzoomin.search.localizer import Localizer
from justzoomin.search.photo_loading import LoadedPhoto
from justzoomin.spelling import spelled

GPX = "http://www.topografix.com/GPX/1/1"
OWN = "urn:justzoomin:gpx:1"
_HALF, _MOST = 0.5, 0.9
MAX_BEARINGS = 1 << 27
"""Most probabilities of bearings (photos times cells times bearings) that are kept for a drive: 1 GiB in the filter."""
_LEAST = -60_000.0
"""Log-probabilities below this are not finite in half precision."""

MotionBetween = Callable[[int, int], Motion | PoseMotion]
"""The motion between two photos, given their numbers."""
TurnBetween = Callable[[int, int, int], Turn | None]
"""The turn between two photos, given their numbers and the number of bearings; None if it is unknown."""


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
        heading_deg: Which way it faces, in degrees clockwise from true north, within 40 m of the position; None if the model
            says nothing about headings.
        heading_sigma_deg: Circular spread of the heading in degrees.
        covariance_m2: Mean squares and product of the errors of the position: east, east times north, north, in square metres,
            with mass spread evenly within cells. None if unknown. It is not part of `to_dict`.
        regions: Cells of the smallest regions that hold 50, 90 and 95 %, by per cent, as in `CredibleRegion.runs`. None if
            unknown. They are not part of `to_dict`.
    """

    photo: str
    time: datetime
    position: LatLon
    radius_m: float
    radius_90_m: float
    on_map: bool | None
    heading_deg: float | None = None
    heading_sigma_deg: float | None = None
    covariance_m2: tuple[float, float, float] | None = None
    regions: dict[int, tuple[int, ...]] | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, lat before lon."""
        return {"photo": self.photo, "time": self.time.isoformat(), "lat": self.position.lat, "lon": self.position.lon,
                "radius_m": self.radius_m, "radius_90_m": self.radius_90_m, "on_map": self.on_map,
                "heading_deg": self.heading_deg, "heading_sigma_deg": self.heading_sigma_deg}


class Alone(NamedTuple):
    """What is believed about a photo by itself, calibrated and without a prior.

    Attributes:
        log_probs: Log-probabilities (N,) of the cells, float32.
        headings: Log-probabilities (N, K) of the bearings in each cell, float16; None if they are unknown or not kept.
        heading: What is known of the photo's heading otherwise, from the localizer's source.
    """

    log_probs: npt.NDArray[np.float32]
    headings: npt.NDArray[np.float16] | None = None
    heading: HeadingPrior | None = None


def photo_posteriors(localizer: Localizer, photos: Sequence[Path], batch_size: int = 16,
                     progress: Callable[[int, int], None] | None = None) -> list[Alone | JustZoomInError]:
    """Return what is believed about each photo alone, calibrated and without a prior, or the photo's error.

    Bearings are left out if those of all photos are more than `MAX_BEARINGS` numbers.

    Args:
        localizer: Model and map.
        photos: Paths.
        batch_size: Photos encoded at once.
        progress: Called with the number of photos done and of all photos.

    Raises:
        TileError: If the map cannot give a view.
    """
    found: list[Alone | JustZoomInError] = []
    for start in range(0, len(photos), batch_size):
        loaded = [localizer.load_photo(photo) for photo in photos[start:start + batch_size]]
        usable = [one for one in loaded if not isinstance(one, JustZoomInError)]
        rows = iter(loaded_posteriors(localizer, usable, len(photos)))
        found += [one if isinstance(one, JustZoomInError) else next(rows) for one in loaded]
        if progress:
            progress(len(found), len(photos))
    return found


def loaded_posteriors(localizer: Localizer, photos: Sequence[LoadedPhoto], total: int) -> list[Alone]:
    """Return what is believed about each loaded photo alone, as `photo_posteriors` does.

    Args:
        localizer: Model and map.
        photos: A batch, from `Localizer.load_photo`.
        total: Number of photos of the drive.

    Raises:
        TileError: If the map cannot give a view.
    """
    if not photos:
        return []
    believed, cells = localizer.beliefs(photos, prior=False), localizer.grid.actions**localizer.grid.depth
    kept = believed.headings is not None and total * cells * believed.headings.shape[2] <= MAX_BEARINGS
    return [Alone(p.log_probs.astype(np.float32), _half(p.headings) if kept else None, one.heading.prior)
            for p, one in zip(believed.posteriors(localizer.grid), photos, strict=True)]


def _half(headings: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float16] | None:
    return None if headings is None else np.maximum(headings, _LEAST).astype(np.float16)


def track_points(localizer: Localizer, times: Sequence[tuple[Path, datetime]], posteriors: Sequence[Alone | JustZoomInError],
                 motion: MotionBetween, *, smooth: bool = True, tempering: float = TEMPERING, turn: TurnBetween | None = None,
                 headings: Sequence[HeadingPrior | None] | None = None) -> list[TrackPoint]:
    """Return the track of a drive; photos without a posterior are skipped, and motions lead past them.

    Args:
        localizer: Model and map.
        times: Photos and their times, in order.
        posteriors: Their posteriors from `photo_posteriors`.
        motion: The motion between two of them, by their numbers.
        smooth: Whether later photos count too.
        tempering: Exponent of the likelihoods; see `track`.
        turn: The turn between two of them, by their numbers and the number of bearings; None if no turn is known.
        headings: What is known of each photo's heading; None for what the localizer's source says.

    Raises:
        PhotoError: If no photo can be used.
        ConfigError: If turns or headings are known but cannot be used: the model says nothing about headings, or the drive has
            too many photos for its bearings.
        GeometryError: If times and speed, or odometry, exclude every place.
    """
    usable = [(k, p) for k, p in enumerate(posteriors) if not isinstance(p, JustZoomInError)]
    if not usable:
        raise PhotoError("drive", "none of its photos can be used", "Give at least one photo that can be read.")
    alone = np.stack([p.log_probs for _, p in usable]).astype(np.float64)
    bearings = [p.headings for _, p in usable if p.headings is not None]
    known = [p.heading if headings is None else headings[k] for k, p in usable]
    pairs = [(a, b) for (a, _), (b, _) in pairwise(usable)]
    if not bearings and (turn is not None or any(known)):
        raise ConfigError("heading", "turns and headings need the bearings of every photo, which are missing: the model has no "
                          f"ray matcher, or photos times cells times bearings are more than {MAX_BEARINGS:,}",
                          "Leave turns and headings out, track fewer photos at a time, or use --forward.")
    count = bearings[0].shape[1] if bearings else 0
    on_map = localizer.posteriors.on_map(alone)
    places = track(localizer.grid, alone, [motion(a, b) for a, b in pairs], smooth=smooth, tempering=tempering,
                   headings=bearings or None, turns=[turn(a, b, count) for a, b in pairs] if turn else (),
                   heading_priors=known if any(known) else ())
    return [point_of(str(times[k][0]), times[k][1], place, here)
            for (k, _), place, here in zip(usable, places, on_map, strict=True)]


def point_of(photo: str, time: datetime, place: Posterior, on_map: bool | None) -> TrackPoint:
    """Return the point of a track for a photo's posterior.

    Args:
        photo: The photo's name.
        time: When it was taken.
        place: Its posterior, given other photos too.
        on_map: Whether the photo alone looks like a photo of the map.
    """
    lat, lon = (float(v[0]) for v in decide(place.grid, place.log_probs[None], Distance()))
    heading, moments = place.heading(Distance(), lat, lon), place.moments()
    off = moments.mean_m - np.stack(to_local(*place.grid.region.centre, lat, lon)).ravel()
    errors = moments.covariance_m2 + np.outer(off, off)
    facing, spread = (None, None) if heading is None else heading[:2]
    return TrackPoint(photo, time, LatLon(lat, lon), place.radius_about(lat, lon, _HALF), place.radius_about(lat, lon, _MOST),
                      on_map, facing, spread, (float(errors[0, 0]), float(errors[0, 1]), float(errors[1, 1])),
                      {round(100 * level): region.runs()
                       for level, region in zip(CREDIBLE_LEVELS, place.regions(CREDIBLE_LEVELS), strict=True)})


def gpx(points: Sequence[TrackPoint], *, with_time: bool = True, name: str = "justzoomin", waypoints: bool = False,
        attribution: str | None = None) -> bytes:
    """Return a GPX 1.1 file: position, time and name of each photo, with radii and heading as extensions.

    Args:
        points: The photos.
        with_time: Whether to write their times.
        name: Name of the track.
        waypoints: Whether to write photos that do not belong together, instead of one track.
        attribution: Whom to credit for the map.

    Source: https://www.topografix.com/GPX/1/1/, order of elements in wptType; copyrightType.
    """
    ElementTree.register_namespace("", GPX)
    ElementTree.register_namespace("jzi", OWN)
    root = ElementTree.Element(f"{{{GPX}}}gpx", {"version": "1.1", "creator": "justzoomin"})
    if attribution is not None:
        facts = ElementTree.SubElement(root, f"{{{GPX}}}metadata")
        ElementTree.SubElement(facts, f"{{{GPX}}}copyright", {"author": _text(attribution)})
    within = root
    if not waypoints:
        whole = ElementTree.SubElement(root, f"{{{GPX}}}trk")
        ElementTree.SubElement(whole, f"{{{GPX}}}name").text = _text(name)
        within = ElementTree.SubElement(whole, f"{{{GPX}}}trkseg")
    for p in points:
        _add_point(within, "wpt" if waypoints else "trkpt", p, with_time=with_time)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return text + b"\n"


def _add_point(within: ElementTree.Element, tag: str, p: TrackPoint, *, with_time: bool) -> None:
    at = {"lat": f"{p.position.lat:.7f}", "lon": f"{p.position.lon:.7f}"}
    place = ElementTree.SubElement(within, f"{{{GPX}}}{tag}", at)
    if with_time:
        ElementTree.SubElement(place, f"{{{GPX}}}time").text = p.time.isoformat().replace("+00:00", "Z")
    ElementTree.SubElement(place, f"{{{GPX}}}name").text = _text(Path(p.photo).name)
    more = ElementTree.SubElement(place, f"{{{GPX}}}extensions")
    ElementTree.SubElement(more, f"{{{OWN}}}radius_m").text = f"{p.radius_m:.1f}"
    ElementTree.SubElement(more, f"{{{OWN}}}radius_90_m").text = f"{p.radius_90_m:.1f}"
    for key, degrees in (("heading_deg", p.heading_deg), ("heading_sigma_deg", p.heading_sigma_deg)):
        if degrees is not None:
            ElementTree.SubElement(more, f"{{{OWN}}}{key}").text = f"{degrees:.1f}"
    if p.on_map is not None:
        ElementTree.SubElement(more, f"{{{OWN}}}on_map").text = "true" if p.on_map else "false"


def _text(words: str) -> str:
    """Return a text with the characters replaced that XML does not allow."""
    return "".join(c if c.isprintable() or c in "\t\n" else "\ufffd" for c in spelled(words))


def geojson(points: Sequence[TrackPoint], attribution: str | None = None) -> dict[str, Any]:
    """Return a GeoJSON FeatureCollection (lon, lat): the line, a point for each photo, and a wedge for each known heading.

    Args:
        points: The photos.
        attribution: Whom to credit for the map, for the member `attribution`.
    """
    line = [[p.position.lon, p.position.lat] for p in points]
    features = [{"type": "Feature", "properties": {"kind": "track"}, "geometry": {"type": "LineString", "coordinates": line}}
                ] if len(points) > 1 else []
    features += [{"type": "Feature", "properties": {**p.to_dict(), "kind": "photo"},
                  "geometry": {"type": "Point", "coordinates": at}} for p, at in zip(points, line, strict=True)]
    features += [{"type": "Feature", "properties": {"photo": p.photo, "kind": "heading"},
                  "geometry": wedge(*p.position, p.heading_deg, p.heading_sigma_deg)}
                 for p in points if p.heading_deg is not None and p.heading_sigma_deg is not None]
    return {"type": "FeatureCollection", "features": features, **({} if attribution is None else {"attribution": attribution})}
