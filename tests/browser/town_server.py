"""The service in a thread, on a port that stays its own: it can end in the middle of something and come back."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import torch
import uvicorn

from justzoomin.apps.server.app import create_app
from justzoomin.apps.server.running import listen
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.maps import Map
from justzoomin.models import ZoomModel
from justzoomin.search import Localizer

PATIENCE_S = 60


class Gate:
    """Lets batches of photos pass: all of them, or after `close` only as many as `let` says."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._left: float = float("inf")

    def close(self) -> None:
        with self._changed:
            self._left = 0

    def let(self, batches: float = float("inf")) -> None:
        with self._changed:
            self._left += batches
            self._changed.notify_all()

    def passing(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._left > 0, PATIENCE_S), "nobody opened the gate"
            self._left -= 1


class TownServer:
    """A server that can be started again; `localizer` is new each time, as in a new process."""

    def __init__(self, model: ZoomModel, source: Map, jobs: Path, examples: Path | None = None, **settings: Any) -> None:
        self.model, self.source, self.jobs, self.examples = model, source, jobs, examples
        self.settings = ServeSettings(**settings)
        self.gate, self.port = Gate(), 0
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        localizer = Localizer(self.model, self.source)
        listening = listen("127.0.0.1", self.port)
        self.port = listening.getsockname()[1]
        app = create_app(localizer, self.settings, self.jobs, examples=self.examples)
        encode = localizer.encode

        def encode_in_turn(pairs: torch.Tensor) -> torch.Tensor:
            self.gate.passing()
            return encode(pairs)

        localizer.encode = encode_in_turn  # type: ignore[method-assign]
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Break all connections and end; then what waits at the gate passes, because a thread cannot be killed."""
        self._server.should_exit = True
        end = time.monotonic() + PATIENCE_S
        while any(each.is_serving() for each in self._server.servers) or self._server.server_state.connections:
            assert time.monotonic() < end, "the server does not stop listening"
            for one in list(self._server.server_state.connections):
                one.loop.call_soon_threadsafe(one.transport.abort)
            time.sleep(0.01)
        self.gate.let()  # not before: no photo is to be answered by a server that is gone
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
