"""The result of a verification: all problems are counted, the first of each kind listed, errors separate from warnings."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

Severity = Literal["error", "warning"]
Progress = Callable[[str, int, int], None]
"""Called with what is being examined, how many are done and how many there are."""
Item = TypeVar("Item")

LISTED_PER_KIND = 1000
KINDS: dict[str, Severity] = {
    "folder": "error", "incomplete": "error", "download": "error", "broken_archive": "error", "map": "error", "table": "error",
    "photos": "error", "duplicate": "error", "shared_photo": "error", "position": "error", "off_region": "error",
    "sequence": "error", "contradiction": "error", "missing_photo": "error", "broken_photo": "error", "broken_tile": "error",
    "foreign_file": "warning", "foreign_level": "warning", "white_tile": "warning", "no_data": "warning",
    "not_looked_at": "warning", "also_in_split": "warning",
}
"""Kinds of problems. With an error the data cannot be trained on; a warning is unusual but usable."""
_CHUNK = 32


@dataclass
class VerifyReport:
    """What a verification examined and what it found.

    Attributes:
        counts: Numbers of examined records, archives, photos and tiles.
        problems: The first problems of each kind, each with kind, severity, split, item (file, photo or tile) and detail.
        limit: How many problems of each kind are listed; all are counted.
    """

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    limit: int = LISTED_PER_KIND
    _kinds: Counter[str] = field(default_factory=Counter, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def add(self, kind: str, item: object, detail: object, split: str = "") -> None:
        """Count a problem, and list it unless enough of its kind are listed. Safe from any thread."""
        with self._lock:
            self._kinds[kind] += 1
            if self._kinds[kind] <= self.limit:
                self.problems.append({"kind": kind, "severity": KINDS[kind], "split": split, "item": str(item),
                                      "detail": str(detail)})

    @property
    def ok(self) -> bool:
        """Whether the data can be trained on: there are no errors, but there may be warnings."""
        return self.errors == 0

    @property
    def errors(self) -> int:
        """Number of problems that keep the data from being trained on."""
        return sum(n for kind, n in self._kinds.items() if KINDS[kind] == "error")

    @property
    def warnings(self) -> int:
        """Number of problems that do not."""
        return sum(n for kind, n in self._kinds.items() if KINDS[kind] == "warning")

    def kinds(self) -> dict[str, int]:
        """Return how many problems of each kind there are, listed or not."""
        return {kind: self._kinds[kind] for kind in KINDS if self._kinds[kind]}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; problems in the order of kinds, then of items."""
        rank = {kind: number for number, kind in enumerate(KINDS)}
        ordered = sorted(self.problems, key=lambda p: (rank[p["kind"]], p["split"], p["item"], p["detail"]))
        return {"ok": self.ok, "errors": self.errors, "warnings": self.warnings, "counts": self.counts, "kinds": self.kinds(),
                "listed_per_kind": self.limit, "problems": ordered}


def examine_all(items: Iterable[Item], total: int, look: Callable[[Item], None], label: str, workers: int,
                progress: Progress | None) -> None:
    """Examine items in threads, because decoding lets other threads work; only a bounded number of items waits at any time.

    Args:
        items: What to examine; may be a long lazy iterable.
        total: How many there are, for the progress.
        look: Called with each item, from several threads.
        label: What the items are, for the progress.
        workers: Number of threads.
        progress: Called from this thread.
    """
    def chunk_done(chunk: list[Item]) -> int:
        for item in chunk:
            look(item)
        return len(chunk)

    left, done, waiting = iter(items), 0, list[Future[int]]()
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                while len(waiting) < 3 * workers and (chunk := list(islice(left, _CHUNK))):
                    waiting.append(pool.submit(chunk_done, chunk))
                if not waiting:
                    break
                done += waiting.pop(0).result()
                if progress:
                    progress(label, done, total)
        except BaseException:  # including Ctrl-C: waiting items are not started
            pool.shutdown(wait=True, cancel_futures=True)
            raise
