"""Read GPX files: the recorded tracks as segments, each from a single receiver."""

from __future__ import annotations

import heapq
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.geometry import haversine_m
from justzoomin.photos.readers.camera_times import in_zone, parse_clock
from justzoomin.photos.readers.json_input import decoded, position_problem, read_bytes
from justzoomin.photos.readers.table_files import number
from justzoomin.untrusted import printable

MAX_BYTES = 200 << 20
AGREE_M = 50.0
"""Tracks farther apart than this at one time belong to different people, or one is wrong."""
_MAX_NAMESPACES = 64
_MAX_PIECES = 64
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Segment:
    """A piece of a track that was recorded without a break.

    Attributes:
        name: File, and numbers of track and segment if there are several.
        seconds: Times of its points since 1970, UTC, increasing.
        lat: Latitudes in degrees.
        lon: Longitudes in degrees.
        altitude_m: Heights; NaN if missing.
    """

    name: str
    seconds: Floats
    lat: Floats
    lon: Floats
    altitude_m: Floats


def read_gpx(path: Path, name: str) -> list[Segment]:
    """Return a GPX file's segments with at least one timed point; times without a zone are UTC, as GPX requires.

    A segment in which time goes back, or which has two places at one time, contains several merged tracks: it is divided into
    several segments.

    Raises:
        DataError: If it is not readable as GPX, has a document type or entities, or has no track points with times.
    """
    text = _xml_text(path)
    try:
        tracks = _points(text)
    except (ElementTree.ParseError, RecursionError, ValueError, IndexError) as error:
        raise DataError(path, f"the file cannot be read as GPX ({printable(error, 200)})",
                        "Export the track again as GPX.") from error
    several = sum(len(t) for t in tracks) > 1
    segments = []
    for k, track in enumerate(tracks, 1):
        for j, points in enumerate(track, 1):
            pieces = _pieces(points, path)
            whole = f"{name}-{k}-{j}" if several else name
            segments += [Segment(whole if len(pieces) == 1 else f"{whole}-part{n}", *map(np.ascontiguousarray, piece.T))
                         for n, piece in enumerate(pieces, 1)]
    if not segments:
        raise DataError(path, "the file has no track points with times and positions",
                        "Export the recorded track, not a route or waypoints.")
    return segments


def _points(text: str) -> list[list[Floats]]:
    """Return points (N, 4) of each segment of each track, in the file's order: seconds, latitude, longitude, height.

    Names of elements are compared without their namespaces, whose prefixes a file may choose.

    Raises:
        xml.etree.ElementTree.ParseError: If it is not XML.
        ValueError: If it is not GPX, or if only some times state their zone.
        IndexError: If a point is outside of a segment.
    """
    tracks: list[list[list[tuple[float, ...]]]] = []
    zones: set[tzinfo | None] = set()
    root = None
    for event, element in ElementTree.iterparse(io.StringIO(text.lstrip()), ("start", "end")):
        kind = element.tag.rpartition("}")[2]
        root = root or kind
        if event == "start" and kind == "trk":
            tracks.append([])
        elif event == "start" and kind == "trkseg":
            tracks[-1].append([])
        elif event == "end" and kind == "trkpt":
            tracks[-1][-1] += _point(element, zones)
            element.clear()
    if root != "gpx":
        raise ValueError(f"its root element is {root!r}")
    if None in zones and zones - {None, UTC}:
        raise ValueError("only some of its times state a zone")
    return [[np.array(points, np.float64).reshape(-1, 4) for points in track] for track in tracks]


def _point(element: ElementTree.Element, zones: set[tzinfo | None]) -> list[tuple[float, ...]]:
    """Return a track point, empty without a time or a position; the zone of its time is added to `zones`."""
    fields = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in element}
    lat, lon = float(element.get("lat", "")), float(element.get("lon", ""))
    clock = parse_clock(fields.get("time"))
    time = in_zone(clock.time, clock.zone or UTC) if clock is not None else None
    if clock is None or time is None or not math.isfinite(lat + lon) or position_problem(lat, lon):
        return []
    zones.add(clock.zone)
    height = number(fields.get("ele"))
    return [(time.timestamp(), lat, lon, math.nan if height is None else height)]


def _xml_text(path: Path) -> str:
    """Return the file's text, after refusing everything that makes XML dangerous."""
    data = read_bytes(path, MAX_BYTES)
    declared = re.match(rb"\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9_.-]{1,40})", data[:400])
    latin = declared is not None and declared[1].lower() in {b"iso-8859-1", b"windows-1252", b"latin1", b"us-ascii"}
    text = decoded(data, path, "Export the track again as GPX.", "cp1252" if latin else "utf-8")
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise DataError(path, "the file contains a document type or entities, which GPX does not allow",
                        "Export the track again as GPX.")
    if text.count("xmlns") > _MAX_NAMESPACES:
        raise DataError(path, "the file declares hundreds of namespaces", "Export the track again as GPX.")
    return text


def _pieces(points: Floats, path: Path) -> list[Floats]:
    """Divide a segment's points into tracks (N, 4): in each, time increases, with one point per time.

    Raises:
        DataError: If time goes back too often to tell which points follow each other.
    """
    if 2 * np.count_nonzero(np.diff(points[:, 0]) < 0) > len(points):  # the newest point is first
        points = points[::-1]
    pieces: list[list[Floats]] = []
    free: list[tuple[float, int]] = []  # end and number of each piece, earliest end first
    for run in sorted(_runs(points), key=lambda run: (run[0, 0], run[-1, 0])):
        if free and free[0][0] < run[0, 0]:
            _, home = heapq.heappop(free)
            pieces[home].append(run)
        else:
            home = len(pieces)
            pieces.append([run])
        heapq.heappush(free, (run[-1, 0], home))
    if len(pieces) > _MAX_PIECES:
        raise DataError(path, f"time goes back so often in a segment that it could contain {len(pieces)} tracks",
                        "Sort the points by time, and put each track into its own segment.")
    whole = (np.concatenate(piece) for piece in pieces)
    return [piece[np.unique(piece[:, 0], return_index=True)[1]] for piece in whole]


def _runs(points: Floats) -> Iterator[Floats]:
    """Yield runs of points along which time does not go back; points far apart at one time go to different runs."""
    for run in np.split(points, np.flatnonzero(np.diff(points[:, 0]) < 0) + 1):
        away = haversine_m(run[:-1, 1], run[:-1, 2], run[1:, 1], run[1:, 2])
        if np.any((np.diff(run[:, 0]) == 0) & (away > AGREE_M)):
            turn = np.arange(len(run)) - np.searchsorted(run[:, 0], run[:, 0])
            yield from (run[turn == k] for k in range(min(int(turn.max()), _MAX_PIECES) + 1))
        elif len(run):
            yield run
