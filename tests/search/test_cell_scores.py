"""Scores of all cells: what a plain search gives, through an index or not, and after a model was saved."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fakes
from justzoomin.errors import DataError, MissingExtraError, ModelError
from justzoomin.models import MapModel, RetrieverConfig, build_model, open_model, path_scores
from justzoomin.posterior import Posterior
from justzoomin.search import CellScores, MapIndex, ViewVectors, build_index, cell_scores, retrieval, views_of


def model_of(family: str, seed: int = 1, **settings: object) -> MapModel:
    config = fakes.tiny_model(grid=3).config
    changes = {"family": family, "depth": 2, "retriever": RetrieverConfig(**settings)}
    model = build_model(config.model_copy(update=changes), seed=seed).eval()
    with torch.no_grad():  # else weights of levels are equal, and experts silent
        for parameter in model.parameters():
            if parameter.dim() < 2:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return model


FAMILIES = [("retriever", {}), ("retriever", {"contexts": (1, 2, 4), "width": 12, "experts": 2}),
            ("retriever", {"contexts": (1, 3)}), ("hierarchical", {}), ("hierarchical", {"width": 8, "experts": 3}),
            ("classifier", {})]


@pytest.fixture(scope="module")
def grid(dataset):
    return replace(dataset.grid, depth=2)


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.randn(5, 16, generator=torch.Generator().manual_seed(8))


def vectors_of(model, dataset, grid, index=None):
    return ViewVectors(model, views_of(model, dataset.map, grid), 64, index)


def picture(model, dataset, grid, sequence, scale):
    """Vector of a square drawn from the map itself."""
    cell = grid.cell(sequence)
    view = dataset.map.view(cell.centre.lat, cell.centre.lon, cell.size_m * scale, model.config.image_pixels)
    pixels = torch.from_numpy(view.pixels).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (model.config.mean, model.config.std))
    with torch.no_grad():
        return model.encode_views(((pixels - mean) / std).unsqueeze(0))[0]


@pytest.mark.parametrize("settings", [{}, {"contexts": (1, 2), "width": 6}])
@torch.no_grad()
def test_a_dual_encoders_score_is_the_cosine_with_the_cells_own_views(dataset, grid, photos, settings):
    model = model_of("retriever", **settings)
    scores = cell_scores(model, photos, vectors_of(model, dataset, grid))
    assert scores.shape == (5, 81)
    compared = torch.nn.functional.normalize(model.photo_head(photos), dim=-1)
    for number, sequence in enumerate(product(range(9), repeat=2)):
        if number % 20 == 0:
            views = torch.stack([picture(model, dataset, grid, sequence, scale) for scale in model.config.retriever.contexts])
            cell = torch.nn.functional.normalize(model.view_head(views.flatten()), dim=-1)
            assert torch.allclose(scores[:, number], model.log_scale.exp() * compared @ cell, atol=1e-4)


@torch.no_grad()
def test_an_exhaustive_beam_is_the_sum_over_every_path(dataset, grid, photos):
    model = model_of("hierarchical", beam=81)
    scores = CellScores(model, vectors_of(model, dataset, grid)).scores(photos)
    compared = model.embed_photos(photos)
    coarse = torch.stack([torch.stack([  # a coarse cell by the best window of its size around one of its children
        compared @ model.embed_views(picture(model, dataset, grid, (a, b), 3).unsqueeze(0))[0] for b in range(9)]).amax(0)
        for a in range(9)], 1)
    fine = torch.stack([compared @ model.embed_views(picture(model, dataset, grid, path, 1).unsqueeze(0))[0]
                        for path in product(range(9), repeat=2)], 1)
    one, two = ((model.scales[k] * level).log_softmax(1) for k, level in enumerate((coarse, fine)))
    weights = model.weights
    for number, (a, b) in enumerate(product(range(9), repeat=2)):
        assert torch.allclose(scores[:, number], weights[0] * one[:, a] + weights[1] * two[:, 9 * a + b], atol=1e-3)


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 3))
def test_no_path_that_the_beam_lost_stands_above_one_that_it_followed(seed: int, beam: int, depth: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps = [torch.randn(3, 4**level, generator=generator).log_softmax(1) for level in range(1, depth + 1)]
    whole, found = path_scores(steps, 4**depth), path_scores(steps, beam)
    assert torch.isfinite(found).all()
    for row in range(3):
        kept = {()}  # a plain beam
        for level in range(1, depth + 1):
            paths = [(*path, action) for path in kept for action in range(4)]

            def total(path: tuple[int, ...], row: int = row) -> float:
                number, value = 0, 0.0
                for step, action in enumerate(path):
                    number = number * 4 + action
                    value += float(steps[step][row, number])
                return value

            kept = set(paths) if level == depth else set(sorted(paths, key=total, reverse=True)[:beam])
        numbers = [sum(action * 4 ** (depth - 1 - k) for k, action in enumerate(path)) for path in kept]
        rest = sorted(set(range(4**depth)) - set(numbers))
        assert torch.allclose(found[row, numbers], whole[row, numbers], atol=1e-5)
        assert not rest or found[row, rest].max() <= found[row, numbers].min() + 1e-5


@pytest.mark.parametrize(("family", "settings"), FAMILIES)
def test_a_saved_and_opened_model_scores_the_same_and_makes_a_posterior(dataset, grid, photos, tmp_path, family, settings):
    model = model_of(family, **settings)
    opened = open_model(model.save_pretrained(tmp_path / "model", grid))
    assert type(opened) is type(model) and opened.fingerprint() == model.fingerprint()
    scores = cell_scores(model, photos, vectors_of(model, dataset, grid))
    assert torch.equal(scores, cell_scores(opened, photos, vectors_of(opened, dataset, grid)))
    assert abs(Posterior.of(grid, scores[0].numpy()).probs.sum() - 1) < 1e-9


@pytest.mark.parametrize(("family", "settings"), FAMILIES[:5])
def test_scores_through_an_index_are_the_same_and_nothing_is_encoded_again(dataset, grid, photos, tmp_path, family, settings,
                                                                          monkeypatch):
    model = model_of(family, **settings)
    index = build_index(model, dataset.map, tmp_path / "index", grid)
    assert index.count() == len(index) == len(model.layers(grid))
    plain = cell_scores(model, photos, vectors_of(model, dataset, grid))
    monkeypatch.setattr(model, "encode_views", lambda _: pytest.fail("a view was encoded again"))
    opened = MapIndex.open_for(tmp_path / "index", model, dataset.map, grid)
    assert torch.allclose(cell_scores(model, photos, vectors_of(model, dataset, grid, opened)), plain, atol=1e-4)


def test_an_index_of_other_layers_is_refused(dataset, grid, tmp_path):
    model = model_of("retriever")
    build_index(model, dataset.map, tmp_path / "index", grid, lazy=True)
    head = tmp_path / "index" / "index.json"
    text = head.read_text()
    head.write_text(text.replace('"layers": [\n    [\n      2,\n      1', '"layers": [\n    [\n      2,\n      2'))
    assert head.read_text() != text
    with pytest.raises(DataError, match="its layers or sizes differ from the model's"):
        MapIndex.open_for(tmp_path / "index", model, dataset.map, grid)
    head.write_text(text.replace("justzoomin-index/2", "justzoomin-index/1"))
    with pytest.raises(DataError, match="older version"):
        MapIndex.open(tmp_path / "index")
    for wrong in ("[]", "[[9, 1]]", "[[true, 1]]", "[[1]]", "7"):
        head.write_text(text.replace('"layers": [', f'"layers": {wrong}, "old": ['))
        with pytest.raises(DataError):
            MapIndex.open(tmp_path / "index")


@pytest.mark.parametrize("family", ["retriever", "hierarchical", "classifier"])
def test_the_best_cells_are_those_of_a_full_sort(dataset, grid, photos, family):
    model = model_of(family)
    ready = CellScores(model, vectors_of(model, dataset, grid))
    cells, scores = ready.top_cells(photos, 7)
    wanted = ready.scores(photos).sort(1, descending=True)
    assert torch.allclose(scores, wanted.values[:, :7], atol=1e-4)
    assert torch.allclose(ready.scores(photos).gather(1, cells), scores, atol=1e-4)
    assert ready.top_cells(photos, 1000)[0].shape == (5, 81)


def test_without_faiss_the_extra_is_named(dataset, grid, photos, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    model = model_of("retriever")
    with pytest.raises(MissingExtraError, match=r"justzoomin\[search\]"):
        CellScores(model, vectors_of(model, dataset, grid)).top_cells(photos, 3)


def test_what_does_not_fit_is_refused(dataset, grid, photos, model, vectors, monkeypatch, tmp_path):
    from justzoomin.models import DualEncoder, ZoomModel

    with pytest.raises(ModelError, match="family zoom has no method to score cells"):
        CellScores(model, vectors)
    for family in ("classifier", "hierarchical"):
        other = model_of(family)
        with pytest.raises(ModelError, match="grid has"):
            CellScores(other, vectors_of(other, dataset, dataset.grid))
    saved = model_of("retriever").save_pretrained(tmp_path / "model", grid)
    with pytest.raises(ModelError, match=r"family 'retriever', not 'zoom'\. Open it with justzoomin\.models\.open_model"):
        ZoomModel.from_pretrained(saved)
    assert isinstance(DualEncoder.from_pretrained(saved), DualEncoder)
    with pytest.raises(ModelError, match="does not use the map"):
        build_index(model_of("classifier"), dataset.map, tmp_path / "index", grid)
    with pytest.raises(ModelError, match="family 'classifier'"):
        ZoomModel(model_of("classifier").config)
    monkeypatch.setattr(retrieval, "MAX_SCORED_CELLS", 80)
    other = model_of("retriever")
    with pytest.raises(ModelError, match="too many"):
        CellScores(other, vectors_of(other, dataset, grid)).scores(photos)
    assert np.isfinite(CellScores(other, vectors_of(other, dataset, grid)).top_cells(photos, 2)[1].numpy()).all()
