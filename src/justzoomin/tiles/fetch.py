"""Fetching tiles over http: slowly, few at a time, again after failures, never more than a tile's worth of bytes or of time.

This stays our own code, because servers of others must be asked politely and their answers may be hostile.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from justzoomin.errors import MissingExtraError, TileError
from justzoomin.tiles.tileheader import CutTileError
from justzoomin.tiles.urltemplate import mask_address
from justzoomin.tiles.watchedhttp import PrivateAddressError, Watch, watched_session

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later."""
_NONE_THERE = frozenset({204, 404, 410})
"""Answers that mean: there is no such tile."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_LONGEST_WAIT_S = 120.0
"""A server that asks for a longer pause than this ends the work instead: better said than silently slept."""
_DOWN_S = 30.0
"""For so long a host that could not be reached is not tried again where an old tile will do."""
_CHUNK = 1 << 16
_OUT_OF_RANGE = b"TileOutOfRange"
"""What a WMTS answers, with status 400, where it has no tile. Source: OGC 07-057r7, 7.2.2."""


class UnreachableError(TileError):
    """A server did not give a whole answer, however often it was asked."""


class NoTileError(Exception):
    """An answer that means: there is no such tile; its words say which."""


class Fetched(NamedTuple):
    """What a server said of a tile.

    Args:
        content: Its file; None where there is none.
        none: How the server said that there is none.
    """

    content: bytes | None
    none: str = ""


@dataclass(frozen=True)
class FetchRules:
    """How a server may be asked.

    Args:
        requests_per_second: Requests a second and host, over all threads of this process.
        parallel: Requests under way at once to a host.
        timeout_s: Seconds to wait for a connection, and for more bytes.
        tile_limit_s: Seconds for one tile, all tries together; pauses between them do not count.
        retries: Further tries after a broken connection, a busy server or its inner error.
        max_bytes: Bytes of an answer.
        agent: User-Agent of the requests.
    """

    requests_per_second: float
    parallel: int
    timeout_s: float
    tile_limit_s: float
    retries: int
    max_bytes: int
    agent: str


@dataclass
class Pace:
    """When a host may be asked next. One per process: all maps of a host share it.

    Args:
        clock: Seconds that only grow.
        sleep: Waits for seconds.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next: dict[str, float] = field(default_factory=dict)
    _down: dict[str, float] = field(default_factory=dict)
    _gates: dict[tuple[str, int], threading.BoundedSemaphore] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def wait(self, host: str, requests_per_second: float) -> None:
        """Wait until the host may be asked."""
        with self._lock:
            now = self.clock()
            start = max(now, self._next.get(host, now))
            self._next[host] = start + 1.0 / requests_per_second
        if start > now:
            self.sleep(start - now)

    def hold(self, host: str, seconds: float) -> None:
        """Leave a host alone for a while."""
        with self._lock:
            self._next[host] = max(self._next.get(host, 0.0), self.clock() + seconds)

    def gate(self, host: str, parallel: int) -> threading.BoundedSemaphore:
        """What bounds the requests under way to a host."""
        with self._lock:
            return self._gates.setdefault((host, parallel), threading.BoundedSemaphore(parallel))

    def set_down(self, host: str) -> None:
        """Remember that a host cannot be reached."""
        with self._lock:
            self._down[host] = self.clock() + _DOWN_S

    def is_down(self, host: str) -> bool:
        """Whether a host could not be reached a moment ago."""
        with self._lock:
            return self._down.get(host, -math.inf) > self.clock()


_PACES: dict[int, Pace] = {}


def shared_pace() -> Pace:
    """The pace of this process; a forked one begins its own, as locks held elsewhere would never open."""
    return _PACES.setdefault(os.getpid(), Pace())


def agent(contact: str = "") -> str:
    """What this package calls itself to servers."""
    from importlib.metadata import version

    return f"justzoomin/{version('justzoomin')}" + (f" ({contact})" if contact else "")


class Fetcher:
    """Gets the content of addresses. Safe from threads, after forks and pickling.

    Args:
        rules: How servers may be asked.
        pace: A pace instead of the process's own, for tests.
    """

    def __init__(self, rules: FetchRules, pace: Pace | None = None) -> None:
        self.rules = rules
        self._pace = pace
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"rules": self.rules}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["rules"])  # type: ignore[misc]

    @property
    def pace(self) -> Pace:
        """The pace it keeps to."""
        return self._pace or shared_pace()

    def get(self, url: str, where: str, check: Callable[[bytes], None]) -> Fetched:
        """The checked content at an address, or that the server has none.

        Args:
            url: The address, secrets included.
            where: The address for messages.
            check: Raises TileError where a content is not what was asked for; after a CutTileError it is asked for again.
                Raises NoTileError where a content means that there is none.

        Raises:
            UnreachableError: If no whole answer came, however often it was asked, or the time for a tile is over.
            TileError: If the server refuses, or answers with something else.
        """
        # Not urllib3's own retries: they would pass the pace by, sleep as long as a server says, and not see a cut body.
        problem, host, clock = "no answer", "", _Clock(self.rules.tile_limit_s)
        for tried in range(self.rules.retries + 1):
            try:
                return self._once(url, where, check, clock)
            except NoTileError as error:
                return Fetched(None, str(error))
            except _AskAgainError as error:
                host = error.host
                if tried == 0 or clock.left() > 0:  # what was wrong before the time was over says more
                    problem = error.problem
                if clock.left() <= 0:
                    self.pace.set_down(host)
                    raise UnreachableError(
                        where, f"no whole answer within {self.rules.tile_limit_s:g} s ({problem}, {_tried(tried + 1)})",
                        "Go on later: what was fetched is kept. For a slow server, allow more: --tile-seconds (tile_limit_s)."
                    ) from None
                pause = error.pause_s if error.pause_s is not None else min(30.0, 0.5 * 2.0**tried)
            if pause > _LONGEST_WAIT_S:
                raise UnreachableError(where, f"{problem}, and the server asks to wait {pause:.0f} s", "Go on later: what was "
                                  "fetched is kept.")
            self.pace.hold(host, pause)
        self.pace.set_down(host)
        raise UnreachableError(where, f"{problem}, {_tried(self.rules.retries + 1)}",
                          "Check the network and the address, or go on later: what was fetched is kept.")

    def _once(self, url: str, where: str, check: Callable[[bytes], None], clock: _Clock) -> Fetched:
        requests, public = _requests(), False
        for _ in range(_MAX_REDIRECTS + 1):
            host = urlsplit(url).netloc
            with self.pace.gate(host, self.rules.parallel):
                self.pace.wait(host, self.rules.requests_per_second)
                watch = Watch(clock.left(), public_only=public)
                try:
                    with clock, watch, self._session().get(url, timeout=self.rules.timeout_s, stream=True,
                                                           allow_redirects=False) as answer:
                        if answer.status_code not in _REDIRECTS:
                            return self._answer(answer, host, where, check)
                        url, public = self._redirect(url, answer.headers.get("Location", ""), where), public or watch.public
                except PrivateAddressError:
                    raise TileError(where, f"it leads from the internet to {mask_address(url)[:200]} in a private network",
                                    "If this is meant, give that address yourself.") from None
                except (requests.exceptions.RequestException, _AskAgainError, UnicodeError) as error:
                    if watch.over:
                        raise _AskAgainError(host, "its bytes come too slowly") from None
                    raise self._failure(error, host, where) from None
        raise TileError(where, f"it leads on more than {_MAX_REDIRECTS} times", "Check the address.")

    def _failure(self, error: Exception, host: str, where: str) -> Exception:
        """What a failed request means here. Never the error's own text: it holds the address with its secrets."""
        kinds = _requests().exceptions
        if isinstance(error, _AskAgainError):
            return error
        if isinstance(error, kinds.Timeout):
            return _AskAgainError(host, f"no answer within {self.rules.timeout_s:g} s")
        if isinstance(error, kinds.SSLError):
            return TileError(where, "the server's certificate is not trusted", "Check the address.")
        if isinstance(error, kinds.ConnectionError | kinds.ChunkedEncodingError):
            return _AskAgainError(host, "the server cannot be reached or cut the answer")
        return TileError(where, "the address or the answer makes no sense", "Check the address.")

    def _answer(self, answer: Any, host: str, where: str, check: Callable[[bytes], None]) -> Fetched:
        """What an answer says that leads nowhere else."""
        status, headers = answer.status_code, answer.headers
        if status in _AGAIN:
            raise _AskAgainError(host, f"the server answers {status}", _pause(headers))
        if status in _NONE_THERE:
            raise NoTileError(f"answered {status}")
        if status == 400 and _OUT_OF_RANGE in self._body(answer, host, where):
            raise NoTileError("answered 400 TileOutOfRange")
        _refuse(status, where)
        marks = [key for key, value in headers.items() if "tile" in key.lower() and value.strip().lower() == "no-tile"]
        if marks:
            raise NoTileError(f"marked {marks[0]}: no-tile")
        content = self._body(answer, host, where)
        try:
            check(content)
        except CutTileError as error:
            raise _AskAgainError(host, error.what) from None
        return Fetched(content)

    def _body(self, answer: Any, host: str, where: str) -> bytes:
        """All bytes of an answer: as many as it promises, and an end that it states where it has none."""
        content, promised, kinds = bytearray(), answer.headers.get("Content-Length", ""), _requests().exceptions
        try:
            for part in answer.iter_content(_CHUNK):
                content += part
                if len(content) > self.rules.max_bytes:
                    raise TileError(where, f"the answer is longer than {self.rules.max_bytes} bytes", "It is no tile.")
        except (kinds.ConnectionError, kinds.ChunkedEncodingError):
            size = f" of {promised} bytes" if promised.isdigit() else ""
            raise _AskAgainError(host, f"the answer{size} stops before its end") from None
        if not content and not promised and "chunked" not in answer.headers.get("Transfer-Encoding", "").lower():
            raise _AskAgainError(host, "the server closes the connection without a byte")
        return bytes(content)

    def _redirect(self, url: str, location: str, where: str) -> str:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        plain = new.scheme in {"http", "https"} and new.netloc and location
        if not plain or (old.scheme, new.scheme) == ("https", "http"):
            raise TileError(where, f"it leads to {mask_address(target)[:200]}",
                            "Only http and https addresses are followed, and never from https to http.")
        return target

    def _session(self) -> Any:
        if getattr(self._local, "process", None) != os.getpid():
            session = watched_session()
            session.headers.update({"User-Agent": self.rules.agent, "Accept": "image/*", "Accept-Encoding": "identity"})
            self._local.session, self._local.process = session, os.getpid()
        return self._local.session


class _Clock:
    """Time spent on requests, of what is allowed for them; entered while one is under way.

    Args:
        seconds: What is allowed.
    """

    def __init__(self, seconds: float) -> None:
        self._left, self._since = seconds, 0.0

    def left(self) -> float:
        """Seconds left; none below 0."""
        return max(0.0, self._left)

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._left -= time.monotonic() - self._since


class _AskAgainError(Exception):
    """A try failed in a way that another may not."""

    def __init__(self, host: str, problem: str, pause_s: float | None = None) -> None:
        super().__init__(problem)
        self.host, self.problem, self.pause_s = host, problem, pause_s


def _tried(times: int) -> str:
    return "tried once" if times == 1 else f"tried {times} times"


def _requests() -> Any:
    try:
        import requests
    except ModuleNotFoundError as error:
        raise MissingExtraError("requests", "own") from error
    return requests


def _pause(headers: Any) -> float | None:
    """Seconds that a Retry-After asks for; None where there is none that can be read."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    text = headers.get("Retry-After")
    try:
        return None if text is None else max(0.0, float(Retry().parse_retry_after(text)))
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _refuse(status: int, where: str) -> None:
    if status in {401, 403}:
        raise TileError(where, f"the server refuses ({status})",
                        "Check the key in the address and the server's terms; some servers forbid programs.")
    if status != 200:
        raise TileError(where, f"the server answers {status}", "Check the address, the levels and the area.")
