"""What a model says of maps and photos that it was not trained on, and of what an answer costs."""

from __future__ import annotations

import warnings

import pytest

import fakes
from justzoomin.data import open_dataset
from justzoomin.models import MatcherConfig, ZoomModel, with_matcher
from justzoomin.search import Localizer, NotTrainedHereWarning, map_posteriors
from justzoomin.search.trained import shapes_trained_on


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return open_dataset(fakes.make_repository(tmp_path_factory.mktemp("new") / "town", train=2, val=2, pixels=32))


@pytest.fixture
def photo(town):
    return town.photos.read(town.split("val").image_ids[0])


def zoomer(**provenance) -> ZoomModel:
    model = fakes.tiny_model()
    model.provenance = provenance
    return model


@pytest.mark.parametrize(("record", "warns"), [
    ({}, False), ({"map_hash": "a" * 64}, True), ({"map_hash": "here"}, False),
    ({"zoomer_trained": False, "map_hash": "here", "started_from": {"map_hash": "a" * 64}}, True),
    ({"maps": [{"map_hash": "a" * 64}, {"map_hash": "here"}]}, False)])
def test_a_zoomer_on_a_map_that_it_does_not_know_says_so(town, photo, record, warns):
    def filled(value):
        if isinstance(value, dict):
            return {k: filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [filled(v) for v in value]
        return town.map.fingerprint() if value == "here" else value

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        Localizer(zoomer(**filled(record)), town.map, search="greedy").localize(photo)
    said = [str(w.message) for w in found if issubclass(w.category, NotTrainedHereWarning)]
    assert bool(said) is warns and all("chance" in words for words in said)


def test_a_photo_of_another_shape_than_the_trainings_is_named(town, photo):
    like, unlike = (Localizer(zoomer(shapes={"aspect": span}), town.map).localize(photo).not_calibrated
                    for span in ([1.7, 2.0], [0.5, 0.8]))
    assert like == "the model has no calibration"
    assert unlike == f"{like}; the photo's shape (width over height) is 1.78, but the model was trained on 0.5 to 0.8"
    earlier = {"maps": [{"shapes": {"aspect": [1, 1.6]}}, {}]}
    for wrong in ([10**400, 10**400], [2, 1], [1], "12", [0, 1], None):
        assert shapes_trained_on({"shapes": {"aspect": wrong}}) == {}
    assert shapes_trained_on({"shapes": {"aspect": [1.5, 2.0]}, "started_from": earlier}) == {"aspect": (1.0, 2.0)}


def test_the_cost_of_a_matcher_is_measured_before_it_is_paid(town, photo, monkeypatch):
    matcher = MatcherConfig(window_m=64, margin_m=16, reach_m=16, channels=4, headings=4, tried=4, symmetries=1, width=8)
    model = with_matcher(fakes.tiny_model(), matcher, "best", 0)
    monkeypatch.setattr(map_posteriors, "CHEAP_PIECES", 100)
    assert Localizer(model, town.map, search="posterior").matching_cost() is None  # cheap
    monkeypatch.setattr(map_posteriors, "CHEAP_PIECES", 1)
    whole = Localizer(model, town.map, search="posterior")
    cost = whole.matching_cost()
    assert cost.pieces == 25 and cost.bearings == 4 and cost.places >= cost.looked > 0
    assert cost.map_seconds > 0 and cost.photo_seconds > 0
    steps = []
    whole.prepare(lambda done, total: steps.append((done, total)))
    assert steps == [(k, 25) for k in range(1, 26)]
    assert whole.localize(photo).searched == "posterior"
    assert len(steps) == 25  # not described again
    assert Localizer(model, town.map, search="greedy").matching_cost() is None
