"""Predictions kept by jzi evaluate, scored and compared without the model."""

import csv
import json
from pathlib import Path

import pytest
from running import Jzi

from justzoomin.apps.main import main
from justzoomin.scoring import read_predictions


@pytest.fixture(scope="module")
def kept(model: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Predictions of three searches, with their reports beside them."""
    found, folder = {}, tmp_path_factory.mktemp("kept")
    for name, words in (("greedy", ()), ("beam", ("--search", "beam:4")),
                        ("posterior", ("--search", "posterior", "--decide", "within:60", "--listed", 0, "--method", "whole"))):
        found[name] = folder / f"{name}.parquet"
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in ("evaluate", model, "--data", repository, *words, "--predictions", found[name],
                                         "--json", folder / f"{name}.json")])
        assert not stop.value.code
    return found


def test_the_whole_way(jzi: Jzi, kept: dict[str, Path], repository: Path, tmp_path: Path) -> None:
    tables = {name: read_predictions(path) for name, path in kept.items()}
    assert [t.info.method for t in tables.values()] == ["greedy", "beam:4", "whole"]
    assert tables["posterior"].info.decision == tables["posterior"].info.confidence == "within:60"
    assert tables["posterior"].ranking.cells.shape == (5, 256) and tables["beam"].ranking.cells.shape == (5, 4)
    assert (tables["greedy"].views == 2).all() and (tables["beam"].views == 5).all() and (tables["posterior"].views == 17).all()
    for name, path in kept.items():
        written = tmp_path / f"score-{name}.json"
        ran = jzi("score", path, "--intervals", "photo", "--json", written)
        assert ran.code == 0 and "ceiling" in ran.out and "protocol" in ran.out
        score, report = json.loads(written.read_text()), json.loads(path.with_suffix(".json").read_text())
        assert score["recall_at_1"]["value"] == report["recall_at_1"] and score["mean_m"]["value"] == report["mean_m"]
        assert {r: f["value"] for r, f in score["recall_at_m"].items()} == report["recall_at_m"]
    out = tmp_path / "out"
    ran = jzi("compare", *kept.values(), "--out", out, "--rows", "a,b,c", "--reference", "c", "--train", f"{repository}:train")
    assert ran.code == 0, ran.err
    assert all(words in ran.out for words in ("nearest photo", "train density", "chance", "ceiling", "against c"))
    assert sorted(p.name for p in out.iterdir()) == [
        "comparison.csv", "comparison.json", "comparison.md", "recall-area.png", "recall-cost.png", "recall-radius.png",
        "reliability.png"]
    rows = list(csv.DictReader((out / "comparison.csv").read_text().splitlines()))
    assert {r["row"] for r in rows} == {"a", "b", "c", "nearest photo", "train density", "chance", "ceiling"}


def test_galleries_and_decisions(jzi: Jzi, kept: dict[str, Path], tmp_path: Path) -> None:
    written = tmp_path / "s.json"
    ran = jzi("score", kept["posterior"], kept["posterior"], "--gallery", "occupied", "--radii", "5,10", "--areas", "625",
              "--json", written)
    first, second = json.loads(written.read_text())
    assert "warning: " in ran.err and first == second and list(first["recall_at_m"]) == ["5", "10"]
    assert list(first["recall_at_area"]) == ["625"]
    ran = jzi("score", kept["posterior"], "--distance", "projection", "--decide", "distance")
    assert ran.code == 0 and "straight line" in ran.out and "distance, over the listed cells" in ran.out


def test_refusals(jzi: Jzi, kept: dict[str, Path], model: Path, repository: Path, tmp_path: Path) -> None:
    some, one = kept["greedy"], ("evaluate", model, "--data", repository)
    compare = ("compare", some, "--out", tmp_path / "x")
    for words, said in (
            (("score", tmp_path / "none.parquet"), "cannot be read"), (("score", some, "--gallery", "occupied"), "occupied"),
            (("score", some, "--gallery", "some"), "all, occupied"), (("score", some, "--radii", "10,x"), "--radii"),
            (("score", some, "--radii", "0"), "--radii"), (("score", some, "--decide", "luck"), "luck"),
            (("score", some, "--intervals", "drive"), "drive"), (("score", next(repository.rglob("*.csv"))), "--data TOWN"),
            ((*compare, "--train", "town"), "DATA:SPLIT"), ((*compare, "--rows", "a,b"), "2 names"),
            ((*compare, "--train", f"{repository}:val"), "evaluated"), (("compare", some, "--out", some), "not a folder"),
            ((*one, "--search", "luck"), "luck"), ((*one, "--search", "greedy", "--decide", "within:40"), "posterior"),
            ((*one, "--predictions", tmp_path), "folder")):
        assert said in jzi(*words).refusal()
    assert not (tmp_path / "x").exists()
