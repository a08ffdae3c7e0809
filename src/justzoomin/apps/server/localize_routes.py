"""`POST /v1/localize`: where one or several photos were taken."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Request, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from justzoomin.apps.server.asked import AskedFields
from justzoomin.apps.server.limits import wanted
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.apps.server.uploads import Upload, read_photos
from justzoomin.apps.server.waiting import busy, results
from justzoomin.errors import JustZoomInError
from justzoomin.search import Fix
from justzoomin.service import Asked, PhotoQueue, QueueFullError, Variants
from justzoomin.spelling import json_text

JSON, GEOJSON = "application/json", "application/geo+json"
_EXAMPLE = [{"photo": "street.jpg", "lat": 54.500153, "lon": 2.999681, "radius_90_m": 41.7, "expected": 0.86,
             "heading_deg": 271.3, "heading_sigma_deg": 9.1, "calibrated": True, "...": "as of jzi localize --json"}]


def localize_routes(queue: PhotoQueue, variants: Variants, settings: ServeSettings) -> APIRouter:
    """Return the route that localizes photos.

    Args:
        queue: Where photos wait.
        variants: Who localizes them.
        settings: The limits.
    """
    router = APIRouter(tags=["photos"])

    @router.post("/v1/localize", summary="Say where photos were taken", response_class=Response, responses={
        200: {"content": {JSON: {"example": _EXAMPLE}, GEOJSON: {"schema": {"type": "object"}}},
              "description": "One object for each photo, in their order. A photo of several that cannot be used has "
                             "`photo` and `error`."},
        422: {"description": "A field is wrong, or the only photo cannot be used."},
        503: {"description": "Too many photos wait. Retry-After says when to try again."}})
    async def localize(request: Request, photos: Annotated[list[UploadFile], File(description="JPEG, PNG, HEIC ...")],
                       fields: Annotated[AskedFields, Depends()]) -> Response:
        """Photos are not stored, and positions in their EXIF are not used."""
        uploads = await read_photos(photos, settings)
        asked = await fields.read(variants.base.grid)
        found = await answers(request, uploads, asked, queue, variants, settings)
        if len(found) == 1 and isinstance(found[0], JustZoomInError):
            raise found[0]
        kind, text = wanted(request.headers, {JSON: (JSON, _rows), GEOJSON: (
            GEOJSON, partial(_features, attribution=variants.base.map.attribution))})
        return Response(json_text(text(uploads, found)), media_type=kind)

    return router


async def answers(request: Request, uploads: list[Upload], asked: Asked, queue: PhotoQueue, variants: Variants,
                  settings: ServeSettings) -> list[Fix | JustZoomInError]:
    """Return the fix of each photo, or its error.

    Raises:
        ProblemError: If the queue is full or the time is over.
        ConfigError: If the settings are wrong.
    """
    localizer = await run_in_threadpool(variants.of, asked) if asked.key else variants.base
    try:
        futures = queue.submit_many([(data, name) for name, data in uploads], localizer)
    except QueueFullError as error:
        raise busy(error) from error
    return await results(request, futures, settings.answer_s)


def _rows(uploads: list[Upload], found: list[Fix | JustZoomInError]) -> list[dict[str, Any]]:
    return [{"photo": name, "error": str(one)} if isinstance(one, JustZoomInError) else one.to_dict()
            for (name, _), one in zip(uploads, found, strict=True)]


def _features(uploads: list[Upload], found: list[Fix | JustZoomInError], *, attribution: str | None) -> dict[str, Any]:
    """Return GeoJSON; photos without a fix are features without a geometry."""
    features: list[dict[str, Any]] = []
    for (name, _), one in zip(uploads, found, strict=True):
        features += one.to_geojson() if isinstance(one, Fix) else [
            {"type": "Feature", "geometry": None, "properties": {"photo": name, "kind": "error", "error": str(one)}}]
    return {"type": "FeatureCollection", "features": features, **({} if attribution is None else {"attribution": attribution})}
