"""Figures that can be checked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justzoomin.errors import DataError
from justzoomin.geometry import Region, ZoomGrid, from_local, haversine_m
from justzoomin.scoring import Resampling, Row, ceiling, cell_errors_m, chance, interval, percent, score_row, two_sided_p

GRID = ZoomGrid(Region(10.0, 20.0, (-200, 200), (-200, 200)), 4, 2)  # terminal cells of 25 m


def score(correct, errors, radii=(40.0,)):
    """Figures of errors in metres, photo by photo."""
    return score_row(Row("", errors[:, None], correct.astype(float), None, 1.0), radii)


def bootstrap(values, function, seed=0):
    """The plain percentile bootstrap, draw by draw."""
    rng = np.random.default_rng(seed)
    draws = [float(function(values[rng.integers(0, len(values), len(values))])) for _ in range(1000)]
    return interval(float(function(values)), np.array(draws))


def places(east, north):
    """Positions (N, 2) at metres from the region's centre."""
    return np.stack(from_local(*GRID.region.centre, np.asarray(east, float), np.asarray(north, float)), 1)


def cells(east, north):
    """Terminal cells (N,) of positions."""
    return GRID.flatten(GRID.encode(*places(east, north).T))


def answers(named, positions):
    """A row of answers from the centres of named cells."""
    true = GRID.flatten(GRID.encode(*positions.T))
    return Row("x", cell_errors_m(GRID, named, positions)[:, None], (named == true).astype(float), None, 25.0)


def test_recalls_by_hand():
    # Photos at the centres of terminal cells, 12.5 m from the middle; predictions 0, 1, 2 and 10 cells to the west.
    row = answers(cells([187.5 - 25 * k for k in (0, 1, 2, 10)], [12.5] * 4), places([187.5] * 4, [12.5] * 4))
    found = score_row(row, (24.9, 25.1, 50.1, 1000))
    assert found.recall_at_1.value == 25
    assert {r: f.value for r, f in found.recall_at_m.items()} == {24.9: 25, 25.1: 50, 50.1: 75, 1000: 100}
    assert found.median_m.value == pytest.approx(37.5, abs=0.01)
    assert found.mean_m.value == pytest.approx((0 + 25 + 50 + 250) / 4, abs=0.01)


def test_a_radius_is_inclusive_and_a_near_miss_is_a_recall_but_no_hit():
    found = score(np.array([False, True]), np.array([40.0, 40.00001]), (40.0,))
    assert found.recall_at_m[40.0].value == 50 and found.recall_at_1.value == 50
    row = answers(cells([1.0], [12.5]), places([-1.0], [12.5]))  # a metre west of the border, predicted east of it
    assert score_row(row, (20.0,)).recall_at_1.value == 0
    assert score_row(row, (20.0,)).recall_at_m[20.0].value == 100
    assert row.errors_m[0, 0] == pytest.approx(13.5, abs=0.01)


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
    found = score(values < 0, values)
    assert found == score(values < 0, values)
    assert found.mean_m.low < found.mean_m.value < found.mean_m.high and found.median_m.low < found.median_m.high
    half = 1.96 * values.std() / math.sqrt(500)
    assert (found.mean_m.high - found.mean_m.low) / 2 == pytest.approx(half, rel=0.15)
    one = score(np.array([True]), np.array([7.0]))
    assert one.mean_m == one.median_m and one.mean_m.low == one.mean_m.high == 7


@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_weighted_draws_are_the_bootstrap(n):
    """Drawing by weights of groups of one is drawing photos, for means and medians of any count."""
    values = np.random.default_rng(n).exponential(30, n)
    found = score(np.zeros(n, bool), values)
    for ours, statistic in ((found.median_m, np.median), (found.mean_m, np.mean)):
        expected = bootstrap(values, statistic)
        assert (ours.value, ours.low, ours.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_a_drive_is_drawn_whole():
    """Copies of a photo in one drive tell nothing new; drawn one by one they would seem to."""
    values = np.random.default_rng(0).exponential(30, 40)
    copies = Row("x", np.repeat(values, 9)[:, None], np.repeat(values < 20, 9).astype(float), None, 25.0)
    drives = score_row(copies, (20.0,), resampling=Resampling.of_drives([f"drive {k // 9:02d}" for k in range(360)]))
    single = Row("x", values[:, None], (values < 20).astype(float), None, 25.0)
    draws = Resampling.of_photos(40).means(np.stack([values, values < 20], 1))
    assert (drives.mean_m.low, drives.mean_m.high) == pytest.approx(np.percentile(draws[:, 0], [2.5, 97.5]))
    assert drives.recall_at_1.low == pytest.approx(100 * np.percentile(draws[:, 1], 2.5))
    alone, naive = score_row(single, (20.0,)), score_row(copies, (20.0,))
    assert drives.median_m == alone.median_m
    assert naive.mean_m.high - naive.mean_m.low < 0.5 * (drives.mean_m.high - drives.mean_m.low)


def test_several_answers_to_a_photo_count_as_their_mean():
    errors = np.array([[10.0, 30.0], [50.0, 70.0], [15.0, 15.0]])
    found = score_row(Row("x", errors, np.array([0.5, 0.0, 1.0]), errors / 10, 1.0), (20.0,), (3.0, 6.0))
    assert found.recall_at_1.value == pytest.approx(50) and found.recall_at_m[20.0].value == pytest.approx(50)
    assert (found.mean_m.value, found.median_m.value) == pytest.approx((errors.mean(), np.median(errors)))
    assert found.recall_at_area[3.0].value == pytest.approx(50) and found.recall_at_area[6.0].value == pytest.approx(500 / 6)


def test_two_sided_p_by_hand():
    assert two_sided_p(np.zeros(999)) == 1
    assert two_sided_p(np.ones(999)) == pytest.approx(0.002)
    assert two_sided_p(np.where(np.arange(999) < 99, -1.0, 1.0)) == pytest.approx(0.2)


def test_nothing_to_score_is_an_error():
    with pytest.raises(DataError, match="no photo"):
        score(np.array([], bool), np.array([]))


def test_chance_is_exact():
    positions = places([0.5, -150.0, 180.0], [3.0, -150.0, 190.0])
    lat, lon = GRID.centres(GRID.unflatten(np.arange(256), 2))
    errors = haversine_m(lat[None], lon[None], positions[:, :1], positions[:, 1:])  # (3, 256)
    row = chance(GRID, positions)
    found = score_row(row, (40.0, 100.0, 300.0), (625.0, 80_000.0, 160_000.0))
    assert found.recall_at_1.value == pytest.approx(100 / 256)
    for radius, figure in found.recall_at_m.items():
        assert figure.value == pytest.approx(100 * (errors <= radius).mean())
        assert figure.low <= figure.value <= figure.high
    assert found.mean_m.value == pytest.approx(errors.mean()) and found.median_m.value == pytest.approx(np.median(errors))
    assert [f.value for f in found.recall_at_area.values()] == pytest.approx([100 / 256, 50, 100])
    assert score_row(chance(GRID, positions), (40.0, 100.0, 300.0), (625.0, 80_000.0, 160_000.0)) == found


def test_chance_of_many_photos_or_cells_is_near_the_exact_one(monkeypatch):
    from justzoomin.scoring import baselines

    positions = places(*np.random.default_rng(3).uniform(-199, 199, (2, 300)))
    exact = score_row(chance(GRID, positions), (40.0, 100.0))
    monkeypatch.setattr(baselines, "MOST_DISTANCES", 300 * 100)
    monkeypatch.setattr(baselines, "_FEWEST_CELLS", 100)
    drawn = score_row(chance(GRID, positions), (40.0, 100.0))
    assert drawn.recall_at_1 == exact.recall_at_1 and drawn.mean_m.value == pytest.approx(exact.mean_m.value, rel=0.02)
    for radius, figure in exact.recall_at_m.items():
        assert drawn.recall_at_m[radius].value == pytest.approx(figure.value, abs=0.5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(-199, 199), st.floats(-199, 199)), min_size=1, max_size=20))
def test_the_ceiling_is_never_beyond_half_a_diagonal(points):
    positions = places(*zip(*points, strict=True))
    true = GRID.flatten(GRID.encode(*positions.T))
    best = score_row(ceiling(GRID, true, positions), (5.0, 17.7), (624.0, 625.0))
    assert best.recall_at_1.value == 100 and best.recall_at_m[17.7].value == 100
    assert [f.value for f in best.recall_at_area.values()] == [0, 100]
    assert cell_errors_m(GRID, true, positions).max() <= 25 * math.sqrt(0.5) + GRID.sliver_m
    assert score_row(answers(true, positions), (5.0,)).recall_at_m[5.0].value == best.recall_at_m[5.0].value


def test_draws_that_are_not_kept_are_the_same(monkeypatch):
    from justzoomin.scoring import resampling

    values = np.random.default_rng(1).exponential(30, (50, 2))
    kept = Resampling.of_photos(50, 3).means(values)
    monkeypatch.setattr(resampling, "_KEPT_VALUES", 0)
    assert np.array_equal(Resampling.of_photos(50, 3).means(values), kept)
