"""One queue of photos for one model: several threads decode, one thread owns the model and answers in batches."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from justzoomin.errors import JustZoomInError, ModelError, PhotoError
from justzoomin.search import Beliefs, Fix, LoadedPhoto, Localizer

Work = Callable[[Localizer, Sequence[tuple[str, LoadedPhoto]]], Sequence[Any]]
"""What is done with a batch of named photos: one result for each, which may be a `JustZoomInError`."""
_LOG = logging.getLogger("justzoomin.service")
_SMOOTH = 0.1
"""Weight of the newest batch in the mean time of a photo."""


class Observer(Protocol):
    """Somebody who is told how long things take."""

    def took(self, stage: str, seconds: float) -> None:
        """Hear how long a stage took: `decode` of a photo, `encode` and `search` of a batch."""

    def answered(self, photos: int) -> None:
        """Hear that a batch was answered."""


class QueueFullError(JustZoomInError):
    """No more photos can wait.

    Args:
        waiting: Number of photos that wait.
        retry_s: Seconds after which about half of them are done.
    """

    def __init__(self, waiting: int, retry_s: int) -> None:
        self.retry_s = retry_s
        super().__init__("queue", f"{waiting} photos are waiting already",
                         f"Try again in {retry_s} s, with fewer photos at once.")


@dataclass(eq=False)
class _Item:
    name: str
    localizer: Localizer
    work: Work
    result: Future[Any]
    loaded: LoadedPhoto | None = field(default=None)


def locate(localizer: Localizer, photos: Sequence[tuple[str, LoadedPhoto]]) -> Sequence[Fix | JustZoomInError]:
    """Return the fix of each photo."""
    return localizer.localize_loaded(photos)


def believe(localizer: Localizer, photos: Sequence[tuple[str, LoadedPhoto]]) -> Sequence[tuple[LoadedPhoto, Beliefs]]:
    """Return each photo as it was loaded, and what is believed about it without any prior."""
    return [(loaded, localizer.beliefs([loaded], prior=False)) for _, loaded in photos]


class PhotoQueue:
    """Photos that wait for a model. Those with the same localizer and the same work are answered together.

    Args:
        limit: Most photos that wait or are worked on.
        limit_bytes: Most bytes of files that wait to be decoded.
        batch_size: Most photos at once.
        threads: Number of threads that decode.
        observer: Who is told how long things take.
        prepare: What the thread of the model does before the first photo.
    """

    def __init__(self, *, limit: int = 256, limit_bytes: int = 1 << 29, batch_size: int = 16, threads: int | None = None,
                 observer: Observer | None = None, prepare: Callable[[], None] | None = None) -> None:
        self.limit, self.limit_bytes, self.batch_size, self.observer = limit, limit_bytes, batch_size, observer
        self.seconds = 0.0
        """Mean time of a photo in seconds, of late."""
        self.ready = threading.Event()
        """Set when everything is prepared."""
        self.failure: JustZoomInError | None = None
        """Why it could not be prepared."""
        self._prepare = prepare
        self._ready: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._waiting, self._bytes, self._closed = 0, 0, False
        self._decoders = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="decode")
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return self._waiting

    def submit(self, photo: bytes, name: str, localizer: Localizer, work: Work = locate) -> Future[Any]:
        """Add a photo.

        Args:
            photo: The bytes of its file.
            name: Its name.
            localizer: Who reads and localizes it.
            work: What is done with it.

        Returns:
            The result of the work. It raises the `JustZoomInError` that the photo or the search has; cancelling it drops the
            photo if its batch has not begun.

        Raises:
            QueueFullError: If too many photos wait.
            JustZoomInError: If the map could not be prepared.
        """
        return self.submit_many([(photo, name)], localizer, work)[0]

    def submit_many(self, photos: Sequence[tuple[bytes, str]], localizer: Localizer, work: Work = locate) -> list[Future[Any]]:
        """Add photos, all or none; see `submit`."""
        size = sum(len(data) for data, _ in photos)
        with self._changed:
            if self.failure is not None:
                raise self.failure
            if self._waiting + len(photos) > self.limit or self._bytes + size > self.limit_bytes or self._closed:
                raise QueueFullError(self._waiting, self.retry_s())
            self._waiting += len(photos)
            self._bytes += size
        items = [_Item(name, localizer, work, Future()) for _, name in photos]
        for item, (data, _) in zip(items, photos, strict=True):
            item.result.add_done_callback(self._one_less)
            try:
                self._decoders.submit(self._decode, item, data)
            except RuntimeError:  # the queue has been closed meanwhile
                item.result.cancel()
        return [item.result for item in items]

    def retry_s(self) -> int:
        """Return the seconds after which about half of the waiting photos are done; at least 1."""
        return max(1, math.ceil(self._waiting * self.seconds / 2))

    def close(self, *, wait: bool = True) -> None:
        """Drop what has not begun, and end the threads."""
        with self._changed:
            self._closed = True
            left, self._ready = list(self._ready), deque()
            self._changed.notify_all()
        for item in left:
            item.result.cancel()
        self._decoders.shutdown(wait=wait)
        if wait:
            self._thread.join()

    def _one_less(self, _: Future[Any]) -> None:
        with self._changed:
            self._waiting -= 1

    def _decode(self, item: _Item, data: bytes) -> None:
        started = time.perf_counter()
        try:
            if item.result.cancelled():
                return
            loaded = item.localizer.load_photo(data)
        except Exception as error:
            _fail(item, error)
            return
        finally:
            with self._changed:
                self._bytes -= len(data)
        if self.observer:
            self.observer.took("decode", time.perf_counter() - started)
        if isinstance(loaded, JustZoomInError):
            _fail(item, PhotoError(item.name, loaded.what, loaded.remedy) if loaded.where == "photo" else loaded)
            return
        item.loaded = loaded
        with self._changed:
            if not self._closed:
                self._ready.append(item)
                self._changed.notify_all()
                return
        item.result.cancel()

    def _run(self) -> None:
        try:
            if self._prepare is not None:
                self._prepare()
        except Exception as error:  # photos must not wait for ever
            _LOG.exception("the map cannot be prepared", exc_info=error)
            with self._changed:
                self.failure = error if isinstance(error, JustZoomInError) else ModelError(
                    "map", "it cannot be prepared", "The log of the server says why.")
            self.close(wait=False)
            return
        self.ready.set()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._closed)
                if self._closed:
                    return
                batch = self._next_batch()
            batch = [item for item in batch if item.result.set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)

    def _next_batch(self) -> list[_Item]:
        """Take the photo that has waited longest, and those that can be answered with it."""
        first = self._ready[0]
        alike = [item for item in self._ready if item.localizer is first.localizer and item.work is first.work]
        batch = alike[:self.batch_size]
        taken = set(map(id, batch))
        self._ready = deque(item for item in self._ready if id(item) not in taken)
        return batch

    def _answer(self, batch: list[_Item]) -> None:
        started = time.perf_counter()
        try:
            results = batch[0].work(batch[0].localizer, [(item.name, item.loaded) for item in batch if item.loaded is not None])
            if len(results) != len(batch):  # the thread must not die: photos would wait for ever
                raise RuntimeError(f"{len(results)} results of {len(batch)} photos")
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0], error)
            else:  # one photo must not fail the others
                for item in batch:
                    self._answer([item])
            return
        seconds = time.perf_counter() - started
        each = seconds / len(batch)
        self.seconds = each if self.seconds == 0 else (1 - _SMOOTH) * self.seconds + _SMOOTH * each
        if self.observer:
            self.observer.answered(len(batch))
        for item, result in zip(batch, results, strict=True):
            _settle(item, result)


def _fail(item: _Item, error: Exception) -> None:
    """Tell the error of a photo whose batch has not begun."""
    if item.result.set_running_or_notify_cancel():
        item.result.set_exception(error)


def _settle(item: _Item, result: Any) -> None:
    if isinstance(result, Exception):
        item.result.set_exception(result)
    else:
        item.result.set_result(result)
