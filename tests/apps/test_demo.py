"""The demo keeps its word: the packaged model knows the town that today's code makes."""

from pathlib import Path

import pytest
import torch

from justzoomin.apps import demo as demo_command
from justzoomin.apps.demo import UNSEEN_SEED, _remove_own_town, _train, demo_city, packaged_model
from justzoomin.city import build_city
from justzoomin.data import Frame, open_dataset
from justzoomin.errors import ConfigError
from justzoomin.evaluation import evaluate_path
from justzoomin.maps import GridViews, Map
from justzoomin.models import ZoomModel
from justzoomin.search.cell_scorer import trained_on
from justzoomin.search.trained import records


def test_the_packaged_model_localizes_held_out_photos_of_the_town(tmp_path: Path) -> None:
    """On 64 of the demo's 400 photos, with room for their small number: the demo itself measures all of them."""
    dataset = open_dataset(build_city(tmp_path / "town", demo_city(1, 64).model_copy(update={"workers": 1})))
    model = ZoomModel.from_pretrained(packaged_model())
    assert model.grid == dataset.grid
    report = evaluate_path(str(packaged_model()), tmp_path / "town", "val", radii_m=(20.0,))["demo-model"].report
    assert report["n"] == 64
    assert report["protocol"]["decoding"].startswith("calibrated posterior")
    assert report["trained_on_this_split"] is False
    assert report["recall_at_m"]["20"] >= 80
    assert report["median_m"] < 6
    assert report["chance"]["recall_at_m"]["20"] < 5


def test_the_packaged_model_finds_its_way_in_a_town_it_never_saw(tmp_path: Path) -> None:
    """Chance has about 4.5 % within 40 m."""
    dataset = open_dataset(build_city(tmp_path / "town", demo_city(1, 64, UNSEEN_SEED).model_copy(update={"workers": 1})))
    model = ZoomModel.from_pretrained(packaged_model())
    assert model.matcher is not None and not trained_on(model, GridViews(dataset.map, dataset.grid, 48))
    report = evaluate_path(str(packaged_model()), tmp_path / "town", "val", radii_m=(40.0,))["demo-model"].report
    assert report["recall_at_m"]["40"] >= 50 > report["chance"]["recall_at_m"]["40"] + 40


def test_the_packaged_model_is_small_and_says_where_it_comes_from() -> None:
    model = ZoomModel.from_pretrained(packaged_model())
    assert (packaged_model() / "model.safetensors").stat().st_size < 8_000_000
    assert model.config.preset == "best"
    assert model.provenance["photos"] >= 10_000
    assert model.provenance["config"]["train_split"] == "train"
    *matching, zoomer = records(model.provenance)
    assert len(matching) > 2 and all(record["zoomer_trained"] is False for record in matching)
    assert zoomer["photos"] == 54_000
    assert model.config.frame == Frame("squeeze", 75.0, "crop") and model.config.photo_pixels == 64


def test_trained_anew_it_is_a_zoomer_and_a_matcher_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way with a few photos: what is trained when, and that a second start trains nothing again."""
    few_photos = {"TRAIN_PHOTOS": 32, "MATCHED_PHOTOS": 16, "OTHER_TOWNS": 1, "OTHER_KINDS": ((320.0, False, 16),)}
    for name, value in few_photos.items():
        monkeypatch.setattr(demo_command, name, value)
    for name in ("ZOOMER", "MATCHER"):
        few = tuple(word for word in getattr(demo_command, name) if not word.startswith("epochs="))
        monkeypatch.setattr(demo_command, name, (*few, "epochs=1"))
    build_city(tmp_path / "town-train", demo_city(32, 8).model_copy(update={"workers": 1}))  # so that 8 do in the place of 400
    folder = _train(tmp_path, tmp_path / "town-train")
    model, zoomer = ZoomModel.from_pretrained(folder), ZoomModel.from_pretrained(tmp_path / "run-zoomer" / "models" / "last")
    assert model.config.preset == "best" and model.matcher is not None and model.matcher.config.zoom_weight == 1
    assert model.config.frame == Frame("squeeze", 75.0, "crop") and model.config.photo_pixels == 64
    weights, kept = model.state_dict(), zoomer.state_dict()
    assert all(torch.equal(weights[name], kept[name]) for name in kept)
    assert model.provenance["photos"] == 32 and len(model.provenance["maps"]) == 2
    assert trained_on(model, GridViews(Map.open(tmp_path / "town-train"), model.grid, 48))
    assert not trained_on(model, GridViews(Map.open(tmp_path / "towns" / "0"), model.grid, 48))
    assert _train(tmp_path, tmp_path / "town-train") == folder
    assert ZoomModel.from_pretrained(folder).fingerprint() == model.fingerprint()


def test_only_an_own_town_is_ever_removed(tmp_path: Path) -> None:
    _remove_own_town(tmp_path / "none", 7)
    other = tmp_path / "town"
    other.mkdir()
    (other / "precious.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not the town of an earlier demo"):
        _remove_own_town(other, 7)
    assert (other / "precious.txt").read_text() == "mine"
    (other / "ATTRIBUTION").write_text("Synthetic town (seed 7) made by justzoomin.\n")
    _remove_own_town(other, 7)
    assert not other.exists()
