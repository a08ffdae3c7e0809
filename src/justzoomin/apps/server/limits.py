"""Who may ask, and how much: key, host, origin, size and speed of a request's body. Pure ASGI, before everything else."""

from __future__ import annotations

import asyncio
import hmac
import time
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from justzoomin.apps.server.problems import ProblemError, problem_response
from justzoomin.apps.server.settings import ServeSettings

COOKIE = "jzi_token"
"""Cookie in which the page keeps the key, because pictures are asked for without headers."""
OPEN = ("/healthz", "/readyz", "/metrics", "/page/", "/docs")
"""Paths, besides `/`, that need no key: they tell nothing of photos or maps."""
LARGE = ("/v1/jobs", "/v1/track")
_SAFE = {"GET", "HEAD", "OPTIONS"}
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
                               "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
                               "frame-ancestors 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "permissions-policy": "geolocation=(), microphone=()"}


class Limits:
    """An ASGI application that guards another one.

    Args:
        app: The guarded application.
        settings: The limits.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        guarded, root = _with_headers(send), self.settings.root_path
        if root and scope["path"] == root:  # the page's addresses are relative to its folder
            await RedirectResponse(f"{root}/")(scope, receive, guarded)
            return
        _put_under(scope, root)
        try:
            self._check(scope)
        except ProblemError as problem:
            await problem_response(problem)(scope, receive, guarded)
            return
        body = _Body(receive, guarded, self._most_bytes(scope), self.settings)
        if scope["method"] == "HEAD":  # routes answer GET; the server, which keeps its own scope, leaves the body out
            scope = {**scope, "method": "GET"}
        try:
            await self.app(scope, body.receive, body.send)
        except Exception:
            if body.problem is None:
                raise
        if body.problem is not None and not body.begun:
            await problem_response(body.problem)(scope, receive, guarded)

    def _check(self, scope: Scope) -> None:
        headers, path = Headers(scope=scope), _path(scope)
        self._check_origin(headers, scope["method"])
        if self.settings.token is None:
            host = (headers.get("host") or "").rpartition(":")[0] or headers.get("host", "")
            if not _named(headers.get("host", ""), self.settings.allowed_hosts):
                raise ProblemError(421, "Host", f"this service does not answer under the name {host[:80]!r}",
                                   "Ask it under localhost, or start it with --hosts or --token.")
        elif path != "/" and not path.startswith(OPEN) and not self._has_key(headers):
            raise ProblemError(401, "Authorization", "the key is missing or wrong",
                               "Send the header Authorization: Bearer KEY.", {"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length")
        if length is not None and length.isdigit() and int(length) > self._most_bytes(scope):
            raise _too_large(self._most_bytes(scope))

    def _check_origin(self, headers: Headers, method: str) -> None:
        """Refuse requests that change something and that another web page makes a browser send."""
        origin = headers.get("origin")
        if method in _SAFE or origin is None or origin.rstrip("/") in self.settings.origins or "*" in self.settings.origins:
            return
        try:
            netloc = urlsplit(origin).netloc
        except ValueError:
            netloc = ""
        if not netloc or netloc != headers.get("host", ""):
            raise ProblemError(403, "Origin", f"pages of {origin[:80]!r} may not ask this service", "Allow them with --cors.")

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            try:
                kept = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            except CookieError:
                kept = None
            given = "" if kept is None else unquote(kept.value)
        return hmac.compare_digest(given.strip().encode(), (self.settings.token or "").encode())

    def _most_bytes(self, scope: Scope) -> int:
        large = _path(scope).startswith(LARGE)
        return int(1e6 * (self.settings.max_job_mb if large else self.settings.max_body_mb))


class _Body:
    """The body of a request, with limits; an answer after a limit was passed is replaced by the problem."""

    def __init__(self, receive: Receive, send: Send, most: int, settings: ServeSettings) -> None:
        self._receive, self._send, self._most, self._settings = receive, send, most, settings
        self._read, self._whole, self._started = 0, False, time.monotonic()
        self.problem: ProblemError | None = None
        self.begun = False

    async def receive(self) -> Message:
        if self._whole:  # only a client that leaves is still to be heard of
            return await self._receive()
        left = self._settings.upload_s - (time.monotonic() - self._started)
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, min(left, self._settings.upload_idle_s)))
        except TimeoutError:
            raise self._stop(ProblemError(408, "body", "the request's body comes too slowly",
                                          "Send it faster, or in smaller parts.", {"Connection": "close"})) from None
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._most:
                raise self._stop(_too_large(self._most))
            self._whole = not message.get("more_body", False)
        return message

    def _stop(self, problem: ProblemError) -> ProblemError:
        self.problem = problem
        return problem

    async def send(self, message: Message) -> None:
        if self.problem is not None and not self.begun:
            return
        self.begun = self.begun or message["type"] == "http.response.start"
        await self._send(message)


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "body", f"the request has more than {most:,} bytes",
                        "Send fewer photos at once, or make a job of them (/v1/jobs).", {"Connection": "close"})


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return guarded


def _put_under(scope: Scope, root: str) -> None:
    """Put a request below a path, whether or not the proxy has left the path in it."""
    path = str(scope["path"])
    if root:
        scope.update(root_path=root, path=path if path == root or path.startswith(root + "/") else root + path)


def _path(scope: Scope) -> str:
    """Return the path below the one that a proxy serves."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _named(host: str, allowed: list[str]) -> bool:
    name = host if host.startswith("[") and host.endswith("]") else host.rpartition(":")[0] or host
    return "*" in allowed or name.lower() in allowed


def wanted(headers: Headers, kinds: dict[str, Any]) -> Any:
    """Return the value of the kind that a header Accept names first; that of the first kind if it names none."""
    accept = [part.partition(";")[0].strip() for part in headers.get("accept", "").split(",")]
    return next((kinds[kind] for kind in accept if kind in kinds), next(iter(kinds.values())))
