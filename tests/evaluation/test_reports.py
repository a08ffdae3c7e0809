"""Evaluating a model on a split."""

import json

import numpy as np
import pytest
import torch

import fakes
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, DataError, ModelError, PhotoError
from justzoomin.evaluation import evaluate, evaluate_path, find_models
from justzoomin.evaluation.tables import trained_splits
from justzoomin.files import write_json
from justzoomin.search import Localizer


@pytest.fixture(scope="session")
def evaluation(model, dataset):
    return evaluate(model, dataset, radii_m=(20.0, 40.0, 62.5))


def test_the_report_says_what_it_must(evaluation, model, dataset):
    report = json.loads(json.dumps(evaluation.report, allow_nan=False))
    assert report["n"] == 9 and report["split"] == "val"
    assert set(report["recall_at_m"]) == {"20", "40", "62.5"}
    for row in (report, report["chance"], report["ceiling"]):
        assert all(isinstance(row[k], float) for k in ("recall_at_1", "median_m", "mean_m"))
        assert all(0 <= v <= 100 for v in row["recall_at_m"].values())
        assert set(row["intervals_95"]) == {"recall_at_1", "recall_at_m", "median_m", "mean_m"}
        assert list(row["recall_at_m"].values()) == sorted(row["recall_at_m"].values())
    assert report["chance"]["recall_at_1"] == 100 / 256 and report["ceiling"]["recall_at_1"] == 100
    assert [sorted(s) for s in report["step_accuracy"]] == [["high", "low", "value"]] * 2
    assert "256" in report["protocol"]["gallery"] and "greedy" in report["protocol"]["decoding"]
    assert report["protocol"]["cell_size_m"] == 25 and report["protocol"]["grid"]["grid"] == 4
    assert report["hashes"] == {"model": model.fingerprint(), "map": dataset.map.fingerprint(),
                                "split": dataset.split_hash("val")}
    assert report["trained_on_this_split"] is None and report["attribution"]


def test_twice_is_the_same(evaluation, model, dataset, repository):
    again = evaluate(model, open_dataset(repository), radii_m=(20.0, 40.0, 62.5))
    assert again.report == evaluation.report


def test_batches_do_not_matter(evaluation, model, dataset):
    small = evaluate(model, dataset, batch_size=2)
    assert np.array_equal(small.table.answers, evaluation.table.answers)
    assert np.allclose(small.table.confidence, evaluation.table.confidence, atol=1e-5)
    assert np.array_equal(small.steps.right, evaluation.steps.right)


def test_predictions_are_what_the_localizer_says(evaluation, model, dataset):
    localizer = Localizer(model, dataset.map, search="greedy")
    table = evaluation.table
    for k, image_id in enumerate(table.photos):
        fix = localizer.localize(dataset.photos.read(image_id))
        assert dataset.grid.flatten([fix.sequence])[0] == table.ranking.cells[k, 0] == table.answer_cells[k]
        assert fix.position == pytest.approx(table.answers[k].tolist(), abs=1e-9)
        assert fix.expected == pytest.approx(table.confidence[k], abs=1e-5)
    assert np.array_equal(table.true_cells, dataset.grid.flatten(dataset.sequences("val")))


def test_a_step_is_right_given_the_right_path(evaluation, model, dataset):
    steps, true = evaluation.steps, dataset.sequences("val")
    found = dataset.grid.unflatten(evaluation.table.ranking.cells[:, 0], dataset.grid.depth)
    assert np.array_equal(steps.right[:, 0], found[:, 0] == true[:, 0])  # the first step has no past
    kept = (found[:, 0] == true[:, 0])
    assert np.array_equal(steps.right[kept, 1], found[kept, 1] == true[kept, 1])
    assert np.array_equal(steps.true_log_prob, evaluation.table.ranking.true_log_prob)
    assert (steps.true_log_prob < 0).all() and evaluation.report["mean_log_probability_of_true_path"] < 0


def test_a_limit_takes_the_first_photos(evaluation, model, dataset):
    seen = []
    some = evaluate(model, dataset, limit=4, batch_size=3, progress=lambda *a: seen.append(a))
    assert some.report["n"] == 4 and seen == [(3, 4), (4, 4)]
    assert np.array_equal(some.table.answers, evaluation.table.answers[:4])
    assert len(evaluate(model, dataset, limit=100).table) == 9
    for wrong in (0, -1):
        with pytest.raises(ConfigError, match="limit"):
            evaluate(model, dataset, limit=wrong)


def test_the_model_is_left_in_its_mode(model, dataset):
    trained = fakes.tiny_model().train()
    for search in ("greedy", "posterior"):
        found = evaluate(trained, dataset, limit=3, search=search)
        assert trained.training
        assert np.array_equal(found.table.answers, evaluate(model, dataset, limit=3, search=search).table.answers)  # no dropout


def test_a_model_that_always_knows_is_at_the_ceiling(dataset, monkeypatch):
    from justzoomin.search import Paths, answering

    truth = torch.from_numpy(dataset.sequences("val"))
    monkeypatch.setattr(answering, "greedy", lambda *a: Paths(truth, torch.ones(truth.shape)))
    report = evaluate(fakes.tiny_model(), dataset).report
    assert report["recall_at_1"] == 100
    assert {k: report[k] for k in ("recall_at_m", "median_m", "mean_m")} \
        == {k: report["ceiling"][k] for k in ("recall_at_m", "median_m", "mean_m")}


def test_problems_of_the_data_are_heard_first(tmp_path, model):
    for kind, error in (("missing_photo", DataError), ("contradiction", DataError), ("truncated_photo", PhotoError)):
        root = fakes.make_repository(tmp_path / kind, pixels=32, train=1, val=2, breaks=[kind])
        with pytest.raises(error, match="2000000000"):
            evaluate(model, open_dataset(root))
    with pytest.raises(DataError, match="test"):
        evaluate(model, open_dataset(root), "test")


def test_a_model_of_another_grid_is_refused(dataset):
    with pytest.raises(ModelError, match="3 x 3"):
        evaluate(fakes.tiny_model(grid=3), dataset)


def test_models_of_a_run_are_found(tmp_path, model, monkeypatch):
    with pytest.raises(ModelError, match="neither a model folder"):
        find_models(tmp_path)
    for name in ("best", "last"):
        model.save_pretrained(tmp_path / "models" / name)
    (tmp_path / "models" / "half").mkdir()
    assert list(find_models(tmp_path)) == ["best", "last"]
    assert find_models(tmp_path / "models" / "best") == {"best": tmp_path / "models" / "best"}
    monkeypatch.chdir(tmp_path / "models" / "best")
    assert list(find_models(type(tmp_path)("."))) == ["best"]


def test_a_run_is_evaluated_model_by_model(tmp_path, model, repository, dataset, evaluation):
    model.save_pretrained(tmp_path / "models" / "a", grid=dataset.grid)
    fakes.tiny_model(seed=5).save_pretrained(
        tmp_path / "models" / "b", grid=dataset.grid, extra={"train_split_hash": dataset.split_hash("val")})
    found = evaluate_path(str(tmp_path), repository, device="cpu", radii_m=(20.0, 40.0, 62.5))
    assert list(found) == ["a", "b"]
    assert found["a"].report["recall_at_m"] == evaluation.report["recall_at_m"]
    assert found["b"].report["trained_on_this_split"] is True
    assert found["a"].report["hashes"]["model"] != found["b"].report["hashes"]["model"]
    fakes.tiny_model(seed=5).save_pretrained(tmp_path / "later", grid=dataset.grid, extra={
        "train_split_hash": "0" * 64, "started_from": {"train_split_hash": dataset.split_hash("val")}})
    later = evaluate_path(str(tmp_path / "later"), repository, device="cpu", limit=2)["later"].report
    assert later["trained_on_this_split"] is True  # by the model that its training started from
    deep = {}
    for _ in range(5000):  # a folder from outside may say anything
        deep = {"started_from": deep, "maps": [{"train_split_hash": "1" * 64}]}
    assert trained_splits(deep) == {"1" * 64}
    assert trained_splits({"maps": [{"train_split_hash": []}], "started_from": 4}) == set()
    alone = evaluate_path(str(tmp_path / "models" / "b"), repository, device="cpu", limit=2)
    assert list(alone) == ["b"] and alone["b"].report["n"] == 2


def test_json_is_written_whole(tmp_path, evaluation):
    path = write_json(evaluation.report, tmp_path / "deep" / "report.json")
    assert json.loads(path.read_text()) == evaluation.report and [p.name for p in path.parent.iterdir()] == ["report.json"]
