"""Train, evaluate, localize, visualize, look: the whole way through the command line, once, on a tiny dataset."""

import json
import sys
from pathlib import Path

import pytest
from running import Jzi

from fakes import make_repository
from justzoomin import training

QUICK = ("epochs=2", "batch_size=4", "model.image_pixels=32", "accelerator=cpu", "keep_every=1", "save_every=2",
         "model.encoder.architecture.hidden_sizes=[8, 16, 24]", "model.encoder.architecture.depths=[1, 1, 1]")


def sets(*words: str) -> tuple[str, ...]:
    return tuple(part for word in words for part in ("--set", word))


def test_the_whole_way(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    shorter = ("--preset", "small", *sets(*QUICK))
    run, data = tmp_path / "run", ("--data", repository)
    trained = jzi("train", *data, *shorter, "--out", run)
    assert trained.code == 0, trained.err
    assert trained.out.startswith(f"run:   {run}\nmodel: {run / 'models' / 'best'}\non 5 photos of val in ")
    assert trained.out.splitlines()[-1].startswith("  chance ")
    assert {"config.yaml", "environment.json", "metrics.csv", "models", "state.ckpt"} <= {p.name for p in run.iterdir()}

    # A run is not trained over, goes on only with its own settings, and one that is done stays done, and says so.
    assert "not empty" in jzi("train", *data, *shorter, *sets("epochs=9"), "--out", run).refusal()
    assert "--set epochs=9" in jzi("train", *data, *sets("epochs=9"), "--out", run, "--resume").refusal()
    weights = (run / "models" / "last" / "model.safetensors").stat().st_mtime_ns
    for more in ((), ("--resume",)):
        again = jzi("train", *data, *shorter, "--out", run, *more)
        assert again.code == 0 and again.out == trained.out, again.err
        assert f"{run}: this run is already complete" in again.err
    assert (run / "models" / "last" / "model.safetensors").stat().st_mtime_ns == weights

    # One model: a table with chance and ceiling, and the JSON.
    best, written = run / "models" / "best", tmp_path / "new" / "report.json"
    one = jzi("evaluate", best, *data, "--json", written, "--radius", 20)
    assert one.code == 0, one.err
    assert max(map(len, one.out.split("protocol:")[0].splitlines())) <= 80
    for words in ("5 photos of split val", "chance", "ceiling", "R@20m", "median m", f"report: {written}"):
        assert words in one.out
    report = json.loads(written.read_text())
    assert report["n"] == 5
    assert set(report["recall_at_m"]) == {"20", "40", "50", "100"}
    assert {"recall_at_1", "median_m", "mean_m", "hashes", "protocol"} <= set(report)
    assert "trained on" in jzi("evaluate", best, *data, "--split", "train").out
    assert (best / "evaluation-train.json").is_file()

    # The run: one comparison of all its models.
    every = jzi("evaluate", run, *data)
    names = ("best", "epoch-001", "epoch-002", "last")
    assert every.code == 0, every.err
    assert all(f" {name} " in every.out for name in (*names, "chance", "ceiling"))
    comparison = json.loads((run / "evaluation-val.json").read_text())
    assert tuple(comparison["checkpoints"]) == names
    assert comparison["checkpoints"]["best"]["median_m"] == comparison["median_m"] == report["median_m"]

    # The model, and photos with it.
    facts = jzi("model", "info", best, "--json").json
    assert (facts["grid"], facts["preset"], facts["trained_on"]["terminal_cell_m"]) == (4, "small", 25.0)
    assert facts["fingerprint"] in jzi("model", "info", best).out
    pictures = tmp_path / "pictures"
    drawn = jzi("visualize", best, *data, "--out", pictures, "-n", 1)
    assert drawn.code == 0, drawn.err
    kinds = sorted(Path(line).name.split("_")[0] for line in drawn.out.splitlines())
    assert kinds == ["overview.png", "panel", "sheet.png", "zoom"]
    assert sorted(map(str, pictures.iterdir())) == sorted(drawn.out.splitlines())

    # A run folder is no model, and says which are.
    for words in (("visualize", run, *data, "--out", pictures), ("model", "info", run),
                  ("localize", pictures, "--model", run, "--map", repository)):
        assert str(best) in jzi(*words).refusal()


@pytest.mark.parametrize(("words", "names"), [
    (("--preset", "nope"), "Choose one of: paper, small"),
    (sets("epoch=3"), "--set epoch=3: epoch: there is no such setting"),
    (sets("epochs=many"), "--set epochs=many: epochs"),
    (sets("epochs"), "does not have the form key=value"),
    (sets("epochs=["), "not valid YAML"),
    (sets("model.grid=3"), "model.grid"),
    (("--config", "none.yaml"), "none.yaml"),
    (("--resume",), "no run to resume"),
    (sets("train_split=test"), "no split called 'test'"),
])
def test_train_refuses_before_it_writes(jzi: Jzi, repository: Path, tmp_path: Path, words: tuple[str, ...], names: str) -> None:
    use = ("train", "--data", repository, "--out", tmp_path / "run")
    assert names in jzi(*use, *words, *(() if "--preset" in words else ("--preset", "small"))).refusal()
    assert not list(tmp_path.iterdir())


def test_training_that_is_interrupted_says_how_to_go_on(jzi: Jzi, repository: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        sys.exit(1)  # what Lightning makes of Ctrl-C

    monkeypatch.setattr(training, "train", interrupted)
    ran = jzi("train", "--data", repository, "--preset", "small", "--out", tmp_path / "run")
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == f"stopped; continue with: jzi train --data {repository} --out {tmp_path / 'run'} --resume\ninterrupted\n"


def test_train_refuses_data_that_is_wrong(jzi: Jzi, broken: Path, tmp_path: Path) -> None:
    line = jzi("train", "--data", broken, "--preset", "small", "--out", tmp_path / "run").refusal()
    assert f"jzi data verify {broken}" in line


def test_the_paper_encoder_needs_the_network_once(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    words = ("train", "--data", repository, "--out", tmp_path / "run", *sets("model.encoder.source=owner/none"))
    assert "owner/none" in jzi(*words).refusal()
    assert not (tmp_path / "run").exists()


def test_evaluate_refusals(jzi: Jzi, model: Path, photos: Path, repository: Path, broken: Path, tmp_path: Path) -> None:
    use = ("evaluate", model, "--data", repository)
    assert "--radius -5" in jzi(*use, "--radius", "-5").refusal()
    assert "no split called 'test'" in jzi(*use, "--split", "test").refusal()
    assert "--json" in jzi(*use, "--json", tmp_path).refusal()
    assert "jzi data verify" in jzi("evaluate", model, "--data", broken).refusal()
    assert "neither a model folder" in jzi("evaluate", photos, "--data", repository).refusal()
    other = make_repository(tmp_path / "three", grid=3, train=1, val=1, pixels=32)
    assert "4 x 4" in jzi("evaluate", model, "--data", other).refusal()


def test_model_import_refusals(jzi: Jzi, unusable: Path, tmp_path: Path) -> None:
    assert "text.jpg" in jzi("model", "import", unusable / "text.jpg", tmp_path / "model").refusal()
    assert "none.pth" in jzi("model", "import", tmp_path / "none.pth", tmp_path / "model").refusal()
    assert not list(tmp_path.iterdir())
