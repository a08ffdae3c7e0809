"""Many stored photos through the queue of all clients, a few at a time, so that others are answered in between."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from justzoomin.errors import JustZoomInError
from justzoomin.search import Localizer, read_photo
from justzoomin.service.photo_queue import PhotoQueue, QueueFullError, Work, locate

_PAUSE_S = 0.2


def in_queue(queue: PhotoQueue, work: Work = locate) -> Callable[[Localizer, Iterable[Path]], Iterator[Any]]:
    """Return a function that gives stored photos to the queue and yields what `work` makes of them, or their errors, in order.

    At most two batches of them wait in the queue. While it is full of photos of others, they wait for room.
    What is yielded can raise `CancelledError` if the queue is closed.

    Args:
        queue: The queue.
        work: What is done with a batch.
    """
    def results(localizer: Localizer, photos: Iterable[Path]) -> Iterator[Any]:
        waiting: deque[Future[Any]] = deque()
        try:
            for photo in photos:
                if len(waiting) >= 2 * queue.batch_size:
                    yield _settled(waiting.popleft())
                while (future := _submitted(queue, photo, localizer, work)) is None:
                    if waiting:
                        yield _settled(waiting.popleft())
                    else:
                        time.sleep(_PAUSE_S)
                waiting.append(future)
            while waiting:
                yield _settled(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()

    return results


def _submitted(queue: PhotoQueue, photo: Path, localizer: Localizer, work: Work) -> Future[Any] | None:
    """Give a photo to the queue; None if it is full."""
    try:
        return queue.submit(read_photo(photo), str(photo), localizer, work)
    except QueueFullError:
        return None
    except JustZoomInError as error:
        failed: Future[Any] = Future()
        failed.set_exception(error)
        return failed


def _settled(future: Future[Any]) -> Any:
    try:
        return future.result()
    except JustZoomInError as error:
        return error
