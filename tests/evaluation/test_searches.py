"""Evaluation with any search and any family says what the localizer says."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import fakes
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError
from justzoomin.evaluation import evaluate
from justzoomin.evaluation.calibrating import posteriors
from justzoomin.models import MatcherConfig, build_model
from justzoomin.scoring import read_predictions, score_table, write_predictions
from justzoomin.search import Localizer, ViewVectors, views_of


def answers(model, dataset, **words):
    """Positions (N, 2) that the localizer gives for the validation photos."""
    localizer = Localizer(model, dataset.map, dataset.grid, **words)
    fixes = [localizer.localize(dataset.photos.read(photo)) for photo in dataset.split("val").image_ids]
    return np.array([[fix.lat, fix.lon] for fix in fixes]), fixes


@pytest.mark.parametrize(("search", "decision"), [("posterior", None), ("posterior", "top"), ("posterior", "distance"),
                                                  ("beam:5", None)])
def test_answers_are_the_localizers(model, dataset, search, decision):
    found = evaluate(model, dataset, search=search, decision=decision, batch_size=4)
    places, fixes = answers(model, dataset, search=search, decision=decision)
    assert found.steps is None and found.table.info.search == search
    assert np.abs(found.table.answers - places).max() < 1e-7
    if decision != "distance":
        assert found.table.confidence == pytest.approx([fix.expected for fix in fixes], abs=1e-4)
    assert found.report["recall_at_1"] == 100 * (found.table.answer_cells == found.table.true_cells).mean()


def test_a_beam_of_one_is_greedy_and_a_full_one_is_the_posterior(model, dataset):
    greedy, one = evaluate(model, dataset), evaluate(model, dataset, search="beam:1")
    assert np.array_equal(greedy.table.answers, one.table.answers)
    whole, every = evaluate(model, dataset, search="beam:256"), evaluate(model, dataset, search="posterior", listed=None)
    assert whole.table.ranking.probs == pytest.approx(every.table.ranking.probs, abs=1e-5)
    assert whole.table.ranking.true_log_prob == pytest.approx(every.table.ranking.true_log_prob, abs=1e-4)
    assert greedy.table.ranking.true_log_prob == pytest.approx(every.table.ranking.true_log_prob, abs=1e-4)


@pytest.mark.parametrize("search", ["greedy", "beam:5", "posterior"])
def test_a_report_is_the_score_of_its_table(model, dataset, search):
    found = evaluate(model, dataset, search=search)
    score = score_table(found.table)
    for figure in ("recall_at_1", "median_m", "mean_m"):
        assert score[figure]["value"] == found.report[figure]
        assert [score[figure]["low"], score[figure]["high"]] == found.report["intervals_95"][figure]
    shared = score["protocol"].keys() & found.report["protocol"].keys()
    assert {"gallery", "distance", "recall_at_1", "recall_at_m", "intervals"} <= shared
    assert all(score["protocol"][words] == found.report["protocol"][words] for words in shared)


@pytest.mark.parametrize("family", ["retriever", "hierarchical", "classifier"])
def test_every_family_is_evaluated_by_its_posterior(family, dataset, tmp_path):
    config = fakes.tiny_model().config.model_copy(update={"family": family, "depth": 2})
    model = build_model(config, seed=2).eval()
    found = evaluate(model, dataset)
    assert found.table.info.search == "posterior" and found.table.info.decision == "within:40"
    assert np.abs(found.table.answers - answers(model, dataset)[0]).max() < 1e-6
    kept = read_predictions(write_predictions(tmp_path / "p.parquet", found.table))
    assert score_table(kept) == score_table(found.table)
    with pytest.raises(ConfigError, match="greedy"):
        evaluate(model, dataset, search="greedy")


@pytest.mark.parametrize("family", ["zoom", "matcher", "retriever", "hierarchical", "classifier"])
def test_what_is_calibrated_sums_to_one(family, dataset):
    """Some families score up to a constant; their figures before calibration are of probabilities all the same."""
    changed = {"family": "zoom" if family == "matcher" else family, "depth": 2}
    if family == "matcher":
        changed["matcher"] = MatcherConfig(zoom_weight=1.0, channels=4, width=8, tried=4)
    model = build_model(fakes.tiny_model().config.model_copy(update=changed), seed=2).eval()
    model.provenance = {"map_hash": dataset.map.fingerprint()}
    vectors = ViewVectors(model, views_of(model, dataset.map, dataset.grid))
    log_probs = np.concatenate(list(posteriors(model, dataset, dataset.split("val").image_ids, vectors, 4)))
    assert np.exp(log_probs.astype(np.float64)).sum(1) == pytest.approx(1.0, abs=1e-4)
    localizer = Localizer(model, dataset.map, dataset.grid, search="posterior")
    photo = dataset.photos.read(dataset.split("val").image_ids[0])
    assert log_probs[0] == pytest.approx(localizer.localize_posterior(photo).log_probs, abs=1e-3)


def test_drives_come_from_the_datasets_tables(model, repository, tmp_path):
    import shutil

    root = shutil.copytree(repository, tmp_path / "town")
    ids = open_dataset(root).split("val").image_ids
    table = root / "streetview" / "metadata_satellite_covered.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_text("image_id,sequence_id\n" + "".join(f"{photo},{k // 2}\n" for k, photo in enumerate(ids)))
    found = evaluate(model, open_dataset(root), search="posterior", limit=4)
    assert found.table.drives == ("drive 0", "drive 0", "drive 1", "drive 1")


def test_a_calibration_changes_claims_and_is_named(model, dataset):
    from justzoomin.posterior import Calibration, OneMapCalibration

    flat = Calibration(model.fingerprint(), OneMapCalibration("0" * 64, 10, (4.0, 4.0), (0.0, 0.0), "top", 0.0, 1.0, {}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own, calibrated = (evaluate(model, dataset, search="posterior", decision="top", calibration=c) for c in (None, flat))
    assert calibrated.table.info.calibration == flat.fingerprint and own.table.info.calibration is None
    assert "calibrated" in calibrated.report["protocol"]["decoding"]
    assert (calibrated.table.confidence < own.table.confidence).all()
    again = replace(flat, model=fakes.tiny_model(seed=9).fingerprint())
    with pytest.raises(Exception, match="fitted for model"):
        evaluate(model, dataset, search="posterior", calibration=again)
