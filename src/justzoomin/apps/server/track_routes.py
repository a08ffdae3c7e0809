"""`POST /v1/track`: the photos of one drive, localized together."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from justzoomin.apps.server.limits import wanted
from justzoomin.apps.server.problems import ProblemError, problem_of
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.apps.server.stored_fields import checked, form_schema
from justzoomin.apps.server.streamed import as_problems, receive
from justzoomin.apps.server.waiting import results
from justzoomin.apps.shared.camera_options import cameras_from_option
from justzoomin.apps.shared.heading_options import heading_source
from justzoomin.errors import ConfigError, DataError, DiskError, JustZoomInError
from justzoomin.photos.readers import PhotoTime, times_from_exif, times_from_table
from justzoomin.search import DriveOptions, DriveTrack, Localizer, geojson, gpx, loaded_posteriors, track_drive
from justzoomin.service import Asked, JobLimits, Jobs, PhotoQueue, StoredForm, Variants, in_queue
from justzoomin.spelling import json_text

JSON, GEOJSON, GPX = "application/json", "application/geo+json", "application/gpx+xml"
MAX_DRIVES, MAX_PHOTOS, MAX_WAIT_S = 4, 500, 900.0
"""Drives that are received or tracked at once, photos of a drive, and seconds that a drive may take."""
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: FILE\.csv)?")
_EXAMPLE = [{"photo": "a.jpg", "time": "2024-05-01T08:00:00+00:00", "lat": 54.500153, "lon": 2.999681, "radius_m": 3.1,
             "radius_90_m": 8.4, "on_map": True, "heading_deg": 93.2, "heading_sigma_deg": 4.8}]


class DriveFields(BaseModel):
    """The text fields of a drive."""

    model_config = ConfigDict(extra="forbid")

    time_zone: str | None = Field(None, max_length=60, description="Zone of times that state none: Europe/Stockholm, +02:00.")
    speed: float = Field(DriveOptions.speed, description="Highest speed in metres per second.")
    drift: float = Field(DriveOptions.drift, description="Error of east_m and north_m, as a share of the distance.")
    turn_sigma: float = Field(DriveOptions.turn_sigma, description="Error of turn_deg, in degrees.")
    heading_sigma: float | None = Field(None, description="Uncertainty of headings in degrees, where none is stated.")
    heading_from: str | None = Field(None, max_length=20, description="exif: use GPSImgDirection; track: the camera looks "
                                                                      "along the way of east_m and north_m.")
    declination: float | None = Field(None, description="With exif: true to magnetic north, degrees.")
    smooth: bool = Field(True, description="Whether later photos count for earlier ones.")
    tempering: float | None = Field(None, description="Weight of each photo: 1 if errors are independent, less if not.")
    fov: float | None = Field(None, description="Horizontal field of view in degrees.")


class _Tracked:
    """A track, and what could not be used of a drive."""

    def __init__(self, track: DriveTrack, failed: list[tuple[str, str]], *, zoned: bool, attribution: str | None) -> None:
        self.points, self.remarks, self.failed, self.zoned = track.points, list(track.remarks), failed, zoned
        self.attribution = attribution

    def json(self) -> str:
        return json_text([point.to_dict() for point in self.points] +
                         [{"photo": name, "error": words} for name, words in self.failed])

    def geojson(self) -> str:
        collection = geojson(self.points, self.attribution)
        collection["features"] += [{"type": "Feature", "geometry": None,
                                    "properties": {"photo": name, "kind": "error", "error": words}}
                                   for name, words in self.failed]
        return json_text(collection)

    def gpx(self) -> bytes:
        if not self.zoned:
            self.remarks.append("the track has no times, because their time zone is unknown; send time_zone")
        return gpx(self.points, with_time=self.zoned, attribution=self.attribution)


def track_routes(jobs: Jobs, queue: PhotoQueue, variants: Variants, settings: ServeSettings) -> APIRouter:
    """Return the route that tracks drives.

    Args:
        jobs: Where photos are stored while a drive is tracked.
        queue: Where photos wait.
        variants: Who localizes them.
        settings: The limits.
    """
    router = APIRouter(tags=["drives"])
    limits = JobLimits(max_photos=MAX_PHOTOS, max_photo_bytes=int(1e6 * settings.max_photo_mb),
                       max_bytes=int(1e6 * settings.max_job_mb), min_free_bytes=jobs.limits.min_free_bytes)
    pool, free = ThreadPoolExecutor(MAX_DRIVES, thread_name_prefix="drive"), threading.BoundedSemaphore(MAX_DRIVES)

    @router.post("/v1/track", summary="Say where the photos of one drive were taken, together", response_class=Response,
                 responses={
        200: {"content": {JSON: {"example": _EXAMPLE}, GEOJSON: {"schema": {"type": "object"}}, GPX: {}},
              "description": "A point for each photo, earliest first, with the radii that hold 50 and 90 % and the heading. "
                             "Photos that cannot be used come last, with `photo` and `error`. The header Remark says what was "
                             "not used."},
        413: {"description": "Too many photos or bytes."}, 422: {"description": "A field, the table or all photos are wrong."},
        503: {"description": "Too many drives. Retry-After says when to try again."}},
        openapi_extra=form_schema(DriveFields, {"times": (
            "CSV with photo, time and optionally east_m, north_m, turn_deg, heading and heading_sigma. Default: EXIF times.")},
            f"The photos of one drive, at most {MAX_PHOTOS}."))
    async def track(request: Request) -> Response:
        """Photos are stored only until the answer, and positions in their EXIF are not used."""
        if not free.acquire(blocking=False):
            raise ProblemError(503, "drives", f"{MAX_DRIVES} drives are being tracked", "Try again later.",
                               {"Retry-After": "30"})
        stop = threading.Event()
        running: Future[_Tracked] | None = None
        try:
            with as_problems(), jobs.scratch(limits, ["times"]) as form:
                await receive(request, form)
                running = pool.submit(_tracked, form, queue, variants, stop)
                try:
                    found, = await results(request, [running], MAX_WAIT_S)
                finally:
                    stop.set()  # the client has left, or the time is over
        finally:
            free.release()
        if isinstance(found, JustZoomInError):
            raise found
        kind, write = wanted(request.headers, {JSON: (JSON, _Tracked.json), GEOJSON: (GEOJSON, _Tracked.geojson),
                                               GPX: (GPX, _Tracked.gpx)})
        content = write(found)
        remarks = {"Remark": "; ".join(found.remarks)} if found.remarks else {}
        return Response(content, media_type=kind, headers=remarks)

    return router


def _tracked(form: StoredForm, queue: PhotoQueue, variants: Variants, stop: threading.Event) -> _Tracked:
    """Track the drive of a form.

    Raises:
        ProblemError: If the form or all photos are wrong.
    """
    with _their_words(form):
        fields = DriveFields(**checked(DriveFields, form.fields))
        options = DriveOptions(fields.speed, fields.drift, fields.turn_sigma, fields.heading_sigma,
                               fields.heading_from == "track", fields.smooth, fields.tempering)
        if not form.names:
            raise ConfigError("photos", "no photo was sent", "Send one or more parts called photos.")
        drive, stored, timeless = _times(form, fields.time_zone)
        options.check(drive)
        localizer = variants.of(_asked(fields, timed="times" in form.files))
        alone = []
        for one in in_queue(queue, _alone(len(drive)))(localizer, stored):
            if stop.is_set():
                raise ProblemError(499, "client", "the client has left", "Stay connected until the answer comes.")
            alone.append(one)
        failed = [*timeless, *((str(photo.path), form.told(str(one))) for photo, one in zip(drive, alone, strict=True)
                               if isinstance(one, JustZoomInError))]
        track = track_drive(localizer, drive, alone, options)
        return _Tracked(DriveTrack(track.points, [_fields(remark) for remark in track.remarks]),
                        [(name, _fields(words)) for name, words in failed], zoned=all(photo.known_zone for photo in drive),
                        attribution=localizer.map.attribution)


def _times(form: StoredForm, zone: str | None) -> tuple[list[PhotoTime], list[Path], list[tuple[str, str]]]:
    """Return the photos with their times under the client's names, where they are stored, and those without a time."""
    named = [Path(name) for name in form.names]
    if "times" in form.files:  # it names the photos as the client does
        drive, failed = times_from_table(named, form.files["times"], zone)
        place = dict(zip(named, form.photos, strict=True))
        stored = [place[photo.path] for photo in drive]
    else:
        drive, failed = times_from_exif(form.photos, zone)
        stored = [photo.path for photo in drive]
        drive = [replace(photo, path=Path(form.name_of(photo.path))) for photo in drive]
    told = [(form.told(error.where), form.told(str(error))) for error in failed]
    return drive, stored, told


def _asked(fields: DriveFields, *, timed: bool) -> Asked:
    """Return what is asked for about each photo: a posterior, with what is known of headings and cameras."""
    headings = heading_source(None, fields.heading_sigma, fields.heading_from, fields.declination, {}, ("exif", "track"),
                              others=timed)
    words = (fields.heading_sigma, fields.heading_from, fields.declination, fields.fov)
    return Asked("drive " + hashlib.sha256(repr(words).encode("utf-8", "surrogatepass")).hexdigest(), "posterior",
                 headings=headings, cameras=cameras_from_option(fields.fov))


def _alone(total: int) -> Callable[[Localizer, Sequence[tuple[str, Any]]], Sequence[Any]]:
    """Return the work for the queue: what is believed about each photo alone.

    Args:
        total: Number of photos of the drive.
    """
    return lambda localizer, photos: loaded_posteriors(localizer, [loaded for _, loaded in photos], total)


@contextmanager
def _their_words(form: StoredForm) -> Iterator[None]:
    """Say errors in the client's words: names of its photos and of the fields, not paths and options of the command.

    Raises:
        ProblemError: Instead of the error.
    """
    try:
        yield
    except (ProblemError, DiskError):
        raise
    except JustZoomInError as error:
        status = 422 if isinstance(error, DataError) else problem_of(error).status  # the table is the client's
        where, what, remedy = (_fields(form.told(text)) for text in (error.where, error.what, error.remedy))
        raise ProblemError(status, where, what, remedy) from error


def _fields(text: str) -> str:
    """Return a text with names of fields instead of options: `time_zone` for `--time-zone`."""
    return _OPTION.sub(lambda match: match[1].replace("-", "_"), text)
