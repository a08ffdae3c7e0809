"""A tile server on the loopback that serves a folder of tiles, keeps a log and misbehaves when told."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from loopback import LoopbackServer

Answer = tuple[int, dict[str, str], bytes]


class TileHttp:
    """A server of one folder.

    Attributes:
        log: Paths asked for, in order.
        headers: Headers of the last request.
        scripted: Answers for the next requests, before the folder's; None for the folder's own.
    """

    def __init__(self, folder: Path, suffix: str = "png") -> None:
        self.folder, self.suffix = folder, suffix
        self.log: list[str] = []
        self.headers: dict[str, str] = {}
        self.scripted: list[Answer | Callable[[str], Answer] | None] = []
        self.cut: int | None = None
        self.status_of_missing = 404
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.log.append(self.path)
                outer.headers = dict(self.headers)
                step = outer.scripted.pop(0) if outer.scripted else None
                status, headers, body = outer.tile(self.path) if step is None else step(self.path) if callable(step) else step
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                if "Content-Length" not in headers and status != 204:
                    self.send_header("Content-Length", str(len(body)))
                if "Content-Length" in headers:
                    self.close_connection = True
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = LoopbackServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def tile(self, path: str) -> Answer:
        """XYZ, TMS, quadkey, WMTS by path and by keys: whatever the path begins with says which."""
        parts = urlsplit(path)
        query = {k.lower(): v[0] for k, v in parse_qs(parts.query).items()}
        numbers = [int(n) for n in re.findall(r"\d+", parts.path.rpartition(".")[0] or parts.path)]
        if parts.path.startswith("/tms/"):
            z, x, y = numbers
            y = 2**z - 1 - y
        elif parts.path.startswith("/quad/"):
            key = parts.path.split("/")[2].split(".")[0]
            z = len(key)
            x = int("".join(str(int(d) & 1) for d in key), 2)
            y = int("".join(str(int(d) >> 1) for d in key), 2)
        elif parts.path.startswith("/wmts/"):  # matrix, row, column
            z, y, x = numbers
        elif parts.path.startswith("/kvp"):
            z, y, x = int(query["tilematrix"]), int(query["tilerow"]), int(query["tilecol"])
        else:
            z, x, y = numbers
        file = self.folder / str(z) / str(x) / f"{y}.{self.suffix}"
        if not file.is_file():
            return self.status_of_missing, {}, b""
        return 200, {"Content-Type": f"image/{self.suffix}"}, file.read_bytes()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(folder: Path, suffix: str = "png"):
    server = TileHttp(folder, suffix)
    try:
        yield server
    finally:
        server.close()
