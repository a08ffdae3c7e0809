"""What a verification found: every problem counted, the first of each kind kept, errors told from warnings."""

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
"""Called with what is being looked at, how many are done and how many there are."""
Item = TypeVar("Item")

LISTED_PER_KIND = 1000
KINDS: dict[str, Severity] = {
    "folder": "error", "incomplete": "error", "download": "error", "broken_archive": "error", "map": "error", "table": "error",
    "photos": "error", "duplicate": "error", "shared_photo": "error", "position": "error", "off_region": "error",
    "sequence": "error", "contradiction": "error", "missing_photo": "error", "broken_photo": "error", "broken_tile": "error",
    "foreign_file": "warning", "foreign_level": "warning", "white_tile": "warning", "no_data": "warning",
    "not_looked_at": "warning", "also_in_split": "warning",
}
"""Kinds of problems. With an error the data cannot be trained on as they are; a warning is odd and usable."""
_CHUNK = 32


@dataclass
class VerifyReport:
    """What a verification looked at and what it found.

    Attributes:
        counts: Records, archives, photos, tiles looked at.
        problems: The first problems of each kind, with the split, file, photo or tile they concern: kind, severity, split,
            item and detail.
        limit: How many of a kind are listed; all are counted.
    """

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    limit: int = LISTED_PER_KIND
    _kinds: Counter[str] = field(default_factory=Counter, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def add(self, kind: str, item: object, detail: object, split: str = "") -> None:
        """Count a problem, and list it unless there are enough of its kind. From any thread."""
        with self._lock:
            self._kinds[kind] += 1
            if self._kinds[kind] <= self.limit:
                self.problems.append({"kind": kind, "severity": KINDS[kind], "split": split, "item": str(item),
                                      "detail": str(detail)})

    @property
    def ok(self) -> bool:
        """Whether the data can be trained on: there is no error, though there may be warnings."""
        return self.errors == 0

    @property
    def errors(self) -> int:
        """Problems that keep the data from being trained on."""
        return sum(n for kind, n in self._kinds.items() if KINDS[kind] == "error")

    @property
    def warnings(self) -> int:
        """Problems that do not."""
        return sum(n for kind, n in self._kinds.items() if KINDS[kind] == "warning")

    def kinds(self) -> dict[str, int]:
        """How many problems there are of each kind, listed or not."""
        return {kind: self._kinds[kind] for kind in KINDS if self._kinds[kind]}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; problems in the order of kinds, then of items."""
        rank = {kind: number for number, kind in enumerate(KINDS)}
        ordered = sorted(self.problems, key=lambda p: (rank[p["kind"]], p["split"], p["item"], p["detail"]))
        return {"ok": self.ok, "errors": self.errors, "warnings": self.warnings, "counts": self.counts, "kinds": self.kinds(),
                "listed_per_kind": self.limit, "problems": ordered}


def look_at_all(items: Iterable[Item], total: int, look: Callable[[Item], None], label: str, workers: int,
                progress: Progress | None) -> None:
    """Look at items in threads: decoding lets other threads work meanwhile. A bounded number of items waits at any time.

    Args:
        items: What to look at; may be endless work lazily listed.
        total: How many there are, for the progress.
        look: Called with each, from several threads.
        label: What they are, for the progress.
        workers: Threads.
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
        except BaseException:  # Ctrl-C among them: what waits is not begun
            pool.shutdown(wait=True, cancel_futures=True)
            raise
