"""The sessions of all clients, within limits of number, memory and time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from justzoomin.errors import ConfigError, JustZoomInError
from justzoomin.search import Beliefs, LoadedPhoto, Localizer
from justzoomin.service.corrections import AnyCorrection
from justzoomin.service.session import Ask, Session, ask_directly


class UnknownSessionError(JustZoomInError):
    """There is no such session, or no longer."""

    def __init__(self) -> None:
        super().__init__("session", "there is no such session: it was removed, unused for too long, or made room for others",
                         "Drop the photo again.")


class Sessions:
    """Sessions by their ids, which cannot be guessed. Can be used by several threads.

    Args:
        localizer: Model and map, for sessions without a localizer of their own.
        keep: Most sessions; the one unused for longest makes room.
        max_bytes: Most memory of all sessions together; see `Session`.
        idle_s: Seconds after which an unused session is removed.
        ask: Who is asked about a photo; a `PhotoQueue`, for example.
        now: The clock, in seconds.
    """

    def __init__(self, localizer: Localizer, *, keep: int = 64, max_bytes: int = 1 << 30, idle_s: float = 1800.0,
                 ask: Ask = ask_directly, now: Callable[[], float] = time.monotonic) -> None:
        self.localizer, self.keep, self.max_bytes, self.idle_s = localizer, keep, max_bytes, idle_s
        self._ask, self._now, self._lock = ask, now, threading.Lock()
        self._sessions: OrderedDict[str, tuple[Session, float]] = OrderedDict()  # the one unused for longest is first

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def held_bytes(self) -> int:
        """Memory of all sessions in bytes."""
        with self._lock:
            return sum(session.held_bytes for session, _ in self._sessions.values())

    def create(self, photo: bytes, name: str, corrections: Sequence[AnyCorrection] = (), *,
               localizer: Localizer | None = None, seen: tuple[LoadedPhoto, Beliefs] | None = None) -> Session:
        """Begin a session.

        Args:
            photo: The bytes of the photo's file.
            name: Its name.
            corrections: Corrections to begin with.
            localizer: Who localizes it; None for the sessions' own.
            seen: See `Session`.

        Raises:
            ConfigError: If the session takes more memory than all may.
            JustZoomInError: As for `Session`.
        """
        session = Session(localizer or self.localizer, photo, name, corrections, ask=self._ask, seen=seen)
        if session.held_bytes > self.max_bytes:
            raise ConfigError("session", f"a photo on this map takes {session.held_bytes / 1e6:.1f} MB, more than the limit "
                              f"for all sessions, {self.max_bytes / 1e6:.1f} MB", "Start the service with a higher limit.")
        with self._lock:
            self._sessions[session.id] = session, self._now()
            self._make_room()
        return session

    def get(self, id: str) -> Session:
        """Return a session, which counts as a use of it.

        Raises:
            UnknownSessionError: If there is no such session.
        """
        with self._lock:
            self._make_room()
            if id not in self._sessions:
                raise UnknownSessionError
            session = self._sessions[id][0]
            self._sessions[id] = session, self._now()
            self._sessions.move_to_end(id)
            return session

    def remove(self, id: str) -> None:
        """Remove a session.

        Raises:
            UnknownSessionError: If there is no such session.
        """
        with self._lock:
            if self._sessions.pop(id, None) is None:
                raise UnknownSessionError

    def sweep(self) -> None:
        """Remove what has been unused for too long. Every use does this; a service also calls it from time to time."""
        with self._lock:
            self._make_room()

    def _make_room(self) -> None:
        """Remove sessions, those unused for longest first, until the limits hold; never the last one used."""
        latest = self._now() - self.idle_s
        taken = sum(session.held_bytes for session, _ in self._sessions.values())
        for id, (session, used) in list(self._sessions.items()):
            crowded = len(self._sessions) > 1 and (len(self._sessions) > self.keep or taken > self.max_bytes)
            if used > latest and not crowded:
                break
            taken -= session.held_bytes
            del self._sessions[id]
