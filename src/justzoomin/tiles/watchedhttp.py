"""HTTP requests with a time limit that cannot be redirected from the internet into a private network.

The library's timeout limits each wait for more bytes. A server that sends a byte a second, headers included, could hold a
request forever. So a watch closes the connection when the time for the complete request is over. The address that a request
goes to is known for certain only when the connection is made. So it is checked there, before the request is sent.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from types import TracebackType
from typing import Any

_under_way = threading.local()


class PrivateAddressError(Exception):
    """A server on the internet redirects to an address of a private network."""


class Watch:
    """Watches one request of this thread and closes its connection when its time is over.

    Args:
        seconds: How long it may take, from connecting to the last byte.
        public_only: Whether it may only go to addresses of the internet.
    """

    def __init__(self, seconds: float, *, public_only: bool = False) -> None:
        self.over = False
        """Whether the time was over before the request was done."""
        self.public = False
        """Whether it reached an address of the internet."""
        self._public_only = public_only
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Watch:
        _under_way.watch = self
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        _under_way.watch = None
        with self._lock:
            while self._connections:
                self._connections.pop().close()

    def connected(self, connection: socket.socket, *, proxied: bool) -> None:
        """Note a connection; behind a proxy, the address that it leads to is not checked.

        Raises:
            PrivateAddressError: If it leads to a private network and only the internet is allowed.
        """
        with self._lock:
            # A separate handle, because the library wraps, detaches and closes its handles.
            self._connections.append(socket.fromfd(connection.fileno(), connection.family, connection.type))
            if self.over:
                self._cut()
        if not proxied:
            private = is_private(str(connection.getpeername()[0]))
            if private and self._public_only:
                raise PrivateAddressError
            self.public |= not private

    def _end(self) -> None:
        with self._lock:
            self.over = True
            self._cut()

    def _cut(self) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def is_private(address: str) -> bool:
    """Return whether an IP address belongs to this machine or a private network, not to the internet."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return not (mapped or found).is_global


def watched_session() -> Any:
    """Return a session of `requests` whose connections report to the watch of their thread."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def watched(kind: Any) -> Any:
        class Connection(kind):  # type: ignore[misc]
            def _new_conn(self) -> Any:
                made = super()._new_conn()
                self._report(made)
                return made

            def request(self, *args: Any, **keywords: Any) -> Any:
                if self.sock is not None:  # kept from an earlier request
                    self._report(self.sock)
                return super().request(*args, **keywords)

            def _report(self, connection: Any) -> None:
                watch: Watch | None = getattr(_under_way, "watch", None)
                if watch is not None:
                    watch.connected(connection, proxied=self.proxy is not None)

        return Connection

    class Plain(HTTPConnectionPool):
        ConnectionCls = watched(HTTPConnection)

    class Secure(HTTPSConnectionPool):
        ConnectionCls = watched(HTTPSConnection)

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **keywords: Any) -> None:
            super().init_poolmanager(*args, **keywords)
            self.poolmanager.pool_classes_by_scheme = {"http": Plain, "https": Secure}

        def proxy_manager_for(self, *args: Any, **keywords: Any) -> Any:
            manager = super().proxy_manager_for(*args, **keywords)
            manager.pool_classes_by_scheme = {"http": Plain, "https": Secure}
            return manager

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    return session
