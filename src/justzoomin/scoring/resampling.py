"""Intervals: Wilson's for shares, and the bootstrap over photos or drives with the same draws for every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError
from justzoomin.posterior import wilson

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RESAMPLES = 1000
_KEPT_VALUES = 1 << 23
"""Draws are kept in memory if draws times groups is at most this: every row of a comparison uses the same draws."""


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def percent(hits: npt.NDArray[np.bool_]) -> Figure:
    """Return the percentage of hits (N,) with its Wilson score interval at 95 %."""
    share = float(np.mean(hits))
    low, high = wilson(share, len(hits))
    return Figure(100 * share, 100 * low, 100 * high)


def interval(value: float, draws: Floats) -> Figure:
    """Return a value with the middle 95 % of its bootstrap draws (R,)."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return Figure(value, float(low), float(high))


def two_sided_p(draws: Floats) -> float:
    """Return twice the share of bootstrap draws (R,) of a difference on the rarer side of zero; never below 2 / (R + 1).

    Source: A. C. Davison and D. V. Hinkley, Bootstrap methods and their application (1997), chapter 4.
    """
    less, more = int((draws <= 0).sum()), int((draws >= 0).sum())
    return min(1.0, 2 * (min(less, more) + 1) / (len(draws) + 1))


@dataclass(frozen=True)
class Resampling:
    """Draws of N photos with replacement, in complete groups.

    Photos of a drive show the same street in the same light, so drawing them one by one would give intervals that are too
    narrow. The groups are therefore drives, if they are known. The draws depend only on the groups and the seed: figures of
    two rows are compared within the same draws (a paired bootstrap).

    Args:
        groups: Number (N,) of each photo's group, from 0 without gaps.
        seed: Seed of the draws.
        draws: Number of draws.
    """

    groups: Ints
    seed: int = 0
    draws: int = RESAMPLES

    def __post_init__(self) -> None:
        if not len(self.groups):
            raise ConfigError("photos", "there are no photos to draw from", "Give predictions of at least one photo.")

    @classmethod
    def of_photos(cls, count: int, seed: int = 0) -> Resampling:
        """Make draws of single photos."""
        return cls(np.arange(count), seed)

    @classmethod
    def of_drives(cls, drives: list[str], seed: int = 0) -> Resampling:
        """Make draws of complete drives, from the name of each photo's drive (N,)."""
        return cls(np.unique(np.array(drives), return_inverse=True)[1].astype(np.int64).reshape(-1), seed)

    @cached_property
    def count(self) -> int:
        """Number G of groups."""
        return int(self.groups.max()) + 1

    def weights(self) -> Iterator[Floats]:
        """Yield how often each group (G,) is in a draw, draw by draw."""
        return iter(self._kept) if self.draws * self.count <= _KEPT_VALUES else self._drawn()

    @cached_property
    def _kept(self) -> list[Floats]:
        return list(self._drawn())

    def _drawn(self) -> Iterator[Floats]:
        rng = np.random.default_rng(self.seed)
        for _ in range(self.draws):
            yield np.bincount(rng.integers(0, self.count, self.count), minlength=self.count).astype(np.float64)

    def means(self, values: Floats) -> Floats:
        """Return the means (R, V) of values (N, V) in every draw."""
        sums = np.stack([np.bincount(self.groups, column, self.count) for column in values.T], 1)
        sizes = np.bincount(self.groups, minlength=self.count).astype(np.float64)
        return np.stack([(w @ sums) / (w @ sizes) for w in self.weights()])

    def medians(self, values: Floats) -> Floats:
        """Return the medians (R,) of values (N,) in every draw."""
        order = np.argsort(values, kind="stable")
        ordered, group = values[order], self.groups[order]
        found = np.empty(self.draws)
        for at, weights in enumerate(self.weights()):
            reached = np.cumsum(weights[group])
            total = reached[-1]
            middle = np.searchsorted(reached, [(total - 1) // 2, total // 2], side="right")
            found[at] = ordered[middle].mean()
        return found
