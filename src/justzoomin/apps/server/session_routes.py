"""`/v1/sessions`: one photo, what is believed about its place at each level, and a person who corrects it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Body, Depends, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import JSONResponse

from justzoomin.apps.server.asked import AskedFields
from justzoomin.apps.server.problems import ProblemError
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.apps.server.tile_answers import empty_tile, entity_tag, tagged
from justzoomin.apps.server.uploads import read_photos
from justzoomin.apps.server.waiting import busy, results
from justzoomin.errors import JustZoomInError
from justzoomin.maps import TileFile
from justzoomin.search import Beliefs, LoadedPhoto, Localizer
from justzoomin.service import (
    EXPORTS,
    ConflictError,
    Correction,
    PhotoQueue,
    QueueFullError,
    Session,
    Sessions,
    UnknownSessionError,
    Variants,
    believe,
    read_corrections,
    region_features,
    view_jpeg,
    with_posterior,
)
from justzoomin.spelling import json_text

GEOJSON = "application/geo+json"
_KEPT, _ASKED_AGAIN = "private, max-age=3600, immutable", "private, no-cache"
_HEAT_PIXELS = 256
_PHOTOS_AT_ONCE = 2
"""Photos that are decoded for their small copies at once: a large one takes 300 MB for that."""
_STATE = {"description": "The state of the session."}
_EXAMPLES: Any = {
    "cell": {"value": {"kind": "cell", "sequence": [7, 6], "here": False}},
    "cell at a position": {"value": {"kind": "cell", "lat": 54.5, "lon": 3.0, "level": 2, "here": True}},
    "circle": {"value": {"kind": "circle", "lat": 54.5, "lon": 3.0, "radius_m": 60, "here": False}},
    "polygon": {"value": {"kind": "polygon", "here": False, "geometry": {
        "type": "Polygon", "coordinates": [[[3.0, 54.5], [3.001, 54.5], [3.001, 54.501], [3.0, 54.5]]]}}},
    "heading": {"value": {"kind": "heading", "deg": 90, "sigma_deg": 20}},
    "camera": {"value": {"kind": "camera", "fov_deg": 70}}}


def new_sessions(queue: PhotoQueue, localizer: Localizer, settings: ServeSettings) -> Sessions:
    """Return the sessions of a service, whose photos wait in its queue.

    Args:
        queue: Where photos wait.
        localizer: Model and map.
        settings: The limits.
    """
    def ask(photo: bytes, name: str, localizer: Localizer) -> tuple[LoadedPhoto, Beliefs]:
        future: Future[tuple[LoadedPhoto, Beliefs]] = queue.submit(photo, name, localizer, believe)
        try:
            return future.result(settings.answer_s)
        except TimeoutError:
            future.cancel()
            raise ProblemError(503, "queue", f"the answer was not ready within {settings.answer_s:g} s", "Try again later.",
                               {"Retry-After": "10"}) from None

    return Sessions(localizer, max_bytes=int(1e6 * settings.max_sessions_mb), idle_s=settings.session_idle_s, ask=ask)


def session_routes(sessions: Sessions, queue: PhotoQueue, variants: Variants, settings: ServeSettings) -> APIRouter:
    """Return the routes of sessions.

    Args:
        sessions: The sessions, from `new_sessions`.
        queue: Where photos wait.
        variants: Who localizes them.
        settings: The limits.
    """
    router = APIRouter(tags=["sessions"], responses={404: {"description": "There is no such session, or no longer."}})
    few = CapacityLimiter(_PHOTOS_AT_ONCE)

    @router.post("/v1/sessions", status_code=201, response_class=JSONResponse, summary="Localize a photo, to argue about it",
                 responses={201: _STATE, 422: {"description": "The photo or a field cannot be used."}})
    async def create(request: Request, photo: Annotated[UploadFile, File(description="JPEG, PNG, HEIC ...")],
                     fields: Annotated[AskedFields, Depends()],
                     corrections: Annotated[str, Form(max_length=1 << 20, description=(
                         "Corrections to begin with: a JSON list, or the `link` of a state."))] = "") -> Response:
        """Keep a small copy of the photo without metadata in memory, and nothing else of it."""
        [(name, data)] = await read_photos([photo], settings)
        asked = await fields.read(variants.base.grid)
        with _problems():
            said = await to_thread.run_sync(read_corrections, corrections)
            localizer = await to_thread.run_sync(lambda: with_posterior(variants.of(asked)))
            found = await results(request, [queue.submit(data, name, localizer, believe)], settings.answer_s)
            if isinstance(found[0], JustZoomInError):
                raise found[0]
            make = partial(sessions.create, data, name, said, localizer=localizer, seen=found[0])
            session = await to_thread.run_sync(make, limiter=few)
            state = await to_thread.run_sync(session.state)
        root = request.scope.get("root_path", "")
        return _json(state, 201, {"Location": f"{root}/v1/sessions/{session.id}"})

    @router.get("/v1/sessions/{id}", response_class=JSONResponse, responses={200: _STATE}, summary="The state of a session")
    def state(id: str) -> Response:
        with _problems():
            return _json(sessions.get(id).state())

    @router.delete("/v1/sessions/{id}", status_code=204, summary="Forget a session")
    def remove(id: str) -> None:
        with _problems():
            sessions.remove(id)

    @router.post("/v1/sessions/{id}/corrections", response_class=JSONResponse, summary="Say where it is, or is not",
                 responses={200: _STATE, 409: {"description": "Nothing would be left; the state stays as it was."},
                            422: {"description": "The correction is wrong, or the model cannot use it."}})
    def correct(id: str, correction: Annotated[Correction, Body(openapi_examples=_EXAMPLES)]) -> Response:
        """Add a correction. Areas add up; a heading or a field of view replaces the one before."""
        with _problems():
            session = sessions.get(id)
            session.correct(correction)
            sessions.sweep()
            return _json(session.state())

    @router.post("/v1/sessions/{id}/{step}", response_class=JSONResponse, summary="Take a correction back, or apply it again",
                 responses={200: _STATE, 409: {"description": "There is nothing to undo or redo."}})
    def step(id: str, step: Literal["undo", "redo"]) -> Response:
        with _problems():
            session = sessions.get(id)
            (session.undo if step == "undo" else session.redo)()
            return _json(session.state())

    _add_pictures(router, sessions)
    _add_files(router, sessions)
    return router


def _add_pictures(router: APIRouter, sessions: Sessions) -> None:
    """Add the routes of pictures."""

    @router.get("/v1/sessions/{id}/photo.jpg", response_class=Response, summary="A small copy of the photo, without metadata",
                responses={200: {"content": {"image/jpeg": {}}}})
    def photo(id: str) -> Response:
        with _problems():
            return Response(sessions.get(id).thumbnail.jpeg, media_type="image/jpeg", headers={"Cache-Control": _KEPT})

    @router.get("/v1/sessions/{id}/heat/{level}/{z}/{x}/{y}.png", response_class=Response, summary="The posterior as a tile",
                responses={200: {"content": {"image/png": {}}}})
    def heat(request: Request, id: str, level: int, z: int, x: int, y: int, v: Annotated[int | None, Query(description=(
            "The state's version, so that the tile can be kept."))] = None) -> Response:
        with _problems():
            session = sessions.get(id)
            opinion = session.opinion

            def draw() -> TileFile:
                tile = session.heat(opinion, level).tile(z, x, y, _HEAT_PIXELS)
                return empty_tile(_HEAT_PIXELS) if tile is None else TileFile(tile, "image/png")

            return tagged(request, entity_tag(id, opinion.version, level, z, x, y), draw,
                          keep=_KEPT if v == opinion.version else _ASKED_AGAIN)

    @router.get("/v1/views", response_class=Response, summary="What the map shows of a cell, or around a position",
                responses={200: {"content": {"image/jpeg": {}}}})
    def view(sequence: Annotated[str | None, Query(max_length=200, examples=["0,5,3"], description=(
                 "Actions that lead to a cell; empty for the region."))] = None,
             lat: Annotated[float | None, Query(ge=-90, le=90)] = None,
             lon: Annotated[float | None, Query(ge=-360, le=360)] = None,
             size_m: Annotated[float | None, Query(gt=0, description="Edge of the view around a position.")] = None,
             pixels: Annotated[int, Query(ge=16, le=1024)] = 384) -> Response:
        """Draw a cell (`sequence`) or a square (`lat`, `lon` and `size_m`), north up."""
        with _problems():
            jpeg = view_jpeg(sessions.localizer, pixels, sequence, lat, lon, size_m)
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _add_files(router: APIRouter, sessions: Sessions) -> None:
    """Add the routes of files."""
    one = CapacityLimiter(1)  # matplotlib draws one picture at a time

    @router.get("/v1/sessions/{id}/region.geojson", response_class=Response, responses={200: {"content": {GEOJSON: {}}}},
                summary="Regions for 95, 90 and 50 %, and the heading's wedge")
    def region(id: str) -> Response:
        with _problems():
            features = region_features(sessions.get(id).opinion)
        return Response(json_text({"type": "FeatureCollection", "features": features}, None), media_type=GEOJSON)

    @router.get("/v1/sessions/{id}/export.{format}", response_class=Response, summary="The answer as a file",
                responses={200: {"content": {"application/octet-stream": {}}}})
    async def export(id: str, format: Literal["geojson", "gpx", "csv", "gpkg", "png"]) -> Response:
        with _problems():
            session = sessions.get(id)
            if format == "png":
                kind, data = "image/png", await to_thread.run_sync(partial(_png, session), limiter=one)
            else:
                kind, make = EXPORTS[format]
                data = await to_thread.run_sync(partial(make, session.opinion, sessions.localizer.map.attribution))
        name = f"{session.name.rpartition('.')[0] or session.name}.{format}"
        return Response(data, media_type=kind, headers={
            "Content-Disposition": f"attachment; filename=\"answer.{format}\"; filename*=UTF-8''{quote(name, safe='')}"})


def _png(session: Session) -> bytes:
    from justzoomin.data import decode_photo
    from justzoomin.figures import answer_png

    opinion, photo = session.opinion, decode_photo(session.thumbnail.jpeg, session.name)
    return answer_png(opinion.fix, opinion.posterior, session.localizer, photo)


def _json(state: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json_text(state, None), status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


@contextmanager
def _problems() -> Iterator[None]:
    """Give errors of sessions their status."""
    try:
        yield
    except UnknownSessionError as error:
        raise ProblemError(404, error.where, error.what, error.remedy) from error
    except ConflictError as error:
        raise ProblemError(409, error.where, error.what, error.remedy) from error
    except QueueFullError as error:
        raise busy(error) from error
