"""Locate photos of a walk or drive on the track of a GPS logger, by the cameras' times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from justzoomin.data import walk
from justzoomin.errors import ConfigError, DataError, PhotoError
from justzoomin.geometry import haversine_m, move
from justzoomin.photos.readers.exif import ExifFacts
from justzoomin.photos.readers.gpx_file import AGREE_M, Segment, read_gpx
from justzoomin.photos.readers.image_files import image_files
from justzoomin.photos.readers.options import Progress, SourceOptions
from justzoomin.photos.readers.photo_folder import ids_of_files, read_facts
from justzoomin.photos.readers.records import PhotoRecord, Scalar, Skipped

_MOVING_M = 0.5
_MAX_SPEED, _MAX_ACCELERATION, _ERROR_M = 70.0, 4.0, 20.0
"""Limits that no camera on a street exceeds, in m/s and m/s^2, and the error of good positions in metres."""
_OF_RECEIVER = frozenset({"altitude_m", "gps_dop", "gps_error_m", "gps_mode", "gps_status", "gps_datum"})
"""Facts about the photo's own receiver, which do not apply to the track."""


@dataclass(frozen=True)
class TrackPosition:
    """A position between two track points.

    Attributes:
        lat: Latitude in degrees.
        lon: Longitude in degrees.
        altitude_m: Height; None if the track has none.
        course_deg: Direction of travel; None when not moving. The camera may look elsewhere.
        gap_s: Seconds between the two points; 0 on a point.
        segment: Name of the segment.
    """

    lat: float
    lon: float
    altitude_m: float | None
    course_deg: float | None
    gap_s: float
    segment: str


def read_gpx_folder(source: Path, options: SourceOptions, progress: Progress | None = None
                    ) -> tuple[list[PhotoRecord], list[Skipped]]:
    """Read a GPX file, or a folder with some, and the photos beside or in `options.images`.

    Raises:
        ConfigError: If the time zone or the longest gap is wrong.
        DataError: If a track cannot be read or has no times, or a folder is missing.
        MissingExtraError: If there are HEIC files and pillow_heif is missing.
    """
    if not options.max_gap_s > 0:
        raise ConfigError("--max-gap-s", f"{options.max_gap_s:g} is not positive", "Give a number of seconds above 0.")
    home = source if source.is_dir() else source.parent
    tracks = [p for p in walk(source) if p.suffix.lower() == ".gpx"] if source.is_dir() else [source]
    if not tracks:
        raise DataError(source, "the folder has no .gpx file", "Put the track there, or give its path and --images FOLDER.")
    segments = [s for path in tracks for s in read_gpx(path, path.relative_to(home).with_suffix("").as_posix())]
    folder = options.images if options.images is not None else home
    if not folder.is_dir():
        raise DataError(folder, "the folder does not exist", "Give the folder of the photos with --images.")
    paths, skipped = image_files(folder, frozenset({".gpx"}))
    located: list[tuple[Path, ExifFacts, TrackPosition]] = []
    for path, facts in zip(paths, read_facts(paths, options, progress), strict=True):
        item = path.relative_to(folder).as_posix()
        if isinstance(facts, PhotoError):
            skipped.append(Skipped(item, "broken", facts.what))
        elif facts.no_camera:
            skipped.append(Skipped(item, "camera", facts.no_camera))
        elif facts.captured_at is None:
            remedy = "" if facts.taken.clock is None else "; give --time-zone, or --time-offset-s from its clock to UTC"
            skipped.append(Skipped(item, "no_time", facts.taken.problem + remedy))
        else:
            found = track_position(segments, facts.captured_at, options.max_gap_s)
            if isinstance(found, str):
                skipped.append(Skipped(item, "no_position", found))
            else:
                located.append((path, facts, found))
    ids = ids_of_files([p for p, _, _ in located], folder)
    return [_record(image_id, path, folder, facts, found)
            for image_id, (path, facts, found) in zip(ids, located, strict=True)], skipped


def _record(image_id: str, path: Path, folder: Path, facts: ExifFacts, found: TrackPosition) -> PhotoRecord:
    extra: dict[str, Scalar] = {k: v for k, v in facts.extra.items() if k not in _OF_RECEIVER}
    extra.update(position_from=f"GPX {found.segment}", track_gap_s=round(found.gap_s, 3))
    if found.course_deg is not None:
        extra["course_deg"] = round(found.course_deg, 2)
    if found.altitude_m is not None:
        extra["altitude_m"] = round(found.altitude_m, 2)
    if facts.position is not None:
        extra["exif_lat"], extra["exif_lon"] = facts.position
        extra["exif_distance_m"] = round(float(haversine_m(found.lat, found.lon, *facts.position)), 2)
    return PhotoRecord(image_id, path, found.lat, found.lon, f"{path.relative_to(folder).as_posix()}, GPX {found.segment}",
                       facts.captured_at, facts.bearing_deg, facts.camera, found.segment, facts.attribution, None, extra)


def track_position(segments: Sequence[Segment], time: datetime, max_gap_s: float) -> TrackPosition | str:
    """Return the track's position at a time, or why it is unknown.

    Between two points it follows the great circle at constant speed, but never beyond the ends of a segment, between two
    segments, across more than `max_gap_s`, or where the track is faster than anything on a street.
    """
    at = time.timestamp()
    found: list[TrackPosition] = []
    gaps: list[float] = []
    jumps: list[str] = []
    for segment in segments:
        after = int(np.searchsorted(segment.seconds, at))
        on_point = after < len(segment.seconds) and segment.seconds[after] == at
        if not on_point and not 0 < after < len(segment.seconds):
            continue
        steps = [k for k in (after - 1, after) if 0 <= k < len(segment.seconds) - 1] if on_point else [after - 1]
        jumped = [_jump(segment, k) for k in steps]
        gap = float(segment.seconds[after] - segment.seconds[after - 1])
        if jumped and all(jumped):  # the point before a jump agrees with its other neighbour
            jumps.append(jumped[0])
        elif on_point:
            found.append(_between(segment, after, after, 0.0))
        elif gap <= max_gap_s:
            found.append(_between(segment, after - 1, after, float(at - segment.seconds[after - 1]) / gap))
        else:
            gaps.append(gap)
    when = f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if found:
        best = min(found, key=lambda p: p.gap_s)
        apart = max(float(haversine_m(best.lat, best.lon, p.lat, p.lon)) for p in found)
        return best if apart <= AGREE_M else f"at {when} two tracks are {apart:.0f} m apart"
    if jumps:
        return f"at {when} the track jumps {jumps[0]}: its receiver was wrong, or tracks of several people were merged"
    if gaps:
        return f"at {when} the track has a gap of {min(gaps):.0f} s (--max-gap-s is {max_gap_s:g})"
    start, end = min(s.seconds[0] for s in segments), max(s.seconds[-1] for s in segments)
    span = " to ".join(f"{datetime.fromtimestamp(float(t), UTC):%Y-%m-%d %H:%M:%S}" for t in (start, end))
    return f"at {when} " + ("the track has a break" if start <= at <= end else f"there is no track ({span} UTC)")


def _jump(segment: Segment, before: int) -> str:
    """Describe how far the track jumps from a point to the next; empty unless it exceeds anything on a street."""
    away = float(haversine_m(*_ends(segment, before, before + 1)))
    seconds = float(segment.seconds[before + 1] - segment.seconds[before])
    inner = [k for k in (before, before + 1) if 0 < k < len(segment.seconds) - 1]
    to_and_fro = away > AGREE_M and bool(inner) and all(_is_outlier(segment, k) for k in inner)
    return f"{away:.0f} m in {seconds:g} s" if to_and_fro or away > _ERROR_M + _MAX_SPEED * seconds else ""


def _is_outlier(segment: Segment, k: int) -> bool:
    """Return whether a point is farther from the line between its neighbours than turning and braking explain."""
    start, at, end = segment.seconds[k - 1:k + 2]
    way = _between(segment, k - 1, k + 1, float((at - start) / (end - start)))
    away = float(haversine_m(way.lat, way.lon, segment.lat[k], segment.lon[k]))
    return away > AGREE_M + 0.5 * _MAX_ACCELERATION * float((at - start) * (end - at))


def _between(segment: Segment, before: int, after: int, share: float) -> TrackPosition:
    lat0, lon0, lat1, lon1 = _ends(segment, before, after)
    away = float(haversine_m(lat0, lon0, lat1, lon1))
    height = float(segment.altitude_m[before] + share * (segment.altitude_m[after] - segment.altitude_m[before]))
    lat, lon = move(lat0, lon0, _bearing(lat0, lon0, lat1, lon1), share * away) if share else (lat0, lon0)
    if before == after:  # on a point: the direction is from the point before to the point after
        before, after = max(0, before - 1), min(len(segment.seconds) - 1, after + 1)
        lat0, lon0, lat1, lon1 = _ends(segment, before, after)
        away, gap = float(haversine_m(lat0, lon0, lat1, lon1)), 0.0
    else:
        gap = float(segment.seconds[after] - segment.seconds[before])
    course = _bearing(lat0, lon0, lat1, lon1) if away >= _MOVING_M else None
    return TrackPosition(float(lat), float(lon), height if np.isfinite(height) else None, course, gap, segment.name)


def _ends(segment: Segment, before: int, after: int) -> tuple[float, float, float, float]:
    return float(segment.lat[before]), float(segment.lon[before]), float(segment.lat[after]), float(segment.lon[after])


def _bearing(lat0: float, lon0: float, lat1: float, lon1: float) -> float:
    """Return the bearing of the great circle at its start. Source: spherical sine and cosine rules."""
    phi0, phi1, turn = np.radians([lat0, lat1, lon1 - lon0])
    east = np.sin(turn) * np.cos(phi1)
    north = np.cos(phi0) * np.sin(phi1) - np.sin(phi0) * np.cos(phi1) * np.cos(turn)
    return float(np.degrees(np.arctan2(east, north)) % 360.0)
