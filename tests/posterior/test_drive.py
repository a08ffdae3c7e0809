"""The filter of a drive, against laws and against sums over all paths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from justzoomin.errors import ConfigError, GeometryError
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.posterior import (
    HeadingPrior,
    Motion,
    Posterior,
    Turn,
    lattice,
    log_normalized,
    odometry,
    speed_limit,
    track,
    turned,
)

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)
TINY = ZoomGrid(Region(54.5, 3.0, (-9.0, 9.0), (-9.0, 9.0)), 3, 1)
CELLS, SMALL = lattice(TOWN), lattice(TINY)


def likelihoods(count: int, grid: ZoomGrid = TOWN, spread: float = 3.0) -> np.ndarray:
    return np.random.default_rng(count).normal(0, spread, (count, grid.actions**grid.depth))


def spread_m(found: Posterior) -> float:
    cells, p = found.lattice, found.probs
    return float(np.sqrt(sum(p @ (v - p @ v) ** 2 for v in (cells.east_m, cells.north_m))))


def matrix(motion: Motion) -> np.ndarray:
    """The (from, to) transitions of a motion on the tiny grid, by moving each cell alone."""
    return np.array([SMALL.from_image(motion.forward(SMALL.to_image(np.eye(9)[k]))) for k in range(9)])


def test_one_photo_is_the_single_fix() -> None:
    one = likelihoods(1)
    for smooth in (False, True):
        (found,) = track(TOWN, one, [], smooth=smooth)
        np.testing.assert_allclose(found.log_probs, Posterior.of(TOWN, one[0]).log_probs, atol=1e-12)


@pytest.mark.parametrize("still", [speed_limit(CELLS, 0.0, 15.0), speed_limit(CELLS, 9.0, 0.0), odometry(CELLS, 0.0, 0.0, 0.0)])
def test_a_still_camera_multiplies_likelihoods(still: Motion) -> None:
    several = likelihoods(4)
    product = Posterior.of(TOWN, several.sum(0))
    for found in track(TOWN, several, [still] * 3, tempering=1.0):
        np.testing.assert_allclose(found.log_probs, product.log_probs, atol=1e-9)
    last = track(TOWN, several, [still] * 3, tempering=1.0, smooth=False)[-1]
    np.testing.assert_allclose(last.log_probs, product.log_probs, atol=1e-9)


def test_photos_that_say_nothing_widen() -> None:
    several = np.zeros((6, 4096))
    several[0] = -(CELLS.east_m**2 + CELLS.north_m**2) / 50
    found = track(TOWN, several, [speed_limit(CELLS, 1.0, 8.0)] * 5, smooth=False, tempering=1.0)
    widths = [spread_m(p) for p in found]
    assert all(a < b for a, b in itertools.pairwise(widths))
    # a uniform disk of radius r has a variance of r^2 / 2 over both axes, and the place in a cell adds cell^2 / 6 per axis
    assert widths[1] ** 2 - widths[0] ** 2 == pytest.approx(8.0**2 / 2 + 2 * 25 / 6, rel=0.02)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("motions", [
    [speed_limit(SMALL, 1.0, 5.0), speed_limit(SMALL, 1.0, 2.0), speed_limit(SMALL, 0.0, 2.0)],
    [odometry(SMALL, 5.0, -3.0, 2.0), odometry(SMALL, -2.0, 4.0, 6.0), speed_limit(SMALL, 2.0, 40.0)]])
def test_the_filter_is_the_sum_over_all_paths(motions: list[Motion], smooth: bool) -> None:
    several, start = likelihoods(4, TINY, 2.0), np.random.default_rng(9).normal(0, 1, 9)
    steps = [matrix(m) for m in motions]
    expected = np.zeros((4, 9))
    for t in range(4):
        for path in itertools.product(range(9), repeat=4 if smooth else t + 1):
            chance = np.exp(start[path[0]] + sum(several[k, place] for k, place in enumerate(path)))
            for k, (a, b) in enumerate(itertools.pairwise(path)):
                chance *= steps[k][a, b]
            expected[t, path[t]] += chance
    expected /= expected.sum(1, keepdims=True)
    found = track(TINY, several, motions, smooth=smooth, tempering=1.0, prior=start)
    np.testing.assert_allclose([p.probs for p in found], expected, rtol=1e-9, atol=1e-12)


def test_a_speed_limit_holds_and_keeps_its_mass() -> None:
    corner = np.zeros((64, 64))
    corner[0, 0] = 1.0
    for reach in (7.0, 40.0, 130.0):  # the last through FFTs
        moved = speed_limit(CELLS, 1.0, reach).forward(corner)
        assert moved.sum() == pytest.approx(1.0, abs=1e-9)
        rows, cols = np.nonzero(moved)
        assert np.hypot(rows, cols).max() * 5.0 <= reach + 2 * 5.0 * 2**0.5
        assert moved[0, int(reach // 5)] > 0


def test_backward_is_the_transpose_of_forward() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 64, 64))
    for motion in (speed_limit(CELLS, 1.0, 12.0), speed_limit(CELLS, 1.0, 120.0), odometry(CELLS, 11.0, -42.0, 6.0),
                   odometry(CELLS, -100.0, 7.0, 30.0)):
        assert (motion.forward(a) * b).sum() == pytest.approx((a * motion.backward(b)).sum(), rel=1e-9)


def test_odometry_goes_where_it_says() -> None:
    middle = np.zeros((64, 64))
    middle[32, 32] = 1.0
    moved = CELLS.from_image(odometry(CELLS, 20.0, -35.0, 3.0).forward(middle))
    start = (CELLS.row == 32) & (CELLS.col == 32)
    assert moved @ CELLS.east_m - CELLS.east_m[start][0] == pytest.approx(20.0, abs=1e-6)
    assert moved @ CELLS.north_m - CELLS.north_m[start][0] == pytest.approx(-35.0, abs=1e-6)
    assert moved @ (CELLS.east_m - moved @ CELLS.east_m) ** 2 == pytest.approx(9.0 + 25 / 6, rel=0.02)


def test_odometry_off_the_map_and_likelihoods_that_exclude_each_other_are_errors() -> None:
    with pytest.raises(GeometryError, match="photo 2"):
        track(TOWN, likelihoods(2), [odometry(CELLS, 5000.0, 0.0, 1.0)])
    apart = np.where([CELLS.east_m < -100, CELLS.east_m > 100], 0.0, -np.inf)
    with pytest.raises(GeometryError, match="photo 2"):
        track(TOWN, apart, [speed_limit(CELLS, 1.0, 15.0)])
    assert len(track(TOWN, apart, [speed_limit(CELLS, 20.0, 15.0)])) == 2


def test_long_drives_stay_finite() -> None:
    several = likelihoods(60, spread=60.0)
    for found in track(TOWN, several, [speed_limit(CELLS, 1.0, 10.0)] * 59):
        assert found.probs.sum() == pytest.approx(1.0)


def test_wrong_shapes_and_numbers() -> None:
    for wrong in ((likelihoods(2), []), (likelihoods(2)[:, :5], [speed_limit(CELLS, 1, 1)]), (np.zeros((0, 4096)), [])):
        with pytest.raises(GeometryError):
            track(TOWN, *wrong)
    for seconds, speed in ((-1.0, 5.0), (np.nan, 5.0), (1.0, -5.0), (1.0, np.inf)):
        with pytest.raises(ConfigError):
            speed_limit(CELLS, seconds, speed)
    for numbers in ((np.inf, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, np.nan, 0.0)):
        with pytest.raises(ConfigError):
            odometry(CELLS, *numbers)


@pytest.mark.parametrize("smooth", [False, True])
def test_a_speed_limit_that_allows_everything_changes_nothing(smooth: bool) -> None:
    several = likelihoods(4)
    free = speed_limit(CELLS, 60.0, 15.0)
    assert free.reach(CELLS.side) == 1.0
    np.testing.assert_allclose(free.forward(np.eye(64)), 64 / 4096, rtol=1e-9)
    for found, own in zip(track(TOWN, several, [free] * 3, smooth=smooth), several, strict=True):
        np.testing.assert_allclose(found.log_probs, Posterior.of(TOWN, own).log_probs, atol=1e-7)


def test_reach_is_the_share_of_the_map_that_can_be_gone_to() -> None:
    for motion in (speed_limit(SMALL, 1.0, 7.0), odometry(SMALL, 5.0, 0.0, 1.0)):
        assert motion.reach(3) == pytest.approx((matrix(motion) > 0).mean())


def bearings(count: int, grid: ZoomGrid, number: int = 4) -> np.ndarray:
    shape = (count, grid.actions**grid.depth, number)
    return log_normalized(np.random.default_rng(count + number).normal(0, 2.0, shape))


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("turns", [
    [turned(4, 90.0, 20.0), turned(4, -30.0, 5.0, 0.0)], [turned(4, 130.0, 60.0), None], [None, None]])
def test_the_filter_with_headings_is_the_sum_over_all_paths_of_poses(turns: list[Turn | None], smooth: bool) -> None:
    several, facing = likelihoods(3, TINY, 2.0), bearings(3, TINY)
    motions = [speed_limit(SMALL, 1.0, 5.0), odometry(SMALL, 5.0, -3.0, 2.0)]
    priors = [None, HeadingPrior(100.0, 40.0), None]
    own = np.exp(several[..., None] + facing)                                     # (T, N, K)
    own[1] *= np.exp(priors[1].log_weights(4))
    steps = [np.einsum("ab,jk->ajbk", matrix(motion), np.full((4, 4), 1 / 4) if turn is None else
                       np.array([turn.forward(row) for row in np.eye(4)])).reshape(36, 36)
             for motion, turn in zip(motions, turns, strict=True)]
    expected = np.zeros((3, 36))
    for t in range(3):
        for path in itertools.product(range(36), repeat=3 if smooth else t + 1):
            chance = np.prod([own[k].ravel()[state] for k, state in enumerate(path)])
            for k, (a, b) in enumerate(itertools.pairwise(path)):
                chance *= steps[k][a, b]
            expected[t, path[t]] += chance
    expected = (expected / expected.sum(1, keepdims=True)).reshape(3, 9, 4)
    found = track(TINY, several, motions, smooth=smooth, tempering=1.0, headings=facing, turns=turns, heading_priors=priors)
    np.testing.assert_allclose([p.probs for p in found], expected.sum(2), rtol=1e-9, atol=1e-12)
    likely = expected.sum(2) > 1e-9
    np.testing.assert_allclose(np.array([np.exp(p.headings) for p in found])[likely],
                               (expected / np.maximum(expected.sum(2, keepdims=True), 1e-300))[likely], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("smooth", [False, True])
def test_headings_without_a_turn_change_no_place(smooth: bool) -> None:
    several, facing = likelihoods(4), bearings(4, TOWN)
    motions = [speed_limit(CELLS, 1.0, 12.0), odometry(CELLS, 11.0, -42.0, 6.0), speed_limit(CELLS, 1.0, 30.0)]
    for with_headings, plain in zip(track(TOWN, several, motions, smooth=smooth, headings=facing),
                                    track(TOWN, several, motions, smooth=smooth), strict=True):
        np.testing.assert_allclose(with_headings.log_probs, plain.log_probs, atol=1e-8)
        assert plain.headings is None
        np.testing.assert_allclose(np.exp(with_headings.headings).sum(1), 1.0, rtol=1e-5)


def test_turns_or_priors_without_headings_are_errors() -> None:
    still = [speed_limit(SMALL, 1.0, 1.0)]
    for wrong in ({"turns": [turned(4, 0.0, 1.0)]}, {"heading_priors": [HeadingPrior(0.0), None]},
                  {"headings": bearings(2, TINY), "turns": [None, None]}, {"headings": bearings(1, TINY)}):
        with pytest.raises(GeometryError, match="turns"):
            track(TINY, likelihoods(2, TINY), still, **wrong)
