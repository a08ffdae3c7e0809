"""Fetching tiles over http: slowly, few at a time, again after failures, within limits of bytes and time for each tile.

This is own code, because servers of others must be asked politely and their answers may be hostile.
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
"""Status codes after which another try may succeed."""
_NONE_THERE = frozenset({204, 404, 410})
"""Status codes that mean that there is no such tile."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_LONGEST_WAIT_S = 120.0
"""If a server asks for a longer pause, the work ends with an error instead of a silent wait."""
_DOWN_S = 30.0
"""How long a host that could not be reached is not tried again if an old tile is there."""
_CHUNK = 1 << 16
_OUT_OF_RANGE = b"TileOutOfRange"
"""What a WMTS server answers, with status 400, if it has no tile. Source: OGC 07-057r7, 7.2.2."""


class UnreachableError(TileError):
    """A server did not give a complete answer in any try."""


class NoTileError(Exception):
    """An answer that means that there is no such tile; the text says which answer."""


class Fetched(NamedTuple):
    """A server's answer about a tile.

    Args:
        content: The tile's file; None if there is no such tile.
        none: How the server said that there is no such tile.
    """

    content: bytes | None
    none: str = ""


@dataclass(frozen=True)
class FetchRules:
    """Limits for requests to a server.

    Args:
        requests_per_second: Requests a second to one host, over all threads of this process.
        parallel: Requests to one host at the same time.
        timeout_s: Seconds to wait for a connection, and for more bytes.
        tile_limit_s: Seconds for one tile in all tries; pauses between them do not count.
        retries: Further tries after a broken connection, a busy server or a server error.
        max_bytes: Most bytes of an answer.
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
    """When the next request to a host is allowed. All maps of a process share one pace.

    Args:
        clock: Returns seconds that never decrease.
        sleep: Waits for a number of seconds.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next: dict[str, float] = field(default_factory=dict)
    _down: dict[str, float] = field(default_factory=dict)
    _gates: dict[tuple[str, int], threading.BoundedSemaphore] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def wait(self, host: str, requests_per_second: float) -> None:
        """Wait until the next request to the host is allowed."""
        with self._lock:
            now = self.clock()
            start = max(now, self._next.get(host, now))
            self._next[host] = start + 1.0 / requests_per_second
        if start > now:
            self.sleep(start - now)

    def hold(self, host: str, seconds: float) -> None:
        """Allow no request to a host for some seconds."""
        with self._lock:
            self._next[host] = max(self._next.get(host, 0.0), self.clock() + seconds)

    def gate(self, host: str, parallel: int) -> threading.BoundedSemaphore:
        """Return the semaphore that limits the requests to a host at the same time."""
        with self._lock:
            return self._gates.setdefault((host, parallel), threading.BoundedSemaphore(parallel))

    def set_down(self, host: str) -> None:
        """Remember that a host cannot be reached."""
        with self._lock:
            self._down[host] = self.clock() + _DOWN_S

    def is_down(self, host: str) -> bool:
        """Return whether a host could not be reached a moment ago."""
        with self._lock:
            return self._down.get(host, -math.inf) > self.clock()


_PACES: dict[int, Pace] = {}


def shared_pace() -> Pace:
    """Return the pace of this process; a forked process makes its own, because inherited locks might never open."""
    return _PACES.setdefault(os.getpid(), Pace())


def agent(contact: str = "") -> str:
    """Return the User-Agent of this package."""
    from importlib.metadata import version

    return f"justzoomin/{version('justzoomin')}" + (f" ({contact})" if contact else "")


class Fetcher:
    """Gets the content of addresses. It can be used by threads, after forks and after pickling.

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
        """The pace that it keeps."""
        return self._pace or shared_pace()

    def get(self, url: str, where: str, check: Callable[[bytes], None]) -> Fetched:
        """Fetch and check the content at an address; the server may say that there is none.

        Args:
            url: The address, secrets included.
            where: The address for messages.
            check: Raises TileError if the content is not the wanted tile; after a CutTileError the tile is requested again.
                Raises NoTileError if the content means that there is no tile.

        Raises:
            UnreachableError: If no complete answer came in any try, or the time for a tile is over.
            TileError: If the server refuses, or answers with something else.
        """
        # urllib3's own retries would ignore the pace, sleep as long as a server says, and not notice a cut body.
        problem, host, clock = "no answer", "", _Clock(self.rules.tile_limit_s)
        for tried in range(self.rules.retries + 1):
            try:
                return self._once(url, where, check, clock)
            except NoTileError as error:
                return Fetched(None, str(error))
            except _AskAgainError as error:
                host = error.host
                if tried == 0 or clock.left() > 0:  # keep the problem from before the time was over: it is more specific
                    problem = error.problem
                if clock.left() <= 0:
                    self.pace.set_down(host)
                    raise UnreachableError(
                        where, f"no complete answer within {self.rules.tile_limit_s:g} s ({problem}, {_tried(tried + 1)})",
                        "Continue later: fetched tiles are kept. For a slow server, raise --tile-seconds (tile_limit_s)."
                    ) from None
                pause = error.pause_s if error.pause_s is not None else min(30.0, 0.5 * 2.0**tried)
            if pause > _LONGEST_WAIT_S:
                raise UnreachableError(where, f"{problem}, and the server asks to wait {pause:.0f} s",
                                       "Continue later: fetched tiles are kept.")
            self.pace.hold(host, pause)
        self.pace.set_down(host)
        raise UnreachableError(where, f"{problem}, {_tried(self.rules.retries + 1)}",
                               "Check the network and the address, or continue later: fetched tiles are kept.")

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
                    raise TileError(where, f"it redirects from the internet to {mask_address(url)[:200]} in a private network",
                                    "If this is intended, give that address yourself.") from None
                except (requests.exceptions.RequestException, _AskAgainError, UnicodeError) as error:
                    if watch.over:
                        raise _AskAgainError(host, "its bytes arrive too slowly") from None
                    raise self._failure(error, host, where) from None
        raise TileError(where, f"it redirects more than {_MAX_REDIRECTS} times", "Check the address.")

    def _failure(self, error: Exception, host: str, where: str) -> Exception:
        """Return the error for a failed request, without the original text: it holds the address with its secrets."""
        kinds = _requests().exceptions
        if isinstance(error, _AskAgainError):
            return error
        if isinstance(error, kinds.Timeout):
            return _AskAgainError(host, f"no answer within {self.rules.timeout_s:g} s")
        if isinstance(error, kinds.SSLError):
            return TileError(where, "the server's certificate is not trusted", "Check the address.")
        if isinstance(error, kinds.ConnectionError | kinds.ChunkedEncodingError):
            return _AskAgainError(host, "the server cannot be reached or cut the answer")
        return TileError(where, "the address or the answer is not valid", "Check the address.")

    def _answer(self, answer: Any, host: str, where: str, check: Callable[[bytes], None]) -> Fetched:
        """Return what an answer without a redirect says."""
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
        """Return all bytes of an answer: as many as its header states; without any, the answer must state its end."""
        content, promised, kinds = bytearray(), answer.headers.get("Content-Length", ""), _requests().exceptions
        try:
            for part in answer.iter_content(_CHUNK):
                content += part
                if len(content) > self.rules.max_bytes:
                    raise TileError(where, f"the answer is longer than {self.rules.max_bytes} bytes",
                                    "Check the address: this is not a tile.")
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
            raise TileError(where, f"it redirects to {mask_address(target)[:200]}",
                            "Only http and https addresses are followed, but never from https to http.")
        return target

    def _session(self) -> Any:
        if getattr(self._local, "process", None) != os.getpid():
            session = watched_session()
            session.headers.update({"User-Agent": self.rules.agent, "Accept": "image/*", "Accept-Encoding": "identity"})
            self._local.session, self._local.process = session, os.getpid()
        return self._local.session


class _Clock:
    """The time left for requests; entered while a request runs.

    Args:
        seconds: The time allowed.
    """

    def __init__(self, seconds: float) -> None:
        self._left, self._since = seconds, 0.0

    def left(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, self._left)

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._left -= time.monotonic() - self._since


class _AskAgainError(Exception):
    """A try failed, but another one may succeed."""

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
    """Return the seconds that a Retry-After header asks for; None if it is missing or cannot be read."""
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
                        "Check the key in the address and the server's terms; some servers do not allow programs.")
    if status != 200:
        raise TileError(where, f"the server answers {status}", "Check the address, the levels and the area.")
