"""Errors as problem details: what is wrong, where, and what to do. Source: RFC 9457."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from justzoomin.errors import ConfigError, GeometryError, JustZoomInError, PhotoError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("justzoomin.server")
_THEIRS = (ConfigError, GeometryError, PhotoError)
"""Errors that are the client's: 422. All others are the server's: 500."""


class ProblemError(JustZoomInError):
    """An error with a status of HTTP.

    Args:
        status: The status.
        where: The field, part or header that is wrong.
        what: What is wrong with it.
        remedy: What the client can do.
        headers: Headers of the answer.
    """

    def __init__(self, status: int, where: str, what: str, remedy: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = status, dict(headers or {})
        super().__init__(where, what, remedy)


def problem_of(error: JustZoomInError) -> ProblemError:
    """Return an error of the rooms below as a problem."""
    if isinstance(error, ProblemError):
        return error
    return ProblemError(422 if isinstance(error, _THEIRS) else 500, error.where, error.what, error.remedy)


def problem_response(error: JustZoomInError) -> JSONResponse:
    """Return the answer that tells an error."""
    problem = problem_of(error)
    return JSONResponse(problem_body(problem), problem.status, problem.headers, MEDIA_TYPE)


def problem_body(problem: ProblemError) -> dict[str, Any]:
    """Return the fields of problem details."""
    known = problem.status in set(HTTPStatus)  # 499, the client has left, is in logs and metrics alone
    return {"type": "about:blank", "title": HTTPStatus(problem.status).phrase if known else "Error", "status": problem.status,
            "detail": str(problem), "where": problem.where, "what": problem.what, "remedy": problem.remedy}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of an application as problem details; unexpected ones are logged and not told."""

    @app.exception_handler(JustZoomInError)
    def ours(request: Request, error: JustZoomInError) -> JSONResponse:
        if problem_of(error).status >= 500:
            _LOG.error("%s %s: %s", request.method, request.url.path, error)
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    def fields(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"}) or "body"
        return problem_response(ProblemError(422, where, str(first["msg"]), "See /docs for the fields of this request."))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        return problem_response(ProblemError(error.status_code, request.url.path, str(error.detail).rstrip("."),
                                        "See /docs for the requests of this service.", error.headers))

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        _LOG.exception("%s %s", request.method, request.url.path, exc_info=error)
        return problem_response(ProblemError(500, request.url.path, "the server made an error",
                                        "Its log says which. Please report it."))
