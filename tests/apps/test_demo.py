"""The demo keeps its word: the packaged model knows the town that today's code makes."""

from pathlib import Path

import pytest

from justzoomin.apps.demo_command import _remove_own_town, demo_city, packaged_model
from justzoomin.city import build_city
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError
from justzoomin.evaluation import evaluate
from justzoomin.models import ZoomModel


def test_the_packaged_model_localizes_held_out_photos_of_the_town(tmp_path: Path) -> None:
    """On 64 of the demo's 400 photos, with room for their small number: the demo itself measures all of them."""
    dataset = open_dataset(build_city(tmp_path / "town", demo_city(1, 64).model_copy(update={"workers": 1})))
    model = ZoomModel.from_pretrained(packaged_model())
    assert model.grid == dataset.grid
    report = evaluate(model, dataset, "val", radii_m=(20.0,)).report
    assert report["n"] == 64
    assert report["trained_on_this_split"] is False
    assert report["recall_at_m"]["20"] >= 70
    assert report["median_m"] < 10
    assert report["chance"]["recall_at_m"]["20"] < 5


def test_the_packaged_model_is_small_and_says_where_it_comes_from() -> None:
    model = ZoomModel.from_pretrained(packaged_model())
    assert (packaged_model() / "model.safetensors").stat().st_size < 8_000_000
    assert model.config.preset == "small"
    assert model.provenance["photos"] >= 10_000
    assert model.provenance["config"]["train_split"] == "train"


def test_only_an_own_town_is_ever_removed(tmp_path: Path) -> None:
    _remove_own_town(tmp_path / "none")
    other = tmp_path / "town"
    other.mkdir()
    (other / "precious.txt").write_text("mine")
    with pytest.raises(ConfigError, match="no town of an earlier demo"):
        _remove_own_town(other)
    assert (other / "precious.txt").read_text() == "mine"
    (other / "ATTRIBUTION").write_text("Synthetic town (seed 7) made by justzoomin.\n")
    _remove_own_town(other)
    assert not other.exists()
