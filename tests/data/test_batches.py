"""Batches over processes and places: together those of one process, every photo once, each weighed alike."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justzoomin.data import ResumableBatchSampler
from justzoomin.geometry import Region, ZoomGrid, view_numbers

GRID = ZoomGrid(Region(0.0, 0.0, (0, 6400), (0, 6400)), 4, 3)


def paths(size, seed=0):
    sequences = GRID.unflatten(np.random.default_rng(seed).integers(0, GRID.actions**3, size), 3)
    return view_numbers(GRID, sequences)[:, 1:]


def samplers(size, batch_size, world, accumulate, places, epoch):
    found = []
    for rank in range(world):
        sampler = ResumableBatchSampler(size, batch_size, 5, rank, world, accumulate=accumulate,
                                        paths=paths(size) if places else None, places=places or 1)
        sampler.set_epoch(epoch)
        found.append(sampler)
    return found


sizes = (st.integers(1, 70), st.integers(1, 8), st.integers(1, 4), st.integers(1, 3), st.sampled_from([None, 1, 3, 50]),
         st.integers(0, 3))


@settings(max_examples=80)
@given(*sizes)
def test_processes_together_draw_the_batches_of_one(size, batch_size, world, accumulate, places, epoch):
    ranks = [list(s) for s in samplers(size, batch_size, world, accumulate, places, epoch)]
    one = list(samplers(size, batch_size * world, 1, accumulate, places, epoch)[0])
    assert {len(r) for r in ranks} == {len(one)}
    for number, batch in enumerate(one):
        parts = [r[number] for r in ranks]
        assert len({len(p) for p in parts}) == 1 and 0 < len(parts[0]) <= batch_size
        assert [d.photo for p in parts for d in p if d.weight] == [d.photo for d in batch]
        assert {d.photo for p in parts for d in p} == {d.photo for d in batch}  # what tops up costs no other view


@settings(max_examples=80)
@given(*sizes)
def test_every_photo_of_a_step_counts_alike(size, batch_size, world, accumulate, places, epoch):
    """As it is stepped by: mean over a process's photos, averaged over processes, divided by `accumulate`, added up."""
    ranks = [list(s) for s in samplers(size, batch_size, world, accumulate, places, epoch)]
    seen = Counter()
    for first in range(0, len(ranks[0]), accumulate):
        share = Counter()
        for batch in (r[number] for r in ranks for number in range(first, min(first + accumulate, len(r)))):
            for draw in batch:
                share[draw.photo] += draw.weight / len(batch) / world / accumulate
        assert all(value == pytest.approx(1 / len(share)) for value in share.values())
        seen.update(share.keys())
    assert set(seen) == set(range(size)) and set(seen.values()) == {1}


@settings(max_examples=40)
@given(*sizes, st.data())
def test_resuming_gives_the_tail_over_places_too(size, batch_size, world, accumulate, places, epoch, data):
    sampler = samplers(size, batch_size, world, accumulate, places, epoch)[-1]
    whole = list(sampler)
    sampler.start_batch = data.draw(st.integers(0, len(whole)))
    start = sampler.start_batch
    assert list(sampler) == whole[start:] and list(sampler) == whole


def test_fewer_places_are_fewer_views_and_orders_differ_between_epochs():
    def batches(places, epoch=0):
        return [[d.photo for d in batch] for batch in samplers(2000, 32, 1, 1, places, epoch)[0]]

    numbers = paths(2000)
    counts = [np.mean([len(np.unique(numbers[batch])) for batch in batches(places)]) for places in (None, 16, 8, 2)]
    assert counts == sorted(counts, reverse=True) and counts[2] < 0.6 * counts[0]
    together = [{frozenset(batch) for batch in batches(8, epoch)} for epoch in (0, 1)]
    assert not together[0] & together[1]
    assert batches(8) == batches(8)


def test_a_batch_has_several_places():
    """With 8 places, a batch is not all in one cell of the first level, and not in all of them by chance alone."""
    numbers = paths(4000)[:, 0]
    cells = [len(np.unique(numbers[[d.photo for d in batch]])) for batch in samplers(4000, 64, 1, 1, 8, 0)[0]]
    assert 4 < np.mean(cells) < 10
