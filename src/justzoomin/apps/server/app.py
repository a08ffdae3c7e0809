"""The application: the room `service` behind HTTP. Each group of routes is in a file of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from justzoomin.apps.server.job_routes import job_limits, job_routes
from justzoomin.apps.server.limits import Limits
from justzoomin.apps.server.localize_routes import localize_routes
from justzoomin.apps.server.map_routes import map_routes
from justzoomin.apps.server.metrics import Counted, Metrics
from justzoomin.apps.server.page_routes import PAGE, page_routes
from justzoomin.apps.server.problems import add_problem_handlers, problem_response
from justzoomin.apps.server.session_routes import new_sessions, session_routes
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.apps.server.stored_fields import FILES, asked_of
from justzoomin.apps.server.tile_routes import tile_routes
from justzoomin.apps.server.tile_service import TileService
from justzoomin.apps.server.track_routes import track_routes
from justzoomin.search import Localizer
from justzoomin.service import Jobs, PhotoQueue, Sessions, Variants, in_queue

_ABOUT = """Say where street photos were taken, from the photos and one overhead map. Photos are not stored (those of jobs until
their end), positions in EXIF are never used, and nothing leaves this machine. Errors are problem details (RFC 9457) with
`where`, `what` and `remedy`."""
_SWEEP_S = 30.0
"""Seconds between looks for idle sessions."""


def create_app(localizer: Localizer, settings: ServeSettings, jobs_folder: Path, *, examples: Path | None = None) -> ASGIApp:
    """Return the ASGI application for one model and one map.

    Args:
        localizer: Model and map.
        settings: Limits, and who may ask.
        jobs_folder: Folder of jobs; those in it go on.
        examples: Folder of photos that the page offers to try.

    Raises:
        DataError: If another server uses the folder of jobs.
        OSError: If it cannot be written.
    """
    metrics = Metrics()
    queue = PhotoQueue(limit=settings.max_waiting, batch_size=settings.batch_size, observer=metrics,
                       prepare=lambda: localizer.prepare(lambda done, total: None))
    localizer.took = metrics.took
    metrics.watch(queue)
    variants = Variants(localizer)
    jobs = Jobs(jobs_folder, lambda fields, files: variants.of(asked_of(fields, files, localizer.grid)), in_queue(queue),
                limits=job_limits(settings), files=FILES)
    sessions = new_sessions(queue, localizer, settings)
    tiles = TileService(localizer.map, localizer.grid, Path(localizer.map.name).name)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        jobs.start()
        sweeping = asyncio.create_task(_sweep(sessions))
        yield
        sweeping.cancel()
        await run_in_threadpool(jobs.close)
        await run_in_threadpool(queue.close)

    app = FastAPI(title="justzoomin", version=version("justzoomin"), description=_ABOUT, lifespan=lifespan,
                  docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    add_problem_handlers(app)
    for router in (_state_routes(queue), metrics.routes(), localize_routes(queue, variants, settings),
                   session_routes(sessions, queue, variants, settings), job_routes(jobs),
                   track_routes(jobs, queue, variants, settings), map_routes(localizer, tiles, settings, examples),
                   tile_routes(localizer.map, localizer.grid, service=tiles), page_routes()):
        app.include_router(router)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    guarded: ASGIApp = Limits(app, settings)
    if settings.origins:
        guarded = CORSMiddleware(guarded, allow_origins=settings.origins, allow_methods=["*"], allow_headers=["*"],
                                 expose_headers=["Retry-After", "Location", "ETag", "Remark"])
    return Counted(guarded, metrics)


async def _sweep(sessions: Sessions) -> None:
    """Forget idle sessions even if nobody asks for anything."""
    while True:
        await asyncio.sleep(_SWEEP_S)
        sessions.sweep()


def _state_routes(queue: PhotoQueue) -> APIRouter:
    """Return the routes that say how the server is."""
    router = APIRouter(tags=["state"])

    @router.get("/healthz", summary="Whether the process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Whether photos are answered now")
    async def readyz() -> JSONResponse:
        if queue.failure is not None:
            return problem_response(queue.failure)
        if not queue.ready.is_set():
            return JSONResponse({"status": "describing the map"}, 503, {"Retry-After": "5"})
        return JSONResponse({"status": "ready", "waiting": len(queue)})

    return router


