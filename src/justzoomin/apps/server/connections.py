"""Connections that do not wait for ever: uvicorn has no limit for the time that the head of a request takes."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def protocol(head_s: float) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP/1.1 with a limit for what it waits for without an end.

    A connection is closed if the head of its request, or the rest of a body that was answered early, takes longer. Bodies that
    the application reads have limits there; uvicorn itself closes a connection that has been idle after an answer.

    Args:
        head_s: Seconds.
    """
    class Timed(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def send_400_response(self, msg: str) -> None:
            if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                super().send_400_response(msg)
            else:  # the request was answered before its body was found to be damaged
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _watch(self) -> None:
            """Start the time when something has to come, and stop it when the application works or the connection is idle."""
            answering = self.cycle is not None and not self.cycle.response_complete
            idle = self.timeout_keep_alive_task is not None and self.conn.their_state is not h11.SEND_BODY
            if answering or idle:
                self._forget()
            elif self._timer is None:
                self._timer = self.loop.call_later(head_s, self.transport.abort)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Timed
