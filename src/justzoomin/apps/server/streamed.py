"""Forms with many photos: every part goes from the connection to the disk, and no photo is kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from justzoomin.apps.server.problems import ProblemError
from justzoomin.apps.server.waiting import ClientGoneError
from justzoomin.errors import DiskError, JustZoomInError
from justzoomin.service import NoRoomError, NoSuchJobError, NotDoneError, StoredForm, TooLargeError, TooManyJobsError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_STATUS: dict[type[JustZoomInError], int] = {
    TooLargeError: 413, TooManyJobsError: 503, NoRoomError: 507, NoSuchJobError: 404, NotDoneError: 409}
_RETRY_S = 60


class _Parts:
    """What the parser calls: the parts of a form on their way into a folder."""

    def __init__(self, form: StoredForm) -> None:
        self._form = form
        self._field, self._value, self._disposition = b"", b"", b""
        self.ended = False

    def on_part_begin(self) -> None:
        self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name, filename = options.get(b"name"), options.get(b"filename")
        if name is None:
            raise ProblemError(400, "body", "a part of the form has no name", "Send multipart/form-data with named parts.")
        self._form.begin(name.decode("utf-8", "replace"), None if filename is None else filename.decode("utf-8", "replace"))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._form.write(data[start:end])

    def on_part_end(self) -> None:
        self._form.end()

    def on_end(self) -> None:
        self.ended = True


async def receive(request: Request, form: StoredForm) -> None:
    """Store a request's form.

    Args:
        request: The request; its body has not been read.
        form: Where the parts go.

    Raises:
        ProblemError: If it is not a form (400, 415) or the client left.
        JustZoomInError: If a limit of the form was passed.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise ProblemError(415, "Content-Type", "it is not multipart/form-data", "Send the photos as parts of a form.")
    parts = _Parts(form)
    calls: MultipartCallbacks = {
        "on_part_begin": parts.on_part_begin, "on_header_field": parts.on_header_field,
        "on_header_value": parts.on_header_value, "on_header_end": parts.on_header_end,
        "on_headers_finished": parts.on_headers_finished, "on_part_data": parts.on_part_data,
        "on_part_end": parts.on_part_end, "on_end": parts.on_end}
    try:
        parser = MultipartParser(options[b"boundary"], calls)
        async for chunk in request.stream():
            if chunk:
                await run_in_threadpool(parser.write, chunk)
    except FormParserError as error:
        raise ProblemError(400, "body", "it is not multipart/form-data", "Send the photos as parts of a form.") from error
    except ClientDisconnect as error:
        raise ClientGoneError from error
    if not parts.ended:
        raise ProblemError(400, "body", "it ends too early", "Send the whole form.")


@contextmanager
def as_problems() -> Iterator[None]:
    """Give errors of jobs and uploads their status; paths of the server are not told.

    Raises:
        ProblemError: Instead of the error.
    """
    try:
        yield
    except DiskError as error:
        raise ProblemError(507, "disk", "the server cannot write to its disk", "Try again later.") from error
    except tuple(_STATUS) as error:
        headers = {"Retry-After": str(_RETRY_S)} if isinstance(error, TooManyJobsError) else None
        raise ProblemError(_STATUS[type(error)], error.where, error.what, error.remedy, headers) from error
