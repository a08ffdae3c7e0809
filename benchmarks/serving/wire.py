"""HTTP as bytes over a socket: a client that costs little, and can say what no library would."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

EDGE = "edge-of-a-part"
FORM = f"multipart/form-data; boundary={EDGE}"


class Answer(NamedTuple):
    """An answer.

    Attributes:
        status: Its status.
        headers: Its headers, with names in lower case.
        body: Its body.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """A kept connection to a server on this machine; it is opened again after the server has closed it.

    Args:
        port: The server's port.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send the bytes of a request and return its answer.

        Raises:
            OSError: If the server cannot be reached or hangs up before the answer is whole.
        """
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        assert self._reader is not None
        try:
            self._writer.write(request)
            await self._writer.drain()
            answer = await read_answer(self._reader)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError) as error:
            self.close()
            if isinstance(error, asyncio.IncompleteReadError):
                raise ConnectionError(str(error)) from error
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    async def send_only(self, request: bytes) -> None:
        """Send the bytes of a request, and nothing else."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        self._writer.write(request)
        await self._writer.drain()

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read an answer.

    Raises:
        asyncio.IncompleteReadError: If the server hangs up before.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    status = int(head[0].split()[1])
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return Answer(status, headers, body)
    length = int(headers.get("content-length", 0))
    return Answer(status, headers, await reader.readexactly(length) if length else b"")


def request(method: str, path: str, body: bytes = b"", kind: str = FORM, headers: str = "") -> bytes:
    """Return the bytes of a request."""
    lines = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}"
    if body or method in {"POST", "PUT"}:
        lines += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{lines}\r\n".encode("latin-1") + body


def form(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    """Return a multipart body.

    Args:
        parts: Name, file name (None for a plain field) and content of each.
    """
    found = b""
    for name, file, content in parts:
        more = "" if file is None else f'; filename="{file}"\r\nContent-Type: application/octet-stream'
        found += f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"
    return found + f"--{EDGE}--\r\n".encode()
