"""Figures for monitoring: requests, queue, batches, seconds of decoding, encoding and searching, in Prometheus' text format."""

from __future__ import annotations

import time

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from justzoomin.service import PhotoQueue

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """All figures of one server, each in a registry of its own, so that several servers fit in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("jzi_requests", "Requests", ["method", "route", "status"], registry=self.registry)
        self.seconds = Histogram("jzi_request_seconds", "Seconds from a request to its answer", ["route"], buckets=_SECONDS,
                                 registry=self.registry)
        self.stages = Histogram("jzi_stage_seconds", "Seconds of a stage: decode a photo, encode or search a batch", ["stage"],
                                buckets=_SECONDS, registry=self.registry)
        self.batches = Histogram("jzi_batch_photos", "Photos of a batch", buckets=_BATCH, registry=self.registry)
        self.waiting = Gauge("jzi_waiting_photos", "Photos that wait or are worked on", registry=self.registry)

    def watch(self, queue: PhotoQueue) -> None:
        """Report the length of a queue."""
        self.waiting.set_function(lambda: len(queue))

    def took(self, stage: str, seconds: float) -> None:
        """Hear how long a stage took."""
        self.stages.labels(stage).observe(seconds)

    def answered(self, photos: int) -> None:
        """Hear that a batch was answered."""
        self.batches.observe(photos)

    def routes(self) -> APIRouter:
        """Return the route of the figures."""
        router = APIRouter()

        @router.get("/metrics", tags=["state"], response_class=Response, summary="Figures for Prometheus")
        def metrics() -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        return router


class Counted:
    """An ASGI application that counts the requests of another one.

    Args:
        app: The counted application.
        metrics: Where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, counted)
        finally:
            route = _route(scope)
            self.metrics.requests.labels(scope["method"] if len(scope["method"]) < 8 else "other", route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)


def _route(scope: Scope) -> str:
    """Return the pattern of the route, never the path itself: ids are secrets, and hostile paths would be endless."""
    route = scope.get("route")
    return str(getattr(route, "path", None) or "other")

