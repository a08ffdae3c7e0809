"""`/v1/jobs`: many photos, localized in the background."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from justzoomin.apps.server.settings import ServeSettings
from justzoomin.apps.server.stored_fields import fields_model, form_schema
from justzoomin.apps.server.streamed import as_problems, receive
from justzoomin.service import JobLimits, Jobs

MEDIA_TYPES = {"jsonl": "application/jsonl", "geojson": "application/geo+json", "csv": "text/csv",
               "parquet": "application/vnd.apache.parquet"}
_EXAMPLE = {"id": "9f86d081884c7d659a2feaa0c55ad015", "state": "running", "total": 120, "done": 48, "failed": 1,
            "failures": [{"photo": "blurred.jpg", "error": "blurred.jpg: it cannot be read as an image. ..."}], "error": None,
            "results": []}
_STATE: dict[str, Any] = {"content": {"application/json": {"example": _EXAMPLE}}, "description": (
    "The job. `state` is waiting, running, done, failed or cancelled. `failures` names the first 100 photos without an answer. "
    "`error` says why the whole job failed.")}
_UNKNOWN: dict[str, Any] = {"description": "There is no such job, or it has been removed."}


def job_limits(settings: ServeSettings) -> JobLimits:
    """Return the limits of jobs."""
    return JobLimits(max_photo_bytes=int(1e6 * settings.max_photo_mb), max_bytes=int(1e6 * settings.max_job_mb),
                     keep_s=settings.keep_s, fetched_keep_s=min(settings.keep_s, JobLimits().fetched_keep_s))


def job_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of jobs.

    Args:
        jobs: The jobs. Start them before, and close them before their queue.
    """
    router = APIRouter(tags=["jobs"])

    @router.post("/v1/jobs", status_code=202, summary="Send many photos", responses={
        202: _STATE, 413: {"description": "Too many photos or bytes."}, 422: {"description": "A field is wrong."},
        503: {"description": "Too many jobs wait. Retry-After says when to try again."},
        507: {"description": "The disk of the server is full."}},
        openapi_extra=form_schema(fields_model(), {"prior_raster": "GeoTIFF or .npy: a weight for every place."},
                                  "JPEG, PNG, HEIC ..."))
    async def create(request: Request) -> JSONResponse:
        """Photos are stored until the job ends. Results are kept for an hour after they were fetched, at most for a day.

        The id of a job is the key to it: only who knows it can see its state and results.
        """
        with as_problems(), jobs.upload() as form:
            await receive(request, form)
            state = await run_in_threadpool(jobs.submit, form)
        root = request.scope.get("root_path", "")
        return JSONResponse(state, 202, {"Location": f"{root}/v1/jobs/{state['id']}"})

    @router.get("/v1/jobs/{job_id}", summary="How far a job is", responses={200: _STATE, 404: _UNKNOWN})
    def state(job_id: str) -> JSONResponse:
        with as_problems():
            return JSONResponse(jobs.state(job_id), headers={"Cache-Control": "no-store"})

    @router.delete("/v1/jobs/{job_id}", summary="Cancel or remove a job", response_class=Response, responses={
        202: {**_STATE, "description": "The job was cancelled; a running one ends after the current batch of photos."},
        204: {"description": "The job had ended and is removed."}, 404: _UNKNOWN})
    def delete(job_id: str) -> Response:
        with as_problems():
            left = jobs.delete(job_id)
        return Response(status_code=204) if left is None else JSONResponse(left, 202)

    @router.get("/v1/jobs/{job_id}/result.{extension}", summary="The answers of a job", response_class=FileResponse, responses={
        200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}, "description": (
            "An answer for each photo, in their order. JSON lines also hold the photos without one, as `photo` and `error`.")},
        404: _UNKNOWN, 409: {"description": "The job has no result, or no result yet."}})
    def result(job_id: str, extension: str) -> FileResponse:
        """`jsonl`, `geojson`, `csv` or `parquet`."""
        with as_problems():
            path = jobs.result(job_id, extension)
        return FileResponse(path, media_type=MEDIA_TYPES[extension], filename=f"justzoomin.{extension}",
                            headers={"Cache-Control": "no-store"}, background=BackgroundTask(jobs.fetched, job_id))

    return router
