"""A process that is killed, or a disk that fails, at the n-th change of the disk: in this process, and so in milliseconds.

A killed process changes nothing any more: once `killed_at` has struck, every further change is refused, those of `finally` and
`except` too. What a kill leaves is what is then on the disk. Changes are counted where Python makes them; what a library writes
in C (the weights of a model) is one change less. `failing_at` lets writing fail from the n-th write on, as a full disk does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

from justzoomin import files

CHANGES = ("mkdir", "rename", "replace", "link", "symlink", "unlink", "remove", "rmdir", "fsync", "truncate", "ftruncate",
           "pwrite", "posix_fallocate")
WRITES = {"fsync", "truncate", "ftruncate", "pwrite", "posix_fallocate", "write"}


class Killed(BaseException):
    """The process was killed here."""


class Count:
    """Changes of the disk so far, by kind."""

    def __init__(self) -> None:
        self.kinds: list[str] = []


@contextlib.contextmanager
def _watched(strike: Any) -> Iterator[Count]:
    count = Count()

    def before(kind: str) -> None:
        count.kinds.append(kind)
        strike(count)

    def wrapped(kind: str, real: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            before(kind)
            return real(*args, **named)
        return call

    def opened(path: Any, flags: int, *args: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            before("create")
        return real_open(path, flags, *args, **named)

    real_open = os.open
    with contextlib.ExitStack() as patches:
        for kind in CHANGES:
            if hasattr(os, kind):
                patches.enter_context(mock.patch.object(os, kind, wrapped(kind, getattr(os, kind))))
        patches.enter_context(mock.patch.object(os, "open", opened))
        for kind in ("write", "truncate"):
            real = getattr(files._NamedFile.__mro__[1], kind)
            method = _method(kind, real, before)
            patches.enter_context(mock.patch.object(files._NamedFile, kind, method))
        yield count


def _method(kind: str, real: Any, before: Any) -> Any:
    def call(self: Any, *args: Any) -> Any:
        with files.disk_words(self.told):
            before(kind)
            return real(self, *args)
    return call


@contextlib.contextmanager
def killed_at(number: int | None) -> Iterator[Count]:
    """Raise `Killed` instead of the n-th change (from 0), and instead of all that come after it; never for None."""
    def strike(count: Count) -> None:
        if number is not None and len(count.kinds) > number:
            raise Killed

    with _watched(strike) as count:
        yield count


@contextlib.contextmanager
def failing_at(number: int, code: int) -> Iterator[Count]:
    """Let the n-th write, and all after it, fail with an error of the disk that names no file, as the system's does."""
    def strike(count: Count) -> None:
        if count.kinds[-1] in WRITES and sum(kind in WRITES for kind in count.kinds) > number:
            raise OSError(code, os.strerror(code))

    with _watched(strike) as count:
        yield count


def spread(total: int, first: int = 2, last: int = 4, between: int = 2) -> list[int]:
    """Some of `total` moments: the first, the last, and some between them."""
    middle = [first + (total - first - last) * step // (between + 1) for step in range(1, between + 1)]
    return sorted({n for n in (*range(first), *middle, *range(total - last, total)) if 0 <= n < total})
