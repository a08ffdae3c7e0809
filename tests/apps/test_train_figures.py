"""What `jzi train` says at its end, beside chance, and where it starts from."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from running import Jzi

from fakes import grid_of, tiny_model
from justzoomin.apps.shared import train_figures
from justzoomin.apps.shared.demo_names import packaged_model
from justzoomin.apps.shared.train_figures import tell_figures
from justzoomin.apps.train import _chosen
from justzoomin.data import open_dataset
from justzoomin.data.photos import FolderPhotos
from justzoomin.errors import ConfigError
from justzoomin.models import MatcherConfig, ZoomModel
from justzoomin.training import FINETUNE, train_config


@pytest.fixture
def told(model: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What is said of a trained model."""
    def tell(folder: Path = model, *words: str) -> list[str]:
        tell_figures(folder, [open_dataset(repository)], train_config("small", None, ("accelerator=cpu", *words)))
        return capsys.readouterr().out.splitlines()

    return tell


def report(recall: float, low: float, high: float, chance: float = 4.6) -> dict[str, Any]:
    return {"n": 123, "recall_at_m": {"40": recall}, "intervals_95": {"recall_at_m": {"40": (low, high)}},
            "chance": {"recall_at_m": {"40": chance}}}


@pytest.mark.parametrize(("figures", "at_chance"), [
    ((59.3, 50.5, 67.6), False), ((0.0, 0.0, 3.0), True), ((6.0, 4.6, 9.0), True), ((6.0, 4.7, 9.0), False)])
def test_what_is_not_told_from_chance_is_called_so(told: Any, monkeypatch: pytest.MonkeyPatch, repository: Path,
                                                   figures: tuple[float, float, float], at_chance: bool) -> None:
    monkeypatch.setattr(train_figures, "_measured", lambda *_: report(*figures))
    first, second, third = told()
    assert first == f"on 123 photos of val in {repository.name}, within 40 m (95 % interval):"
    end = "   no better than chance: these photos do not show that the model has learned anything" if at_chance else ""
    assert second == "  model    {:.1f} % [{:.1f}, {:.1f}]".format(*figures) + end
    assert third == "  chance   4.6 %"


def test_a_fresh_model_is_measured(told: Any) -> None:
    first, second, third = told()
    assert first.startswith("on 5 photos of val in repository")
    assert second.startswith("  model ") and third.startswith("  chance ")


def test_of_a_zoomer_with_a_matcher_both_are_measured(told: Any, tmp_path: Path, repository: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tiny_model().config
    matched = ZoomModel(bare.model_copy(update={"matcher": MatcherConfig(channels=4, window_m=400.0)}), seed=0)
    model = matched.save_pretrained(tmp_path / "model", grid_of(repository))
    found = {"posterior": report(50.0, 40.0, 60.0), "greedy": report(4.0, 1.0, 9.0)}
    monkeypatch.setattr(train_figures, "_measured", lambda _model, _data, _split, search: found[search])
    _, matcher, zoomer, chance = told(model)
    assert matcher == "  matcher  50.0 % [40.0, 60.0]"
    assert zoomer.startswith("  zoomer   4.0 % [1.0, 9.0]   no better than chance") and chance == "  chance   4.6 %"
    monkeypatch.setattr(train_figures, "MOST_CELLS", 255)
    assert told(model) == [f"measure it with: jzi evaluate {model} --data {repository}"]


def test_without_validation_photos_nothing_is_said(told: Any, model: Path) -> None:
    assert told(model, "val_split=null") == told(model, "val_split=other") == []


def test_a_training_without_its_photos_ends_well(model: Path, repository: Path, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    """Ready photos train where the files are gone: the measurement is left out, and that is said."""
    town = tmp_path / "town"
    shutil.copytree(repository, town)
    dataset = open_dataset(town)
    dataset.photos = FolderPhotos(tmp_path)
    tell_figures(model, [dataset], train_config("small", None, ("accelerator=cpu",)))
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("not measured: ") and "the photo is missing" in said.err


def test_a_model_to_start_from_is_named_once(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    said = jzi("train", "--data", repository, "--out", tmp_path / "run", "--from", "demo", "--set", "init=MODEL").refusal()
    assert said == ("error: --from demo: --set init=MODEL also names a model to start from. Keep one of them.")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("preset", "start", "words", "wanted"), [
    (None, None, [], ("paper", ())),
    (None, "demo", [], (FINETUNE, (f"init={packaged_model()}",))),
    (None, "MODEL", ["epochs=3"], (FINETUNE, ("epochs=3", "init=MODEL"))),
    ("finetune", None, [], (FINETUNE, (f"init={packaged_model()}",))),
    ("finetune", None, ["init=MODEL"], (FINETUNE, ("init=MODEL",))),
    ("best", "MODEL", [], ("best", ("init=MODEL",))),
    ("small", None, ["init=MODEL"], ("small", ("init=MODEL",)))])
def test_preset_and_start(preset: str | None, start: str | None, words: list[str], wanted: tuple[str, tuple[str, ...]],
                          tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _chosen(preset, start, None, words) == wanted
    with pytest.raises(ConfigError, match="Keep one of them"):
        _chosen(preset, start or "demo", None, [*words, "init=OTHER"])
