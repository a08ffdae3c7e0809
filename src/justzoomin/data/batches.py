"""Order of batches: an epoch in random order or place by place, split among processes, starting at any batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

Ints = npt.NDArray[np.int64]


class Draw(NamedTuple):
    """A photo that a sampler requests: its index, the epoch (crops depend on it) and its weight in the loss."""

    photo: int
    epoch: int = 0
    weight: float = 1.0


class ResumableBatchSampler(Sampler[list[Draw]]):
    """Batches in an order that depends only on seed and epoch, starting at any batch.

    The batches of all processes together are the batch that one process with `world` times the batch size would draw. If its
    photos cannot be split evenly, the last processes are filled up with photos of weight 0. The other weights are 1, except in
    the last step of an epoch, which may be smaller. They are set so that the mean over a process's photos, averaged over
    processes and over the batches of an optimizer step, is the plain mean over all photos of the step.

    Args:
        size: Number of photos.
        batch_size: Photos in a batch of one process.
        seed: Seed of the order.
        rank: Number of this process.
        world: Number of processes; each global batch is split among them in equal parts.
        accumulate: Batches in an optimizer step.
        paths: Numbers of the cells along each photo's path (N, T), from coarse to fine, to put nearby photos into one batch;
            None to ignore places.
        places: With `paths` or `neighbours`, number of places in a global batch: each gives a run of nearby photos.
        groups: Group number of each photo (N,), to make runs of photos from one group; then places are ignored.

    Attributes:
        neighbours: Photos (N, K) to put into a run with each photo, nearest first, filled up with -1. If set, `paths` is
            ignored. It may be set between epochs.
    """

    def __init__(self, size: int, batch_size: int, seed: int, rank: int = 0, world: int = 1, *, accumulate: int = 1,
                 paths: Ints | None = None, places: int = 1, groups: Ints | None = None) -> None:
        self.size, self.batch_size, self.seed, self.rank, self.world = size, batch_size, seed, rank, world
        self.accumulate, self.paths, self.places, self.groups = accumulate, paths, places, groups
        self.neighbours: Ints | None = None
        self.epoch = 0
        self.start_batch = 0

    def __len__(self) -> int:
        whole = self.batch_size * self.world
        return (self.size + whole - 1) // whole

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch (Lightning calls this)."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[Draw]]:
        order = self._order(np.random.default_rng([self.seed, self.epoch]))
        whole = self.batch_size * self.world
        first, self.start_batch = self.start_batch, 0
        for batch in range(first, len(self)):
            together = order[batch * whole:(batch + 1) * whole]
            each = -(-len(together) // self.world)
            weight = each * self.world * self.accumulate / self._in_step(batch)
            mine = together[self.rank * each:(self.rank + 1) * each]
            spare = [Draw(int(together[0]), self.epoch, 0.0)] * (each - len(mine))
            yield [Draw(int(i), self.epoch, weight) for i in mine] + spare

    def _in_step(self, batch: int) -> int:
        """Return the number of photos, over all processes, in the optimizer step that a batch belongs to."""
        step = self.batch_size * self.world * self.accumulate
        first = batch // self.accumulate * step
        return min(self.size, first + step) - first

    def _order(self, rng: np.random.Generator) -> Ints:
        order: Ints = rng.permutation(self.size)
        if self.groups is not None:
            return _group_by_group(self.groups, order, self.batch_size * self.world, rng)
        run = max(1, round(self.batch_size * self.world / self.places))
        if self.neighbours is not None:
            return _with_neighbours(self.neighbours, order, run)
        return order if self.paths is None else _place_by_place(self.paths, order, run, rng)


def _with_neighbours(neighbours: Ints, order: Ints, run: int) -> Ints:
    """Return photos in runs: the next remaining photo in `order`, then its nearest remaining neighbours."""
    left = np.ones(len(order), np.bool_)
    walk: list[int] = []
    for first in order.tolist():
        if left[first]:
            near = neighbours[first]
            near = near[near >= 0]
            together = [first, *near[left[near] & (near != first)][:run - 1].tolist()]
            left[together] = False
            walk += together
    return np.array(walk, np.int64)


def _group_by_group(groups: Ints, order: Ints, run: int, rng: np.random.Generator) -> Ints:
    """Return photos in runs of one group each, in random order; the photos that fill no run come last, mixed."""
    sorted_in = order[np.argsort(groups[order], kind="stable")]
    parts = np.split(sorted_in, np.flatnonzero(np.diff(groups[sorted_in])) + 1)
    whole = [part[start:start + run] for part in parts for start in range(0, len(part) - run + 1, run)]
    rest = [part[len(part) - len(part) % run:] for part in parts]
    runs = [whole[i] for i in rng.permutation(len(whole))] + [rest[i] for i in rng.permutation(len(rest))]
    return np.concatenate(runs)


def _place_by_place(paths: Ints, order: Ints, run: int, rng: np.random.Generator) -> Ints:
    """Return photos in runs of nearby ones, the runs in random order.

    The cells are walked as a tree: the children of a cell in random order, the photos of a cell in the order of `order`.
    Neighbours in this walk share as many cells as possible. The walk is cut into runs. The first run has a random length, so
    the cuts are at other positions in every epoch.
    """
    keys: list[Ints] = [np.argsort(order)]
    for level in range(paths.shape[1] - 1, -1, -1):
        cells, inverse = np.unique(paths[:, level], return_inverse=True)
        keys.append(rng.permutation(len(cells))[inverse])
    walk = np.lexsort(keys)  # the last key, that of the coarsest cells, counts most
    runs = np.split(walk, np.arange(int(rng.integers(1, run + 1)), len(walk), run))
    return np.concatenate([runs[i] for i in rng.permutation(len(runs))])
