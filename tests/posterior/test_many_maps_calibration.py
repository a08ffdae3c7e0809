"""Calibration for new ground: laws that are found again, regions that hold what they claim, maps that are unlike the others."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from justzoomin.errors import DataError, ModelError
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.posterior import (
    Calibration,
    Claims,
    ManyMapsCalibration,
    MapFacts,
    MapPhotos,
    OneMapCalibration,
    find_calibration,
    fit_many_maps,
)
from justzoomin.posterior.many_maps import TemperatureLaw, UniformLaw, entropy_share
from justzoomin.posterior.normalizing import log_normalized

A_HASH, B_HASH, C_HASH = "a" * 64, "b" * 64, "c" * 64
GREEN = "5a6e50" * 16


def grid_of(size_m: float, depth: int = 2) -> ZoomGrid:
    half = size_m / 2
    return ZoomGrid(Region(54.5, 3.0, (-half, half), (-half, half)), 4, depth)


def facts(size_m: float, **changes: Any) -> MapFacts:
    plain = MapFacts(size_m**2, size_m / 16, 0.2, GREEN, f"{int(size_m):064x}")
    return dataclasses.replace(plain, **changes)


def drawn(log_probs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """True cells, drawn from posteriors (B, N)."""
    return np.minimum((np.exp(log_probs).cumsum(1) < rng.random((len(log_probs), 1))).sum(1), log_probs.shape[1] - 1)


def town(size_m: float, seed: int, temperature: float, lost: float = 0.0, photos: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """What a model says that is too sure by a factor, and the true cells; a share of photos is anywhere."""
    rng = np.random.default_rng(seed)
    honest = log_normalized(rng.normal(0, rng.uniform(1.0, 2.5, (photos, 1)), (photos, 256)))
    true = drawn(honest, rng)
    anywhere = rng.random(photos) < lost
    true[anywhere] = rng.integers(0, 256, anywhere.sum())
    return log_normalized(honest * temperature).astype(np.float32), true


def maps_of(towns: list[tuple[float, np.ndarray, np.ndarray]]) -> list[MapPhotos]:
    def batches(scores: np.ndarray, true: np.ndarray) -> Any:
        return lambda: [(scores[k:k + 128], true[k:k + 128]) for k in range(0, len(true), 128)]

    return [MapPhotos(grid_of(size), facts(size, map=f"{k:064x}"), B_HASH, batches(scores, true))
            for k, (size, scores, true) in enumerate(towns)]


def law_of(size_m: float) -> float:
    return math.exp(1.0 + 0.2 * math.log(size_m**2 / 1e6))


def some(**changes: Any) -> ManyMapsCalibration:
    plain = ManyMapsCalibration((TemperatureLaw(0.9, 0.2, 0.5),), UniformLaw(-4.0, 0.1), 100, (A_HASH, B_HASH), (C_HASH,),
                                {"area_m2": (1e5, 4e5), "cell_m": (5.0, 5.0), "metres_per_pixel": (0.2, 0.25)},
                                ((80.0, 100.0), (100.0, 120.0), (70.0, 90.0)), {})
    return dataclasses.replace(plain, **changes)


def test_a_law_of_zeros_changes_nothing() -> None:
    scores, _ = town(320.0, 0, 1.0, photos=20)
    scores[3, :40] = -np.inf
    scores = log_normalized(scores.astype(np.float64))
    for steps in (1, 2):
        same = some(laws=(TemperatureLaw(0.0),) * steps, uniform=UniformLaw())
        np.testing.assert_allclose(np.exp(same.apply(grid_of(320.0), scores)), np.exp(scores), atol=1e-12)
        np.testing.assert_array_equal(same.temperatures_of(grid_of(320.0), scores), np.ones((20, steps)))


def test_a_constant_law_is_the_temperature_of_one_map() -> None:
    scores, _ = town(320.0, 0, 2.0, photos=20)
    for steps in (1, 2):
        one = OneMapCalibration(B_HASH, 100, (2.5,) * steps, (0.0,) * steps, "entropy", 0.0, 0.95, {})
        many = some(laws=(TemperatureLaw(math.log(2.5)),) * steps, uniform=UniformLaw())
        np.testing.assert_allclose(many.apply(grid_of(640.0), scores), one.apply(grid_of(640.0), scores), atol=1e-12)
        np.testing.assert_allclose(many.temperatures_of(grid_of(640.0), scores), one.temperatures_of(grid_of(640.0), scores))


def test_the_parts_of_a_law() -> None:
    scores = np.zeros((2, 256))
    scores[1, 0] = 1e3  # one photo knows nothing, the other everything
    assert entropy_share(scores).tolist() == pytest.approx([1.0, 0.0])
    law = some(laws=(TemperatureLaw(0.9, 0.2, 0.5),), uniform=UniformLaw(-4.0, 0.1))
    found = law.temperatures_of(grid_of(2000.0), scores)[:, 0]
    assert found.tolist() == pytest.approx([math.exp(0.9 + 0.2 * math.log(4) + 0.25), math.exp(0.9 + 0.2 * math.log(4) - 0.25)])
    share = 1 / (1 + math.exp(4.0 - 0.1 * math.log(4)))
    probs = np.exp(law.apply(grid_of(2000.0), scores))
    np.testing.assert_allclose(probs.sum(1), 1.0)
    assert probs[1, 1:] == pytest.approx(share / 256)
    assert law.uniform.share(4e6) == pytest.approx(share)


def test_a_shift_of_the_scores_changes_nothing() -> None:
    scores, _ = town(320.0, 0, 2.0, photos=20)
    np.testing.assert_allclose(some().apply(grid_of(320.0), scores + 7.0), some().apply(grid_of(320.0), scores), atol=1e-5)


@pytest.fixture(scope="module")
def fitted() -> tuple[ManyMapsCalibration, Claims, Claims]:
    sizes = [320.0, 640.0, 1280.0, 2560.0] * 3
    return fit_many_maps(maps_of([(s, *town(s, k, law_of(s), 0.06)) for k, s in enumerate(sizes)]), 1)


def test_the_fit_finds_the_law(fitted: tuple[ManyMapsCalibration, Claims, Claims]) -> None:
    found = fitted[0]
    (law,) = found.laws
    assert law.log_temperature == pytest.approx(1.0, abs=0.1)
    assert law.by_area == pytest.approx(0.2, abs=0.03)
    assert law.by_entropy == pytest.approx(0.0, abs=0.2)
    assert found.uniform.share(1e6) == pytest.approx(0.06, abs=0.03)
    assert found.photos == 3600 and len(found.maps) == len(found.splits) == 12
    assert found.sizes["area_m2"] == (320.0**2, 2560.0**2)


def test_regions_of_new_towns_hold_what_they_claim(fitted: tuple[ManyMapsCalibration, Claims, Claims]) -> None:
    found = fitted[0]
    for size in (320.0, 905.0, 2560.0):
        scores, true = town(size, 100 + int(size), law_of(size), 0.06, 3000)
        before = Claims.of(grid_of(size), scores, true)
        after = Claims.of(grid_of(size), found.apply(grid_of(size), scores), true)
        assert (before.above < 0.9).mean() < 0.8
        assert (after.above < 0.9).mean() == pytest.approx(0.9, abs=0.02)


def test_figures_are_of_maps_left_out(fitted: tuple[ManyMapsCalibration, Claims, Claims]) -> None:
    found, before, after = fitted
    assert len(before.top) == len(after.top) == 3600
    for claims, name in ((before, "before"), (after, "after")):
        whole, rows = found.figures[name]["all"], found.figures[name]["by_size"]
        assert whole["nll"] == pytest.approx(-claims.log_prob.mean())  # all maps have equally many photos
        assert whole["coverage"]["90"][0] == pytest.approx((claims.above < 0.9).mean())
        assert [(row["size_m"], row["maps"], row["photos"]) for row in rows] == [(s, 3, 900) for s in (320, 640, 1280, 2560)]
        mean, low, high, scatter = whole["coverage"]["90"]
        assert low <= mean <= high and 0 < scatter < 0.2
    assert found.figures["after"]["all"]["coverage"]["90"][0] == pytest.approx(0.9, abs=0.02)


def test_few_maps_do_not_bend_the_law() -> None:
    """Maps of one size say nothing about area; the law then does not grow with it."""
    found = fit_many_maps(maps_of([(320.0, *town(320.0, k, 2.5, photos=24)) for k in range(4)]), 1)[0]
    assert found.laws[0].by_area == pytest.approx(0.0, abs=0.15)
    assert abs(found.laws[0].by_entropy) < 1.5
    assert found.laws[0].log_temperatures(320.0**2, np.array([0.7]))[0] == pytest.approx(math.log(2.5), abs=0.3)
    with pytest.raises(DataError, match=r"3 maps are too few.*at least 4"):
        fit_many_maps(maps_of([(320.0, *town(320.0, k, 2.5, photos=24)) for k in range(3)]), 1)


def test_steps_have_laws_of_their_own() -> None:
    rng = np.random.default_rng(0)
    towns = []
    for size in (320.0, 640.0, 320.0, 640.0):
        first, second = log_normalized(rng.normal(0, 2, (600, 16))), log_normalized(rng.normal(0, 2, (600, 16, 16)))
        true = drawn((first[:, :, None] + second).reshape(600, 256), rng)
        said = log_normalized(first * 3.0)[:, :, None] + log_normalized(second * 1.5)
        towns.append((size, said.reshape(600, 256), true))
    found = fit_many_maps(maps_of(towns), 2)[0]
    scores = towns[0][1]
    assert np.median(found.temperatures_of(grid_of(320.0), scores), 0) == pytest.approx([3.0, 1.5], rel=0.15)


@pytest.mark.parametrize(("change", "words"), [
    ({}, None), ({"area_m2": 7.9e5}, None), ({"area_m2": 5e4}, None),
    ({"area_m2": 8.2e5}, "its area is 0.82 km², those of the fit had 0.1 to 0.4"),
    ({"area_m2": 1e8}, "its area is 100 km², those of the fit had 0.1 to 0.4"),
    ({"cell_m": 20.0}, "its cells are 20 m wide, those of the fit had 5"),
    ({"metres_per_pixel": 1.0}, "its finest level has 1 m a pixel, those of the fit had 0.2 to 0.25"),
    ({"look": "202020" * 16}, "its colours are different"),
    ({"area_m2": 1e8, "look": "202020" * 16},
     "its area is 100 km², those of the fit had 0.1 to 0.4 and its colours are different"),
    ({"area_m2": 1e8, "map": A_HASH}, None)])
def test_unlike_maps_are_named_in_words(change: dict[str, Any], words: str | None) -> None:
    assert some().unlike(facts(320.0, **{"cell_m": 5.0, "map": C_HASH, **change})) == words


def test_a_file_holds_both(tmp_path: Path) -> None:
    one = OneMapCalibration(B_HASH, 100, (2.0, 3.0), (0.0, 0.0), "entropy", -2.0, 0.95, {}, "00" * 48, C_HASH)
    both = Calibration(A_HASH, one, some(uniform=UniformLaw()))
    path = both.save(tmp_path / "calibration.json")
    assert Calibration.load(path) == both and find_calibration(tmp_path, lambda: A_HASH, 2) == both
    assert json.loads(path.read_text())["format"] == "justzoomin-calibration/3"
    assert both.part(True) == one and both.part(False) == both.many_maps
    assert Calibration(A_HASH, one).part(False) == one and Calibration(A_HASH, None, some()).part(True) == some()
    assert both.for_depth(3) == Calibration(A_HASH, None, both.many_maps)
    new = Calibration(A_HASH, many_maps=some())
    assert new.with_other_part(path) == Calibration(A_HASH, one, some())
    assert Calibration(A_HASH, one).with_other_part(path) == both
    assert Calibration(B_HASH, many_maps=some()).with_other_part(path).one_map is None
    assert new.with_other_part(tmp_path / "missing.json") == new
    assert Calibration.load(new.save(tmp_path / "new.json")) == new
    server = Calibration(A_HASH, many_maps=some(maps=("server-" + A_HASH, B_HASH)))
    assert Calibration.load(server.save(tmp_path / "server.json")) == server
    assert len({both.fingerprint, new.fingerprint, Calibration(A_HASH, one).fingerprint}) == 3


@pytest.mark.parametrize("change", [
    {"laws": []}, {"laws": [{}]}, {"laws": [{"log_temperature": 99, "by_area": 0, "by_entropy": 0}]}, {"uniform": None},
    {"uniform": {"logit": "x", "by_area": 0}}, {"maps": []}, {"maps": ["x"]}, {"sizes": {}}, {"colour": [[0, 1]]},
    {"colour": 3}, {"photos": 0}, {"figures": []}, {"more": 1},
    {"sizes": {"area_m2": [2, 1], "cell_m": [1, 1], "metres_per_pixel": [1, 1]}}])
def test_wrong_files_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    values = Calibration(A_HASH, many_maps=some()).to_dict()
    values["many_maps"] |= change
    (tmp_path / "c.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match="jzi calibrate"):
        Calibration.load(tmp_path / "c.json")


def test_a_uniform_share_never_hides_everything():
    for logit in (40.0, 600.0, 1e6):
        assert 0.99 < UniformLaw(logit).share(1e6) < 1.0
    assert UniformLaw().share(1e6) == 0.0
