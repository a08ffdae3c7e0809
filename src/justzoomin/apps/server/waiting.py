"""Waiting for photos in the queue: until they are done, the time is over, or the client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from fastapi import Request

from justzoomin.apps.server.problems import ProblemError
from justzoomin.errors import JustZoomInError
from justzoomin.service import QueueFullError


class ClientGoneError(ProblemError):
    """The client has left; nobody reads the answer."""

    def __init__(self) -> None:
        super().__init__(499, "client", "the client has left", "Stay connected until the answer comes.")


def busy(error: QueueFullError) -> ProblemError:
    """Return the problem of a full queue."""
    return ProblemError(503, error.where, error.what, error.remedy, {"Retry-After": str(error.retry_s)})


async def results(request: Request, futures: Sequence[Future[Any]], seconds: float) -> list[Any]:
    """Return the results of photos, or their errors; photos that nobody waits for any more are dropped.

    Args:
        request: The request, whose body has been read.
        futures: The photos' results.
        seconds: Longest time to wait.

    Raises:
        ProblemError: If the time is over (503).
        ClientGoneError: If the client has left.
    """
    every: asyncio.Future[list[Any]] = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
    gone: asyncio.Future[Any] = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({every, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if every.done():
            found = every.result()
            for one in found:
                if isinstance(one, BaseException) and not isinstance(one, JustZoomInError):
                    raise one
            return found
        if gone.done():
            raise ClientGoneError
        raise ProblemError(503, "queue", f"the answer was not ready within {seconds:g} s",
                           "Try again later, with fewer photos at once, or make a job of them.", {"Retry-After": "10"})
    finally:
        gone.cancel()
        if not every.done():
            every.add_done_callback(_heard)
            every.cancel()
        for future in futures:
            future.cancel()


def _heard(future: asyncio.Future[Any]) -> None:
    """Take note of how a future ended, so that asyncio does not log it."""
    if not future.cancelled():
        future.exception()


async def _gone(request: Request) -> None:
    """Return when the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
