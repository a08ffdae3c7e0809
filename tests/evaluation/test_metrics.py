"""Figures that can be checked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justzoomin.errors import DataError
from justzoomin.evaluation import Predictions, ceiling, chance, errors_m, percent, score, score_predictions
from justzoomin.evaluation.metrics import bootstrap
from justzoomin.geometry import Region, ZoomGrid, from_local, haversine_m

GRID = ZoomGrid(Region(10.0, 20.0, (-200, 200), (-200, 200)), 4, 2)  # terminal cells of 25 m


def predictions(east, north, predicted=None, grid=GRID):
    """Photos at metres from the region's centre, with predicted sequences (the true ones by default)."""
    lat, lon = from_local(*grid.region.centre, np.asarray(east, float), np.asarray(north, float))
    true = grid.encode(lat, lon)
    predicted = true if predicted is None else np.asarray(predicted)
    n = len(true)
    return Predictions([str(k) for k in range(n)], grid, np.stack([lat, lon], 1), true, predicted,
                       np.full(predicted.shape, 0.5, np.float32), predicted == true, np.zeros(n, np.float32))


def test_recalls_by_hand():
    # Photos at the centres of terminal cells, 12.5 m from the middle; predictions 0, 1, 2 and 10 cells to the west.
    east, north = [187.5] * 4, [12.5] * 4
    cells = [(187.5 - 25 * k) for k in (0, 1, 2, 10)]
    lat, lon = from_local(*GRID.region.centre, np.array(cells), np.array(north))
    found = score_predictions(predictions(east, north, GRID.encode(lat, lon)), (24.9, 25.1, 50.1, 1000))
    assert found.recall_at_1.value == 25
    assert {r: f.value for r, f in found.recall_at_m.items()} == {24.9: 25, 25.1: 50, 50.1: 75, 1000: 100}
    assert found.median_m.value == pytest.approx(37.5, abs=0.01)
    assert found.mean_m.value == pytest.approx((0 + 25 + 50 + 250) / 4, abs=0.01)


def test_a_radius_is_inclusive_and_a_near_miss_is_a_recall_but_no_hit():
    found = score(np.array([False, True]), np.array([40.0, 40.00001]), (40.0,))
    assert found.recall_at_m[40.0].value == 50 and found.recall_at_1.value == 50
    lat, lon = from_local(*GRID.region.centre, -1.0, 12.5)  # a metre west of the border, predicted east of it
    p = predictions([-1.0], [12.5], GRID.encode(*from_local(*GRID.region.centre, 1.0, 12.5)))
    assert score_predictions(p, (20.0,)).recall_at_1.value == 0
    assert score_predictions(p, (20.0,)).recall_at_m[20.0].value == 100
    assert p.errors_m[0] == pytest.approx(13.5, abs=0.01) and math.isfinite(float(lat) + float(lon))


@pytest.mark.parametrize(("hits", "n", "low", "high"), [
    # Wilson's interval at 95 %, worked out from the formula with exact fractions.
    (0, 10, 0.0, 27.753), (5, 10, 23.659, 76.341), (10, 10, 72.247, 100.0), (81, 263, 25.529, 36.620),
    (1, 1, 20.655, 100.0)])
def test_wilson_intervals(hits, n, low, high):
    figure = percent(np.arange(n) < hits)
    assert (figure.value, figure.low, figure.high) == pytest.approx((100 * hits / n, low, high), abs=0.01)


@given(st.integers(1, 400), st.integers(0, 400))
def test_intervals_hold_their_value(n, hits):
    figure = percent(np.arange(n) < min(hits, n))
    assert 0 <= figure.low <= figure.value + 1e-9 and figure.value - 1e-9 <= figure.high <= 100


def test_bootstrap_intervals_are_repeatable_and_cover():
    values = np.random.default_rng(2).exponential(30, 500)
    for statistic in (np.mean, np.median):
        one = bootstrap(values, statistic)
        assert one == bootstrap(values, statistic) and one.low < one.value < one.high
    mean = bootstrap(values, np.mean)
    half = 1.96 * values.std() / math.sqrt(500)
    assert (mean.high - mean.low) / 2 == pytest.approx(half, rel=0.15)
    assert bootstrap(np.array([7.0]), np.median) == bootstrap(np.array([7.0]), np.mean)


def test_nothing_to_score_is_an_error():
    with pytest.raises(DataError, match="no photo"):
        score(np.array([], bool), np.array([]))


def test_chance_is_the_mean_over_all_cells():
    p = predictions([0.5, -150.0, 180.0], [3.0, -150.0, 190.0])
    every = GRID.unflatten(np.arange(256), 2)
    lat, lon = GRID.centres(every)
    errors = haversine_m(lat[None], lon[None], p.positions[:, :1], p.positions[:, 1:])  # (3, 256)
    found = chance(p, (40.0, 100.0, 300.0))
    assert found.recall_at_1.value == pytest.approx(100 / 256)
    for radius, figure in found.recall_at_m.items():
        assert figure.value == pytest.approx(100 * (errors <= radius).mean(), abs=0.4)
        assert figure.low <= figure.value <= figure.high
    assert found.mean_m.value == pytest.approx(errors.mean(), rel=0.02)
    assert found.median_m.value == pytest.approx(np.median(errors), rel=0.02)
    assert chance(p, (40.0, 100.0, 300.0)) == found


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(-199, 199), st.floats(-199, 199)), min_size=1, max_size=20))
def test_the_ceiling_is_never_beyond_half_a_diagonal(places):
    p = predictions(*zip(*places, strict=True))
    best = ceiling(p, (5.0, 17.7))
    assert best.recall_at_1.value == 100 and best.recall_at_m[17.7].value == 100
    assert errors_m(GRID, p.true, p.positions).max() <= 25 * math.sqrt(0.5) + GRID.sliver_m
    assert score_predictions(p, (5.0,)).recall_at_m[5.0].value == best.recall_at_m[5.0].value
