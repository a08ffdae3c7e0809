"""Greedy zooming against the plainest loop that could do it."""

import pytest
import torch

from justzoomin.data import normalize, to_tensor
from justzoomin.errors import TileError
from justzoomin.maps import GridViews
from justzoomin.search import along_path, build_index, greedy


@torch.inference_mode()
def naive(model, pair, views, depth):
    """One photo, everything encoded again and the whole decoder run again at each step."""
    path, chances = [], []
    for _ in range(depth):
        seen = torch.stack([to_tensor(views.get(path[:k])) for k in range(len(path) + 1)])
        logits = model(pair.unsqueeze(0), normalize(seen, model.config.mean, model.config.std),
                       torch.arange(len(seen)).unsqueeze(0), torch.tensor([path], dtype=torch.int64).reshape(1, -1))
        probability = logits[0, -1].softmax(-1)
        path.append(int(probability.argmax()))
        chances.append(float(probability.max()))
    return path, chances


@pytest.mark.parametrize(("depth", "indexed"), [(1, False), (3, False), (3, True)])
def test_greedy_is_the_naive_loop(model, dataset, vectors, pairs, depth, indexed, tmp_path):
    """As published: everything drawn and encoded again; and with all views encoded beforehand."""
    if indexed:
        vectors.index = build_index(model, dataset.map, tmp_path / "index")
    photos = model.encode_photos(pairs)
    found = greedy(model, photos, vectors, depth)
    views = GridViews(dataset.map, dataset.grid, model.config.image_pixels)
    for k in range(len(pairs)):
        path, chances = naive(model, pairs[k], views, depth)
        assert found.sequences[k].tolist() == path
        assert torch.allclose(found.probabilities[k], torch.tensor(chances), atol=1e-5)
    assert found.sequences.shape == found.probabilities.shape == (5, depth) and found.sequences.dtype == torch.int64


def test_a_batch_is_its_photos_one_by_one(model, vectors, pairs):
    photos = model.encode_photos(pairs)
    together = greedy(model, photos, vectors, 3)
    for k in range(len(pairs)):
        alone = greedy(model, photos[k:k + 1], vectors, 3)
        assert torch.equal(alone.sequences[0], together.sequences[k])
        assert torch.allclose(alone.probabilities[0], together.probabilities[k], atol=1e-5)


def test_chances_along_the_chosen_path_are_those_it_was_chosen_by(model, vectors, pairs):
    photos = model.encode_photos(pairs)
    found = greedy(model, photos, vectors, 3)
    chances = along_path(model, photos, vectors, found.sequences)
    assert chances.shape == (5, 3, 9)
    assert torch.allclose(chances.exp().sum(-1), torch.ones(5, 3), atol=1e-5)
    assert torch.equal(chances.argmax(-1), found.sequences)
    assert torch.allclose(chances.exp().max(-1).values, found.probabilities, atol=1e-5)


def test_an_action_does_not_change_the_chances_before_it(model, vectors, pairs):
    photos = model.encode_photos(pairs)
    one = along_path(model, photos, vectors, torch.tensor([[1, 2, 3]] * 5))
    other = along_path(model, photos, vectors, torch.tensor([[1, 2, 8]] * 5))
    assert torch.allclose(one, other, atol=1e-6)
    third = along_path(model, photos, vectors, torch.tensor([[1, 7, 3]] * 5))
    assert torch.allclose(one[:, :2], third[:, :2], atol=1e-6) and not torch.allclose(one[:, 2], third[:, 2], atol=1e-6)


def test_each_view_is_encoded_once(model, dataset, vectors, monkeypatch):
    encoded, encode = [], model.encode_views
    monkeypatch.setattr(model, "encode_views", lambda images: encoded.append(len(images)) or encode(images))
    wanted = [(), (1,), (1, 2), (), (1,), (8,), (8, 8), (3,)]
    first = vectors.get(wanted)
    assert first.shape == (8, 16) and sum(encoded) == 6 == len(vectors) and max(encoded) <= 4
    assert torch.equal(vectors.get(wanted), first) and sum(encoded) == 6
    assert torch.equal(first[0], first[3]) and torch.equal(first[1], first[4])
    images = torch.stack([to_tensor(vectors.views.get(k)) for k in wanted])
    fresh = encode(normalize(images, model.config.mean, model.config.std))
    assert torch.allclose(fresh, first, atol=1e-5)


def test_no_data_is_told_per_view(vectors):
    assert vectors.no_data((1, 2, 3)) == (0.0, 0.0, 0.0)


def test_a_broken_map_is_an_error_not_a_guess(model, dataset, vectors, pairs, monkeypatch):
    def broken(*_):
        raise TileError("tile", "it is broken", "Fetch it.")

    monkeypatch.setattr(dataset.map, "view", broken)
    with pytest.raises(TileError):
        greedy(model, model.encode_photos(pairs), vectors, 2)
