"""Photos from Mapillary: the answers of its API v4, joined with the images on disk. Nothing is fetched."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from justzoomin.data import walk
from justzoomin.errors import DataError
from justzoomin.geometry import haversine_m
from justzoomin.photos.readers.camera_times import parse_time
from justzoomin.photos.readers.ids import id_text
from justzoomin.photos.readers.image_files import ImagesById, StatedImages
from justzoomin.photos.readers.json_input import (
    LINE_ENDINGS,
    finite,
    json_values,
    point,
    position_problem,
    scalar,
    true_bearing,
)
from justzoomin.photos.readers.options import Progress, SourceOptions
from justzoomin.photos.readers.records import Camera, PhotoRecord, Scalar, Skipped
from justzoomin.untrusted import printable

LICENSE = "CC-BY-SA-4.0"
ATTRIBUTION = "Mapillary contributors, CC BY-SA 4.0"
JSON_ENDINGS = LINE_ENDINGS | {".json"}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_READ = frozenset({"id", "geometry", "computed_geometry", "camera_type", "camera_parameters", "compass_angle",
                   "computed_compass_angle", "sequence", "sequence_id", "captured_at", "creator", "file"})
_PROJECTIONS = {"perspective": "perspective", "fisheye": "fisheye", "equirectangular": "equirectangular",
                "spherical": "equirectangular", "brown": "perspective", "simple_radial": "perspective",
                "radial": "perspective", "fisheye_opencv": "fisheye"}
_MAX_FOCAL = 60.0


def is_mapillary(value: object) -> bool:
    """Return whether a JSON value is an API answer about images: one image, a list of them, or `{"data": [...]}`."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    if isinstance(value, list):
        value = value[0] if value else None
    return isinstance(value, dict) and "id" in value and value.get("type") != "Feature" and bool(
        {"geometry", "computed_geometry"} & value.keys())


def read_mapillary(source: Path, options: SourceOptions, progress: Progress | None = None
                   ) -> tuple[list[PhotoRecord], list[Skipped]]:
    """Read a JSON file of the API, or a folder with a file per image.

    Raises:
        DataError: If a file is not JSON of the API, an image occurs twice with different values, or the images' folder is
            missing.
    """
    home = source if source.is_dir() else source.parent
    finder = _Finder(home, options.images)
    records: list[PhotoRecord] = []
    skipped: list[Skipped] = []
    first: dict[str, tuple[str, str]] = {}
    entries = _entries(source) if source.is_file() else _folder_entries(source, skipped, progress)
    for where, value in entries:
        if not isinstance(value, dict):
            skipped.append(Skipped(where, "broken_record", "the record is not a JSON object"))
            continue
        image_id = _image_id(value.get("id"))
        if image_id is None:
            stated = printable(repr(value.get("id")), 40)
            skipped.append(Skipped(where, "broken_record", f"its id {stated} is not a Mapillary id"))
            continue
        facts = {k: v for k, v in value.items() if k in _READ or _is_kept(k, v)}
        here = (where, _digest(facts, where))
        before = first.setdefault(image_id.lower(), here)
        if before is not here:
            if before[1] != here[1]:
                raise DataError(where, f"image {image_id} is also in {before[0]}, with other values", "Keep one of the two.")
            skipped.append(Skipped(image_id, "duplicate", f"{where} repeats {before[0]}"))
            continue
        result = _record(image_id, facts, where, finder)
        if isinstance(result, Skipped):
            skipped.append(result)
        else:
            records.append(result)
        if progress is not None and source.is_file() and len(first) % 1000 == 0:
            progress(len(first), len(first))
    return records, skipped


class _Finder:
    """Images of API objects: by a `file` field, else by their id."""

    def __init__(self, home: Path, images: Path | None) -> None:
        self._stated = StatedImages(home, images)
        self._by_id = ImagesById(images if images is not None else home)

    def find(self, image_id: str, stated: object) -> tuple[Path, bool] | Skipped:
        if isinstance(stated, str) and stated.strip():
            path = self._stated.find(stated.strip())
            if isinstance(path, Skipped):
                return Skipped(image_id, path.kind, f"{printable(stated)}: {path.detail}")
            return path, path.stem.endswith(ImagesById.UNDISTORTED)
        return self._by_id.find(image_id)


def _folder_entries(folder: Path, skipped: list[Skipped], progress: Progress | None) -> Iterator[tuple[str, Any]]:
    """Yield the objects of images in the files of a folder; a file without any is skipped."""
    files = [p for p in walk(folder) if p.suffix.lower() in JSON_ENDINGS]
    for done, path in enumerate(files, 1):
        entries: list[tuple[str, Any]] = []
        try:
            entries += _entries(path)
        except DataError as error:
            skipped.append(Skipped(error.where, "broken_record", error.what))
        yield from entries
        if progress is not None and (done % 500 == 0 or done == len(files)):
            progress(done, len(files))


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the objects of images in a file, each with its place.

    Raises:
        DataError: If the file is not JSON, or is an error of the API.
    """
    for where, answer in json_values(path):
        value = answer
        if isinstance(value, dict) and "error" in value and "id" not in value:
            error = value["error"]
            message = error.get("message") if isinstance(error, dict) else error
            raise DataError(where, f"the API answered with an error: {printable(message, 200)}", "Fetch the file again.")
        if isinstance(value, dict) and "data" in value and "id" not in value:
            value = value["data"]
        if isinstance(value, list):
            yield from ((f"{where}, image {k}", one) for k, one in enumerate(value, 1))
        elif isinstance(value, dict) and "id" in value:
            yield where, value
        else:
            raise DataError(where, "the file contains no images of the Mapillary API",
                            'Give {"data": [...]}, a list of images, or one image with id and geometry.')


def _digest(facts: Mapping[str, Any], where: str) -> str:
    """Return a hash that distinguishes two descriptions of an image."""
    try:
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    except RecursionError as error:
        raise DataError(where, "the JSON is nested too deeply", "Give an unchanged answer of the Mapillary API.") from error


def _image_id(value: object) -> str | None:
    text = id_text(value)
    return text if _ID.fullmatch(text) and (isinstance(value, str) or (text.isdigit() and len(text) <= 40)) else None


def _is_kept(name: str, value: object) -> bool:
    """Return whether a field that is not read is stored with the photo.

    Addresses of images and meshes are not: they expire, change with each call, and are never fetched.
    """
    return (value is None or isinstance(value, str | int | float | bool)) and not name.startswith("thumb_") and not (
        isinstance(value, str) and value.startswith(("http://", "https://")))


def _record(image_id: str, facts: Mapping[str, Any], where: str, finder: _Finder) -> PhotoRecord | Skipped:
    extra: dict[str, Scalar] = {k: scalar(v) for k, v in facts.items() if k not in _READ}
    position = _position(facts, extra)
    if isinstance(position, str):
        return Skipped(image_id, "no_position", f"{where}: {position}")
    found = finder.find(image_id, facts.get("file"))
    if isinstance(found, Skipped):
        return found
    path, undistorted = found
    camera = mapillary_camera(facts)
    if isinstance(camera, str):
        return Skipped(image_id, "camera", f"{where}: {camera}")
    if undistorted and camera is not None and camera.projection != "equirectangular":
        # these pixels are undistorted already, so the focal length of a fisheye does not apply
        camera = Camera("perspective", camera.focal if camera.projection == "perspective" else None)
        extra["camera_from"] = "Mapillary camera_parameters, image undistorted by others"
    elif camera is not None:
        extra["camera_from"] = "Mapillary camera_parameters"
    bearing = None
    for name in ("computed_compass_angle", "compass_angle"):
        if bearing is None and facts.get(name) is not None:
            bearing = true_bearing(finite(facts[name]))
            extra.update({"bearing_from": f"Mapillary {name}"} if bearing is not None else
                         {"bearing_stated": scalar(facts[name])})
    time = parse_time(facts.get("captured_at"))
    if time is None and facts.get("captured_at") is not None:
        extra["captured_at_stated"] = scalar(facts["captured_at"])
    creator = facts.get("creator")
    user = creator.get("username") if isinstance(creator, dict) else None
    who = f"{printable(user)} on " if isinstance(user, str) and user.strip() else ""
    sequence = facts.get("sequence", facts.get("sequence_id"))
    return PhotoRecord(image_id, path, position[0], position[1], where, time, bearing, camera,
                       id_text(sequence)[:200] or None, f"{who}Mapillary, CC BY-SA 4.0", LICENSE, extra)


def _position(facts: Mapping[str, Any], extra: dict[str, Scalar]) -> tuple[float, float] | str:
    """Return the computed position, else the camera's own; if there are both, both are stored."""
    found: dict[str, tuple[float, float]] = {}
    reason = "it has no geometry"
    for name in ("computed_geometry", "geometry"):
        if facts.get(name) is None:
            continue
        where = point(facts[name])
        problem = where if isinstance(where, str) else position_problem(where[0], where[1])
        if isinstance(where, str) or problem:
            reason = problem
        else:
            found[name] = where[0], where[1]
    if not found:
        return reason
    best = next(iter(found))
    extra["position_from"] = f"Mapillary {best}"
    if len(found) == 2:
        lat, lon = found["geometry"]
        extra["original_lat"], extra["original_lon"] = lat, lon
        extra["computed_offset_m"] = round(float(haversine_m(lat, lon, *found[best])), 2)
    return found[best]


def mapillary_camera(facts: Mapping[str, Any]) -> Camera | str | None:
    """Return the camera of an API object; None if it states none; a text if it is unusable.

    Source: Mapillary API v4, `camera_type` and `camera_parameters`: [focal, k1, k2] as in OpenSfM for perspective and
    fisheye, nothing for equirectangular (`spherical`).
    """
    kind = facts.get("camera_type")
    if kind is None:
        return ("is_pano marks it as a panorama, but camera_type is missing; fetch it with the field camera_type"
                if facts.get("is_pano") is True else None)
    if not isinstance(kind, str) or kind.lower() not in _PROJECTIONS:
        return f"its camera_type {printable(repr(kind), 40)} is not supported"
    projection = cast("Any", _PROJECTIONS[kind.lower()])
    if projection == "equirectangular":
        return Camera(projection)
    stated = facts.get("camera_parameters")
    if stated is None or stated == []:
        return Camera(projection) if kind.lower() in {"perspective", "fisheye"} else (
            f"its camera_type is {kind}, but camera_parameters are missing")
    values = [finite(v) for v in stated] if isinstance(stated, list) else [None]
    if any(v is None for v in values):
        return f"its camera_parameters {printable(repr(stated), 60)} are not a list of numbers"
    numbers = [v for v in values if v is not None]
    if kind.lower() not in {"perspective", "fisheye"} and any(numbers[1:]):
        return f"its camera_type is {kind}, whose distortion is not supported unless it is zero"
    if kind.lower() in {"perspective", "fisheye"} and any(numbers[3:]):
        return f"its camera_parameters {printable(numbers, 60)} have more values than focal, k1 and k2"
    if not 0.0 < numbers[0] <= _MAX_FOCAL or any(abs(k) > 1e3 for k in numbers[1:]):
        return f"its camera_parameters {printable(numbers, 60)} are impossible"
    return Camera(projection, *[*numbers, 0.0, 0.0][:3])
