"""The exact posterior and the beam against each other, greedy, and every path scored alone."""

import sys

import numpy as np
import pytest
import torch

import fakes
from justzoomin.errors import ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews
from justzoomin.models import ZoomModel
from justzoomin.search import ViewVectors, along_path, beam, exact, greedy


@pytest.fixture(scope="session")
def keen():
    """A model with clear preferences: a fresh model finds all actions nearly equal."""
    return opinionated(fakes.tiny_model(grid=3))


def opinionated(model):
    with torch.no_grad():
        model.decoder.output_head.weight *= 50
    return model


@pytest.fixture
def photos(keen, pairs):
    with torch.inference_mode():
        return keen.encode_photos(pairs)


@pytest.fixture
def vectors(keen, dataset):
    return ViewVectors(keen, GridViews(dataset.map, dataset.grid, keen.config.image_pixels))


def every_path_alone(model, photos, vectors, depth, temperatures=None):
    """Log-probabilities (B, N) by teacher forcing along each of the N paths."""
    grid = ZoomGrid(vectors.views.grid.region, model.config.grid, depth)
    paths = torch.from_numpy(grid.unflatten(np.arange(grid.actions**depth), depth))
    divisors = torch.tensor(temperatures or [1.0] * depth)[:, None]
    found = []
    for photo in photos:
        chances = along_path(model, photo.expand(len(paths), -1), vectors, paths)
        chances = (chances / divisors).log_softmax(-1)  # log-probabilities are logits up to a constant
        found.append(chances.gather(-1, paths[..., None]).squeeze(-1).sum(1))
    return torch.stack(found).numpy()


@pytest.mark.parametrize(("depth", "states", "temperatures"), [
    (1, 1024, None), (2, 1024, None), (3, 1024, None), (3, 20, None), (3, 1, (0.5, 1.5, 3.0))])
def test_exact_is_every_path_scored_alone(keen, photos, vectors, depth, states, temperatures, monkeypatch):
    """Whatever the size of the groups."""
    monkeypatch.setattr(sys.modules["justzoomin.search.exact_search"], "STATES", states)
    found = exact(keen, photos, vectors, depth, temperatures)
    alone = every_path_alone(keen, photos, vectors, depth, temperatures)
    assert found.dtype == np.float32 and found.shape == alone.shape
    assert np.allclose(found, alone, atol=1e-4)
    assert np.array_equal(found.argmax(1), alone.argmax(1))
    assert np.allclose(np.exp(found.astype(np.float64)).sum(1), 1.0, atol=1e-5)


def test_marginals_along_the_greedy_path_are_its_probabilities(keen, photos, vectors):
    found = np.exp(exact(keen, photos, vectors, 3).astype(np.float64))
    path = greedy(keen, photos, vectors, 3)
    for k, sequence in enumerate(path.sequences.tolist()):
        before = 1.0
        for level in range(1, 4):
            number = int(vectors.views.grid.flatten([sequence[:level]])[0])
            mass = found[k].reshape(9**level, -1)[number].sum()
            assert mass / before == pytest.approx(float(path.probabilities[k, level - 1]), rel=1e-4)
            before = mass


def test_a_beam_of_one_is_greedy(keen, photos, vectors):
    found, path = beam(keen, photos, vectors, 3, 1), greedy(keen, photos, vectors, 3)
    assert torch.equal(found.sequences[:, 0], path.sequences)
    assert torch.allclose(found.log_probs[:, 0], path.probabilities.log().sum(1), atol=1e-5)


@pytest.mark.parametrize("width", [81, 1000])
def test_a_beam_of_all_prefixes_is_exact(keen, photos, vectors, width):
    found = beam(keen, photos, vectors, 3, width)
    wanted = np.sort(exact(keen, photos, vectors, 3), 1)[:, ::-1]
    assert found.log_probs.shape == (5, min(width, 729))
    assert np.allclose(found.log_probs.numpy(), wanted[:, :width], atol=1e-4)


@pytest.mark.parametrize("width", [2, 7])
def test_a_beam_gives_true_probabilities_of_different_paths_best_first(keen, photos, vectors, width):
    found, everything = beam(keen, photos, vectors, 3, width), exact(keen, photos, vectors, 3)
    grid = vectors.views.grid
    for k in range(len(photos)):
        cells = grid.flatten(found.sequences[k].numpy())
        assert len(set(cells.tolist())) == width == len(cells)
        assert np.allclose(found.log_probs[k].numpy(), everything[k][cells], atol=1e-4)
        assert (np.diff(found.log_probs[k].numpy()) <= 0).all()


def test_fanning_out_is_stepping_and_leaves_the_state_as_it_was(keen, photos, vectors):
    """Twice in a row, so that children's caches are carried on from."""
    actions = keen.config.actions
    with torch.inference_mode():
        cache = keen.begin(photos)
        keen.step(vectors.at(np.zeros(5, np.int64)), None, cache)
        stepped = cache
        for seed in (1, 2):
            views = torch.randn(len(cache.keys[0]), actions, keen.encoder.width, generator=torch.manual_seed(seed))
            length = cache.length
            logits, children = keen.fan_out(views, cache)
            assert cache.length == length and children.length == length + 2
            stepped = stepped.select(torch.arange(len(views)).repeat_interleave(actions))
            wanted = keen.step(views.flatten(0, 1), torch.arange(actions).repeat(len(views)), stepped)
            assert torch.allclose(logits.flatten(0, 1), wanted, atol=1e-5)
            cache = children


def test_temperatures_must_be_one_a_step(keen, photos, vectors):
    with pytest.raises(ModelError, match="2 temperatures were given for 3 steps"):
        exact(keen, photos, vectors, 3, (1.0, 1.0))


def test_a_narrower_decoder_than_encoder(dataset):
    """Vectors pass through the projection."""
    config = fakes.tiny_model(grid=3).config
    narrow = config.model_copy(update={"decoder": config.decoder.model_copy(update={"width": 8})})
    keen = opinionated(ZoomModel(narrow).eval())
    vectors = ViewVectors(keen, GridViews(dataset.map, dataset.grid, keen.config.image_pixels))
    photos = torch.randn(2, keen.encoder.width, generator=torch.manual_seed(0))
    assert np.allclose(exact(keen, photos, vectors, 2), every_path_alone(keen, photos, vectors, 2), atol=1e-4)
