"""Times of rivals, taken in turns in one run: what the machine does meanwhile hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One comparison of the table in docs/benchmarks.md.

    Args:
        what: What is compared, in a few words.
        ours: Median of ours.
        theirs: Median of the rival.
        unit: Unit of both, such as "ms a view" or "photos/s".
        rival: What it is compared with.
        wanted: The ratio asked for (how many times better than the rival); None where none is.
        floor: Median of the work that nothing can save, in the same unit; None where there is no such figure.
        floor_is: What the floor is.
        note: Sizes, settings, and whatever the reader must know.
        more_is_better: Whether the unit is a rate (photos/s) and not a cost (ms).
    """

    what: str
    ours: float
    theirs: float
    unit: str
    rival: str
    wanted: float | None = None
    floor: float | None = None
    floor_is: str = ""
    note: str = ""
    more_is_better: bool = False

    @property
    def ratio(self) -> float:
        """How many times better ours is."""
        return self.ours / self.theirs if self.more_is_better else self.theirs / self.ours

    def text(self) -> str:
        """Return the row for a terminal."""
        wanted = "" if self.wanted is None else f" (wanted {self.wanted:g}: {'met' if self.ratio >= self.wanted else 'MISSED'})"
        floor = "" if self.floor is None else f"; {self.floor_is} {self.floor:.3g}"
        return f"{self.what}: {self.ours:.3g} {self.unit}, {self.rival} {self.theirs:.3g}{floor}; x{self.ratio:.2f}{wanted}"


@dataclass
class Section:
    """What one benchmark found: rows, and remarks in Markdown."""

    title: str
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def in_turns(rivals: Mapping[str, Callable[[], object]], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """Seconds of each rival in each round, the order turned from round to round.

    Args:
        rivals: What is timed, by name.
        rounds: Timed rounds.
        warm: Rounds before that are not timed.
    """
    names = list(rivals)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm, rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            rivals[name]()
            if number >= 0:
                found[name].append(time.perf_counter() - start)
    return found


def medians(times: Mapping[str, list[float]], each: float = 1.0) -> dict[str, float]:
    """Median of each rival's times, divided by `each`."""
    return {name: statistics.median(values) / each for name, values in times.items()}
