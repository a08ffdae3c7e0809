"""Run blocks of work on workers that may end at any moment: a lost worker costs its current block, and is replaced."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from justzoomin.cluster.joining import Room
from justzoomin.errors import ClusterError, JustZoomInError

Result = TypeVar("Result")

TRIES = 4
"""How many times a block is tried: if this many workers ended with it, the block itself is the cause."""
AHEAD = 4
"""How many blocks per worker may be finished ahead of the oldest unfinished one."""
START_SECONDS = 600.0
"""Seconds without any worker after which the job gives up: the cluster has no room for one."""


class Worker(Protocol):
    """Runs on the machines of a cluster, in a process of its own."""

    def ready(self) -> JustZoomInError | None:
        """Open everything needed; return what is wrong, or None."""

    def work(self, block: Any) -> Any:
        """Process a block. An error of the package that ends the job is returned, not raised."""


def run_blocks(ray: Any, make: Callable[[], Worker], blocks: Iterable[Any], size: Room) -> Iterator[tuple[int, Any]]:
    """Run blocks on workers; yield results as they come, with the numbers of their blocks.

    Args:
        ray: The module, joined.
        make: Makes a worker, in the process that it will run in.
        blocks: The blocks; only a few are read ahead.
        size: Number of workers, and what each takes.

    Raises:
        JustZoomInError: The error that a worker returned.
        ClusterError: If a block ended its worker repeatedly, or no worker can be started.
    """
    pool = _Pool(ray, make, size)
    try:
        yield from pool.run(iter(blocks))
    finally:
        pool.close()


def in_order(results: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """Yield results in the order of their blocks."""
    early: dict[int, Result] = {}
    following = 0
    for number, result in results:
        early[number] = result
        while following in early:
            yield early.pop(following)
            following += 1


class _Host:
    """The process of a worker, as ray sees it."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._worker = make()

    def ready(self) -> JustZoomInError | None:
        return self._worker.ready()

    def work(self, block: Any) -> Any:
        return self._worker.work(block)


class _Pool:
    def __init__(self, ray: Any, make: Callable[[], Worker], size: Room) -> None:
        self._ray, self._make, self._size = ray, make, size
        # Ray restarts and retries nothing: any running worker gets the next block, and a lost machine delays nothing.
        self._host = ray.remote(num_cpus=size.cores, num_gpus=size.gpus, max_restarts=0, max_task_retries=0)(_Host)
        self._hosts: list[Any] = []  # all workers not known to have ended
        self._starting: dict[Any, Any] = {}
        self._busy: dict[Any, tuple[Any, int, Any]] = {}
        self._idle: list[Any] = []
        self._again: deque[tuple[int, Any]] = deque()
        self._tries: dict[int, int] = {}
        self._failed_starts = 0

    def run(self, blocks: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        numbered = enumerate(blocks)
        upcoming = next(numbered, None)
        since = time.monotonic()
        while upcoming or self._again or self._busy:
            self._fill_up()
            while self._idle and self._again:
                self._give(*self._again.popleft())
            while self._idle and upcoming and upcoming[0] < self._oldest(upcoming[0]) + AHEAD * self._size.workers:
                self._give(*upcoming)
                upcoming = next(numbered, None)
            done = self._wait()
            if self._busy or self._idle or done:
                since = time.monotonic()
            elif time.monotonic() - since > START_SECONDS:
                raise ClusterError("ray", f"within {START_SECONDS:.0f} s no worker started "
                                   f"with {self._size.cores} cores and {self._size.gpus} GPUs",
                                   "Check whether other jobs occupy the cluster: ray status.")
            for ref in done:
                if ref in self._starting:
                    self._started(ref)
                else:
                    yield from self._finished(ref)

    def close(self) -> None:
        for host in self._hosts:
            with contextlib.suppress(Exception):  # the worker may have ended, and so may the cluster
                self._ray.kill(host)

    def _fill_up(self) -> None:
        while len(self._hosts) < self._size.workers:
            host = self._host.remote(self._make)
            self._hosts.append(host)
            self._starting[host.ready.remote()] = host

    def _oldest(self, upcoming: int) -> int:
        return min((number for _, number, _ in self._busy.values()), default=upcoming)

    def _give(self, number: int, block: Any) -> None:
        host = self._idle.pop()
        self._tries[number] = self._tries.get(number, 0) + 1
        self._busy[host.work.remote(block)] = (host, number, block)

    def _wait(self) -> Sequence[Any]:
        refs = [*self._busy, *self._starting]
        return self._ray.wait(refs, num_returns=1, timeout=1.0)[0] if refs else []

    def _get(self, ref: Any) -> Any:
        try:
            result = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            cause = str(error.cause).strip().splitlines()
            raise ClusterError("a worker", f"{type(error.cause).__name__}: {cause[0] if cause else 'no message'}",
                               "Finished work is kept.") from error
        if isinstance(result, JustZoomInError):
            raise result
        return result

    def _started(self, ref: Any) -> None:
        host = self._starting.pop(ref)
        try:
            self._get(ref)
        except self._ray.exceptions.RayActorError as error:
            self._hosts.remove(host)
            self._failed_starts += 1
            if self._failed_starts >= TRIES * self._size.workers:
                raise ClusterError("ray", "workers end before they are ready", "Check ray's logs: "
                                   "a machine may lack memory, or this version of justzoomin.") from error
            return
        self._idle.append(host)

    def _finished(self, ref: Any) -> Iterator[tuple[int, Any]]:
        host, number, block = self._busy.pop(ref)
        try:
            result = self._get(ref)
        except self._ray.exceptions.RayActorError as error:
            self._hosts.remove(host)
            if self._tries[number] >= TRIES:
                raise ClusterError(f"block {number}", f"{TRIES} workers ended while processing it",
                                   "Finished work is kept. Check ray's logs; a worker may lack memory.") from error
            self._again.append((number, block))
            return
        del self._tries[number]
        self._idle.append(host)
        yield number, result
