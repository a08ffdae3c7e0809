"""Samples, batches and their order."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from justzoomin.data import ResumableBatchSampler, collate, halves, normalize, to_tensor
from justzoomin.data.transforms import random_wide_crop
from justzoomin.errors import PhotoError
from justzoomin.geometry import Region, ZoomGrid, view_numbers
from justzoomin.maps import GridViews


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        one, two = a[key], b[key]
        if isinstance(one, list):
            assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))
        else:
            assert torch.equal(torch.as_tensor(one), torch.as_tensor(two)), key


def test_a_sample_is_the_photo_and_its_true_path(dataset):
    samples = dataset.torch_dataset("val", 32)
    assert len(samples) == 6
    views = GridViews(dataset.map, dataset.grid, 32)
    for k, sample in enumerate(samples[i] for i in range(6)):
        path = sample["sequence"].tolist()
        assert path == dataset.sequences("val")[k].tolist()
        assert sample["position"].tolist() == [dataset.split("val").lat[k], dataset.split("val").lon[k]]
        assert sample["photo"].shape == (2, 3, 32, 32) and torch.equal(sample["photo"], halves(sample["wide"]))
        assert torch.equal(torch.cat(list(sample["photo"]), -1), sample["wide"])  # left, then right
        for level, view in enumerate(sample["views"]):
            assert torch.equal(view, to_tensor(views.get(path[:level])))
        assert sample["view_ids"].tolist() == [0, 1 + path[0]]


def test_crops_depend_on_seed_epoch_and_photo_alone(dataset):
    def wide(seed, key):
        return dataset.torch_dataset("train", 32, crop_scale=(0.5, 0.8), seed=seed)[key]["wide"]

    samples = dataset.torch_dataset("train", 32, crop_scale=(0.5, 0.8), seed=1)
    expected = samples[4, 2]["wide"]
    for key in ((0, 0), (4, 1), (11, 2)):
        assert not torch.equal(samples[key]["wide"], expected)
    assert torch.equal(samples[4, 2]["wide"], expected) and torch.equal(wide(1, (4, 2)), expected)
    assert not torch.equal(wide(2, (4, 2)), expected)
    assert torch.equal(dataset.torch_dataset("train", 32)[4, 2]["wide"], dataset.torch_dataset("train", 32)[4]["wide"])


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.floats(0.4, 4.0), st.floats(0.05, 1.0), st.floats(0.0, 1.0))
def test_crops_are_two_to_one_and_inside(seed, aspect, low, share):
    high = low + share * (1 - low)
    left, top, width, height = random_wide_crop(np.random.default_rng(seed), aspect, (low, high))
    assert left >= 0 and top >= 0 and left + width <= 1 + 1e-9 and top + height <= 1 + 1e-9
    assert width * aspect / height == pytest.approx(2.0)
    largest = min(1.0, 2 / aspect) * min(1.0, aspect / 2)
    assert width * height <= high + 1e-9 and (width * height >= low - 1e-9 or width * height == pytest.approx(largest))


def test_a_batch_holds_every_distinct_view_once(dataset):
    samples = [dataset.torch_dataset("train", 16)[k] for k in (3, 0, 7, 3, 9, 1)]
    batch = collate(samples)
    ids = batch["view_ids"].tolist()
    assert ids == sorted(set(ids)) and ids[0] == 0 and len(ids) == len(batch["views"])
    gathered = batch["views"][batch["view_index"]]  # (B, T, 3, n, n)
    for k, sample in enumerate(samples):
        assert torch.equal(gathered[k], torch.stack(sample["views"]))
        assert batch["view_ids"][batch["view_index"][k]].tolist() == sample["view_ids"].tolist()
    assert batch["index"].tolist() == [3, 0, 7, 3, 9, 1] and batch["position"].dtype == torch.float64
    assert torch.equal(batch["wide"], torch.stack([s["wide"] for s in samples]))
    assert len(ids) < batch["view_index"].numel()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 1000))
def test_view_numbers_are_one_to_one(grid, depth, seed):
    zoom = ZoomGrid(Region(0.0, 0.0, (0, 900), (0, 900)), grid, depth)
    sequences = zoom.unflatten(np.random.default_rng(seed).integers(0, zoom.actions**depth, 200), depth)
    numbers = view_numbers(zoom, sequences)
    seen = {}
    for row, path in zip(numbers.tolist(), sequences.tolist(), strict=True):
        for level, number in enumerate(row):
            assert seen.setdefault(number, tuple(path[:level])) == tuple(path[:level])
    assert len(set(seen.values())) == len(seen) and (numbers[:, 0] == 0).all()
    assert numbers.max() < sum(zoom.actions**level for level in range(depth))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 4), st.integers(0, 5), st.integers(0, 99))
def test_an_epoch_covers_every_photo(size, batch_size, world, epoch, seed):
    ranks = []
    for rank in range(world):
        sampler = ResumableBatchSampler(size, batch_size, seed, rank, world)
        sampler.set_epoch(epoch)
        ranks.append(list(sampler))
        assert len(ranks[-1]) == len(sampler) and all(0 < len(b) <= batch_size for b in ranks[-1])
        assert all(d.epoch == epoch for b in ranks[-1] for d in b)
    flat = [d.photo for batches in ranks for b in batches for d in b if d.weight]
    assert sorted(flat) == list(range(size))
    assert len({tuple(len(b) for b in batches) for batches in ranks}) == 1  # all processes take as many steps
    assert ranks[0] == list_again(size, batch_size, seed, world, epoch)


def list_again(size, batch_size, seed, world, epoch):
    sampler = ResumableBatchSampler(size, batch_size, seed, 0, world)
    sampler.set_epoch(epoch)
    return list(sampler)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 7), st.integers(0, 3), st.data())
def test_resuming_gives_the_tail(size, batch_size, epoch, data):
    sampler = ResumableBatchSampler(size, batch_size, 7)
    sampler.set_epoch(epoch)
    whole = list(sampler)
    start = data.draw(st.integers(0, len(whole)))
    sampler.start_batch = start
    assert list(sampler) == whole[start:]
    assert list(sampler) == whole  # the next epoch starts at its beginning


def test_orders_differ_between_epochs_and_seeds():
    def order(seed, epoch):
        return [d.photo for b in list_again(50, 8, seed, 1, epoch) for d in b]

    assert sorted(order(0, 0)) == list(range(50))
    assert order(0, 0) != order(0, 1) and order(0, 0) != order(1, 0)


@pytest.mark.parametrize("context", ["fork"])
def test_workers_change_nothing(dataset, context):
    def batches(workers):
        samples = dataset.torch_dataset("train", 16, crop_scale=(0.7, 1.0), seed=3)
        sampler = ResumableBatchSampler(len(samples), 5, 2)
        loader = DataLoader(samples, batch_sampler=sampler, collate_fn=collate, num_workers=workers,
                            multiprocessing_context=context if workers else None)
        return list(loader)

    alone, together = batches(0), batches(2)
    assert len(alone) == len(together) == 3
    for a, b in zip(alone, together, strict=True):
        same(a, b)


def test_samples_survive_pickling(dataset):
    samples = dataset.torch_dataset("train", 16, crop_scale=(0.7, 1.0), seed=3)
    samples[0]
    again = pickle.loads(pickle.dumps(samples))
    same(again[3, 1], samples[3, 1])


def test_a_missing_photo_is_named(dataset):
    samples = dataset.torch_dataset("val", 16)
    samples.image_ids = ["404", *samples.image_ids[1:]]
    with pytest.raises(PhotoError, match="404_undistorted"):
        samples[0]


def test_normalization():
    images = torch.tensor([[0, 255]] * 3, dtype=torch.uint8).view(3, 1, 2)
    mean, std = (0.5, 0.25, 0.0), (0.5, 0.25, 2.0)
    expected = torch.tensor([[-1.0, 1.0], [-1.0, 3.0], [0.0, 0.5]]).view(3, 1, 2)
    assert torch.allclose(normalize(images, mean, std), expected)
    assert torch.allclose(normalize(images.float() / 255, mean, std), expected)
