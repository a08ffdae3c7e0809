"""Photos of a walk or drive whose track a GPS logger wrote: positions from the track, by the cameras' times."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.data import walk
from justzoomin.errors import ConfigError, DataError, MissingExtraError, PhotoError
from justzoomin.geometry import haversine_m, move
from justzoomin.sources.exif import ExifFacts
from justzoomin.sources.image_files import image_files
from justzoomin.sources.json_input import position_problem, read_bytes
from justzoomin.sources.options import Progress, SourceOptions
from justzoomin.sources.photo_folder import ids_of_files, read_facts
from justzoomin.sources.records import PhotoRecord, Scalar, Skipped
from justzoomin.untrusted import printable

MAX_BYTES = 200 << 20
_MAX_NAMESPACES = 64
_AGREE_M = 50.0
"""Tracks that lie farther apart at a photo's time than this belong to different people, or one is wrong."""
_MOVING_M = 0.5
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Segment:
    """A piece of a track that was recorded without a break.

    Attributes:
        name: File, and numbers of track and segment where there are several.
        seconds: Times of its points since 1970, UTC, rising.
        lat: Latitudes in degrees.
        lon: Longitudes in degrees.
        altitude_m: Heights; NaN where there is none.
    """

    name: str
    seconds: Floats
    lat: Floats
    lon: Floats
    altitude_m: Floats


@dataclass(frozen=True)
class TrackPosition:
    """A position between two track points.

    Attributes:
        lat: Latitude in degrees.
        lon: Longitude in degrees.
        altitude_m: Height; None where the track has none.
        course_deg: Direction of travel; None while standing. A camera need not look there.
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
        MissingExtraError: If gpxpy is missing.
    """
    if not options.max_gap_s > 0:
        raise ConfigError("--max-gap-s", f"it is {options.max_gap_s:g}", "Give a number of seconds above 0.")
    home = source if source.is_dir() else source.parent
    tracks = [p for p in walk(source) if p.suffix.lower() == ".gpx"] if source.is_dir() else [source]
    if not tracks:
        raise DataError(source, "no .gpx file is in it", "Put the track there, or give its file and --images FOLDER.")
    segments = [s for path in tracks for s in read_gpx(path, path.relative_to(home).with_suffix("").as_posix())]
    folder = options.images if options.images is not None else home
    if not folder.is_dir():
        raise DataError(folder, "no such folder", "Give the folder of the photos with --images.")
    paths, skipped = image_files(folder, frozenset({".gpx"}))
    located: list[tuple[Path, ExifFacts, TrackPosition]] = []
    for path, facts in zip(paths, read_facts(paths, options, progress), strict=True):
        item = path.relative_to(folder).as_posix()
        if isinstance(facts, PhotoError):
            skipped.append(Skipped(item, "broken", facts.what))
        elif facts.no_camera:
            skipped.append(Skipped(item, "camera", facts.no_camera))
        elif facts.captured_at is None:
            skipped.append(Skipped(item, "no_time", _no_time(facts)))
        else:
            found = track_position(segments, facts.captured_at, options.max_gap_s)
            if isinstance(found, str):
                skipped.append(Skipped(item, "no_position", found))
            else:
                located.append((path, facts, found))
    ids = ids_of_files([p for p, _, _ in located], folder)
    return [_record(image_id, path, folder, facts, found)
            for image_id, (path, facts, found) in zip(ids, located, strict=True)], skipped


def _no_time(facts: ExifFacts) -> str:
    if facts.clock is None:
        return "it does not say when it was taken"
    return (f"its clock reads {facts.clock.isoformat(' ')} and the zone is not known, or the hour came twice that day; give "
            "--time-zone, or --time-offset-s from its clock to UTC")


def _record(image_id: str, path: Path, folder: Path, facts: ExifFacts, found: TrackPosition) -> PhotoRecord:
    extra: dict[str, Scalar] = {k: v for k, v in facts.extra.items() if k not in {"altitude_m"} and not k.startswith("gps_")}
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


def read_gpx(path: Path, name: str) -> list[Segment]:
    """The segments of a GPX file that have at least one point with a time. Times without a zone are UTC, as GPX has it.

    Raises:
        DataError: If it is no GPX, holds a document type or entities, or has no track points with times.
        MissingExtraError: If gpxpy is missing.
    """
    try:
        gpxpy = importlib.import_module("gpxpy")
    except ImportError as error:
        raise MissingExtraError("gpxpy", "own") from error
    text = _xml_text(path)
    try:
        tracks: list[list[Any]] = [[s.points for s in t.segments] for t in gpxpy.parse(text).tracks]
    except RecursionError as error:
        raise DataError(path, "it is nested too deeply", "Export the track again as GPX.") from error
    except (gpxpy.gpx.GPXException, ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise DataError(path, f"it cannot be read as GPX ({printable(error, 200)})",
                        "Export the track again as GPX.") from error
    several = sum(len(t) for t in tracks) > 1
    segments = [_segment(f"{name}-{k}-{j}" if several else name, points)
                for k, track in enumerate(tracks, 1) for j, points in enumerate(track, 1)]
    segments = [s for s in segments if len(s.seconds)]
    if not segments:
        raise DataError(path, "it has no track points with times and positions",
                        "Export the recorded track, not a route or waypoints.")
    return segments


def _xml_text(path: Path) -> str:
    """The file's text, without anything that makes XML dangerous."""
    data = read_bytes(path, MAX_BYTES)
    said = re.match(rb"\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9_.-]{1,40})", data[:400])
    latin = said is not None and said[1].lower() in {b"iso-8859-1", b"windows-1252", b"latin1", b"us-ascii"}
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "cp1252" if latin else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(path, f"byte {error.start} is no {encoding[:6].upper()}", "Export the track again as GPX.") from error
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise DataError(path, "it holds a document type or entities, which no GPX has", "Export the track again as GPX.")
    if text.count("xmlns") > _MAX_NAMESPACES:
        raise DataError(path, "it declares hundreds of namespaces", "Export the track again as GPX.")
    return text


def _segment(name: str, points: Sequence[Any]) -> Segment:
    rows = []
    for p in points:
        if p.time is None or not isinstance(p.latitude, float) or not isinstance(p.longitude, float):
            continue
        finite = bool(np.isfinite([p.latitude, p.longitude]).all())
        if finite and not position_problem(p.latitude, p.longitude):
            height = p.elevation if isinstance(p.elevation, float) and np.isfinite(p.elevation) else np.nan
            rows.append((_seconds(p.time), p.latitude, p.longitude, height))
    table = np.array(rows, np.float64).reshape(-1, 4)
    _, first = np.unique(table[:, 0], return_index=True)  # rising, one point per time
    return Segment(name, *(np.ascontiguousarray(table[first, k]) for k in range(4)))


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def track_position(segments: Sequence[Segment], time: datetime, max_gap_s: float) -> TrackPosition | str:
    """Where the track was at a time, or why that is not known.

    Between two points the great circle is followed at even speed: never beyond the ends of a segment, from one segment
    to the next, or across more than `max_gap_s`.
    """
    at = _seconds(time)
    found: list[TrackPosition] = []
    gaps: list[float] = []
    for segment in segments:
        after = int(np.searchsorted(segment.seconds, at))
        if after < len(segment.seconds) and segment.seconds[after] == at:
            found.append(_between(segment, after, after, 0.0))
        elif 0 < after < len(segment.seconds):
            gap = float(segment.seconds[after] - segment.seconds[after - 1])
            if gap <= max_gap_s:
                found.append(_between(segment, after - 1, after, float(at - segment.seconds[after - 1]) / gap))
            else:
                gaps.append(gap)
    when = f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if found:
        best = min(found, key=lambda p: p.gap_s)
        apart = max(float(haversine_m(best.lat, best.lon, p.lat, p.lon)) for p in found)
        return best if apart <= _AGREE_M else f"at {when} two tracks lie {apart:.0f} m apart"
    if gaps:
        return f"at {when} the track has a gap of {min(gaps):.0f} s (--max-gap-s is {max_gap_s:g})"
    start, end = min(s.seconds[0] for s in segments), max(s.seconds[-1] for s in segments)
    span = " to ".join(f"{datetime.fromtimestamp(float(t), UTC):%Y-%m-%d %H:%M:%S}" for t in (start, end))
    return f"at {when} " + ("the track has a break" if start <= at <= end else f"there is no track ({span} UTC)")


def _between(segment: Segment, before: int, after: int, share: float) -> TrackPosition:
    lat0, lon0, lat1, lon1 = _ends(segment, before, after)
    away = float(haversine_m(lat0, lon0, lat1, lon1))
    height = float(segment.altitude_m[before] + share * (segment.altitude_m[after] - segment.altitude_m[before]))
    lat, lon = move(lat0, lon0, _bearing(lat0, lon0, lat1, lon1), share * away) if share else (lat0, lon0)
    if before == after:  # on a point: travel is from the one before to the one behind
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
    """Bearing of the great circle at its start. Source: spherical sine and cosine rules."""
    phi0, phi1, turn = np.radians([lat0, lat1, lon1 - lon0])
    east = np.sin(turn) * np.cos(phi1)
    north = np.cos(phi0) * np.sin(phi1) - np.sin(phi0) * np.cos(phi1) * np.cos(turn)
    return float(np.degrees(np.arctan2(east, north)) % 360.0)
