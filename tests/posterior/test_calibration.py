"""Calibration: fitted on posteriors whose errors are known, kept in a file, bound to a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from justzoomin.errors import DataError, JustZoomInError, ModelError
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.posterior import (
    Calibration,
    Claims,
    OneMapCalibration,
    auroc,
    curve,
    figures,
    find_calibration,
    fit_calibration,
    on_map_score,
    risk_coverage,
    threshold,
)
from justzoomin.posterior.one_map import step_by_step, step_log_probs

GRID = ZoomGrid(Region(54.5, 3.0, (-40.0, 40.0), (-40.0, 40.0)), 3, 2)
N = 81
A_HASH, B_HASH = "a" * 64, "b" * 64


def normalized(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - np.log(np.exp(values).sum(-1, keepdims=True)))


def honest(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Posteriors (B, N) and true cells drawn from them: perfectly calibrated by making."""
    rng = np.random.default_rng(seed)
    log_probs = normalized((rng.normal(0, 2, (count, 9, 1)) + rng.normal(0, 1.5, (count, 9, 9))).reshape(count, N))
    drawn = (np.exp(log_probs).cumsum(1) < rng.random((count, 1))).sum(1)
    return log_probs, np.minimum(drawn, N - 1)


def distorted(log_probs: np.ndarray, temperatures: tuple[float, ...]) -> np.ndarray:
    """What a model would say whose steps are too sure by these factors."""
    total: np.ndarray = np.zeros((len(log_probs), 1))
    for step, factor in zip(step_by_step(GRID, log_probs, len(temperatures)), temperatures, strict=True):
        total = (total[..., None] + normalized(step * factor)).reshape(len(log_probs), -1)
    return total


def smoothed(log_probs: np.ndarray, share: float) -> np.ndarray:
    """What a model says that was trained with smoothed labels."""
    total: np.ndarray = np.zeros((len(log_probs), 1))
    for step in step_by_step(GRID, log_probs, 2):
        total = (total[..., None] + np.log((1 - share) * np.exp(step) + share / 9)).reshape(len(log_probs), -1)
    return total


def fit(log_probs: np.ndarray, true: np.ndarray, steps: int = 2) -> OneMapCalibration:
    def batches() -> list[tuple[np.ndarray, np.ndarray]]:
        return [(log_probs[k:k + 300], true[k:k + 300]) for k in range(0, len(true), 300)]

    return fit_calibration(GRID, batches, steps, B_HASH)[0]


def identity(**changes: Any) -> OneMapCalibration:
    values: dict[str, Any] = {
        "split": B_HASH, "photos": 100, "temperatures": (1.0, 1.0), "tails": (0.0, 0.0),
        "off_map_measure": "entropy", "off_map_threshold": -2.0, "off_map_kept": 0.95, "figures": {}, **changes}
    return OneMapCalibration(**values)


def test_a_calibration_of_ones_changes_nothing() -> None:
    log_probs, _ = honest(20)
    log_probs[3, 5:9] = -np.inf
    log_probs[4, :9] = -np.inf  # a whole parent
    log_probs = normalized(log_probs)
    np.testing.assert_allclose(np.exp(identity().apply(GRID, log_probs)), np.exp(log_probs), atol=1e-12)
    one = identity(temperatures=(1.0,), tails=(0.0,))
    np.testing.assert_allclose(np.exp(one.apply(GRID, log_probs)), np.exp(log_probs), atol=1e-12)


def test_steps_multiply_to_the_posterior_and_results_sum_to_one() -> None:
    log_probs, _ = honest(10)
    first, second = step_by_step(GRID, log_probs, 2)
    assert (first.shape, second.shape) == ((10, 1, 9), (10, 9, 9))
    np.testing.assert_allclose(np.exp(first).sum(-1), 1.0)
    np.testing.assert_allclose((first.reshape(10, 9, 1) + second).reshape(10, N), log_probs, atol=1e-12)
    changed = identity(temperatures=(0.5, 3.0), tails=(0.01, 0.1)).apply(GRID, log_probs)
    np.testing.assert_allclose(np.exp(changed).sum(1), 1.0)
    assert not np.allclose(changed, log_probs)


def test_a_temperature_and_a_tail_do_what_they_say() -> None:
    p = np.array([0.9, 0.099, 0.001])
    assert step_log_probs(np.log(p), 1e-2, 0.0)[0] == pytest.approx(0.0)
    np.testing.assert_allclose(np.exp(step_log_probs(np.log(p), 1e9, 0.0)), 1 / 3, rtol=1e-6)
    tailed = np.exp(step_log_probs(np.log(p), 1.0, 0.01))
    assert tailed[1] / tailed[0] == pytest.approx(p[1] / p[0], rel=0.1)
    assert tailed[2] / tailed[0] == pytest.approx(p[2] / p[0] * 0.001 / 0.011, rel=0.02)


def test_the_fit_finds_what_was_done() -> None:
    log_probs, true = honest(3000)
    found = fit(distorted(log_probs, (1.8, 0.6)), true)
    assert found.temperatures == pytest.approx((1.8, 0.6), rel=0.15)
    fresh, truth = honest(3000, 1)
    wrong = distorted(fresh, (1.8, 0.6))
    right = found.apply(GRID, wrong)
    before, after, best = (figures(Claims.of(GRID, x, truth)) for x in (wrong, right, fresh))
    assert best["nll"] - 0.01 < after["nll"] < best["nll"] + 0.01 < before["nll"]
    assert after["ece_top_cell"] < 0.03 < before["ece_top_cell"]


def test_smoothed_labels_are_undone() -> None:
    log_probs, true = honest(3000)
    found = fit(smoothed(log_probs, 0.3), true)
    fresh, truth = honest(3000, 1)
    wrong = smoothed(fresh, 0.3)
    levels = {k: figures(Claims.of(GRID, x, truth))["nll"] for k, x in
              (("before", wrong), ("after", found.apply(GRID, wrong)), ("best", fresh))}
    assert levels["after"] - levels["best"] < 0.4 * (levels["before"] - levels["best"])
    assert min(found.tails) > 1e-3


@pytest.mark.parametrize("factors", [(1.0, 1.0), (2.5, 0.5), (0.4, 2.0), (2.5,), (0.4,)])
def test_regions_hold_what_those_of_the_honest_posterior_hold(factors: tuple[float, ...]) -> None:
    log_probs, true = honest(2000)
    found = fit(distorted(log_probs, factors), true, len(factors))
    fresh, truth = honest(4000, 1)
    wrong = distorted(fresh, factors)
    before, after, best = (figures(Claims.of(GRID, x, truth))["coverage"] for x in (wrong, found.apply(GRID, wrong), fresh))
    for level, (share, _, _) in best.items():
        assert share > float(level) / 100 - 0.01  # whole cells hold a little more than their level
        assert after[level][0] == pytest.approx(share, abs=0.015)
    assert factors == (1.0, 1.0) or abs(before["90"][0] - best["90"][0]) > 0.05


def test_claims_of_a_few_cells() -> None:
    log_probs = np.full((2, N), -np.inf)
    log_probs[0, [3, 40, 80]] = np.log([0.5, 0.3, 0.2])
    log_probs[1, 7] = 0.0
    claims = Claims.of(GRID, log_probs, np.array([40, 8]), radius_m=1.0)
    np.testing.assert_allclose(claims.above, [0.5, 1.0])
    np.testing.assert_allclose(claims.top, [0.5, 1.0])
    np.testing.assert_allclose(claims.near, [0.5, 1.0])
    assert claims.top_right.tolist() == claims.near_right.tolist() == [False, False]
    assert claims.log_prob[1] == -np.inf
    assert Claims.of(GRID, log_probs, np.array([40, 8]), radius_m=500.0).near_right.all()


def test_reliability_curves() -> None:
    sure = np.array([0.95] * 10 + [0.55] * 10)
    right = np.array([True] * 10 + [True] * 5 + [False] * 5)
    found = curve(sure, right)
    assert found.photos.tolist() == [10, 10]
    assert found.error == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)


def test_off_map_figures() -> None:
    rng = np.random.default_rng(0)
    on, off = rng.normal(1, 1, 2000), rng.normal(0, 1, 2000)
    assert auroc(on, off) == pytest.approx(0.760, abs=0.02)  # the normal distribution at 1 / sqrt 2
    assert auroc(on, on) == pytest.approx(0.5)
    assert auroc(on + 9, off) == 1.0
    assert (on >= threshold(on, 0.95)).mean() == pytest.approx(0.95, abs=1e-3)
    covered, risk = risk_coverage(np.array([3.0, 1.0, 2.0]), np.array([False, True, False]))
    assert covered.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3])
    flat, peaked = np.full((1, N), -np.log(N)), np.log(np.full((1, N), 1e-4) + np.eye(N)[:1])
    for measure in ("entropy", "top"):
        assert on_map_score(normalized(peaked), measure)[0] > on_map_score(flat, measure)[0]
    assert identity().on_map(np.concatenate([flat, normalized(peaked)])).tolist() == [False, True]
    for wrong in (lambda: auroc(on, on[:0]), lambda: threshold(on[:0]), lambda: on_map_score(flat, "luck")):
        with pytest.raises(DataError):
            wrong()


def test_files_come_back_and_belong_to_a_model(tmp_path: Path) -> None:
    found = Calibration(A_HASH, fit(*honest(100)))
    path = found.save(tmp_path / "calibration.json")
    assert Calibration.load(path) == found
    assert find_calibration(tmp_path, lambda: A_HASH) == found
    assert find_calibration(tmp_path / "none", lambda: A_HASH) is None
    assert find_calibration(tmp_path, lambda: A_HASH, 2) == found
    assert find_calibration(tmp_path, lambda: A_HASH, 3) is None
    with pytest.raises(ModelError, match="fitted for model aaaa"):
        find_calibration(tmp_path, lambda: B_HASH)
    assert found.fingerprint != Calibration(A_HASH, identity()).fingerprint
    with pytest.raises(ModelError, match="2 steps, but the grid has 3"):
        identity().apply(ZoomGrid(GRID.region, 3, 3), np.zeros((1, 729)))


@pytest.mark.parametrize("change", [
    {"format": "x"}, {"model": "short"}, {"split": 7}, {"photos": 0}, {"photos": True}, {"temperatures": [0.0, 1.0]},
    {"temperatures": []}, {"temperatures": "1"}, {"tails": [0.1]}, {"tails": [2.0, 0.1]},
    {"off_map_measure": "luck"}, {"off_map_threshold": None}, {"figures": []}, {"more": 1}, {"look": 3}, {"look": "zz"},
    {"temperatures": [1e400, 1.0]}])
def test_files_that_are_none(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "calibration.json"
    values = {**json.loads(json.dumps(Calibration(A_HASH, identity()).to_dict())), **change}
    path.write_text(json.dumps(values).replace("Infinity", "1e999"))
    with pytest.raises(ModelError, match=r"calibration\.json.*jzi calibrate"):
        Calibration.load(path)


def test_a_file_without_a_look_is_read(tmp_path: Path) -> None:
    values = {key: value for key, value in Calibration(A_HASH, identity()).to_dict().items() if key != "look"}
    (tmp_path / "c.json").write_text(json.dumps(values))
    assert Calibration.load(tmp_path / "c.json") == Calibration(A_HASH, identity())


def test_a_file_of_the_format_before_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = {**Calibration(A_HASH, identity()).to_dict(), "format": "justzoomin-calibration/1", "masses": [0.5, 0.9]}
    (tmp_path / "calibration.json").write_text(json.dumps(old))
    words = r"its format is not justzoomin-calibration/3 or justzoomin-calibration/2\. Calibrate again: jzi calibrate"
    with pytest.raises(ModelError, match=words):
        find_calibration(tmp_path, lambda: A_HASH)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 99_999, "NaN", "\xff"])
def test_texts_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError):
        Calibration.load(tmp_path / "c.json")


def test_too_few_photos() -> None:
    with pytest.raises(JustZoomInError, match="too few"):
        fit(*honest(5))
