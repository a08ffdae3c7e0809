"""The forward filter photo by photo, and motions whose direction is unknown or relative to the camera."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from justzoomin.errors import ConfigError, GeometryError
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.posterior import (
    ForwardFilter,
    HeadingPrior,
    PhotoEvidence,
    Step,
    lattice,
    log_normalized,
    odometry,
    relative_odometry,
    speed_limit,
    track,
    travelled,
    turned,
)

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)
TINY = ZoomGrid(Region(54.5, 3.0, (-9.0, 9.0), (-9.0, 9.0)), 3, 1)
CELLS, SMALL = lattice(TOWN), lattice(TINY)
RNG = np.random.default_rng(4)
MOTIONS = [speed_limit(CELLS, 1.0, 12.0), odometry(CELLS, 11.0, -4.0, 2.0), speed_limit(CELLS, 60.0, 15.0),
           speed_limit(CELLS, 0.0, 5.0), travelled(CELLS, 9.0, 2.0), relative_odometry(CELLS, 4, 1.0, 8.0, 2.0)]
TURNS = [turned(4, 90.0, 10.0), None, None, turned(4, 0.0, 5.0), None, turned(4, -30.0, 20.0)]
PRIORS = [None, HeadingPrior(40.0), None, None, HeadingPrior(200.0, 5.0), None, None]
LIKELIHOODS = RNG.normal(0, 2.0, (7, 4096))
FACING = log_normalized(RNG.normal(0, 2.0, (7, 4096, 4)))
START = RNG.normal(0, 1.0, 4096)


def pushed(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    stream = ForwardFilter(TOWN, prior=START)
    steps = [None, *(Step(m, t) for m, t in zip(MOTIONS, TURNS, strict=True))]
    found = [stream.push(PhotoEvidence(LIKELIHOODS[k], FACING[k], PRIORS[k]), steps[k]) for k in range(count)]
    return [(p.log_probs, p.headings) for p in found]


def tracked(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    found = track(TOWN, LIKELIHOODS[:count], MOTIONS[:count - 1], smooth=False, prior=START, headings=list(FACING[:count]),
                  turns=TURNS[:count - 1], heading_priors=PRIORS[:count])
    return [(p.log_probs, p.headings) for p in found]


def test_photo_by_photo_is_the_whole_drive_without_smoothing() -> None:
    for one, all_at_once in zip(pushed(7), tracked(7), strict=True):
        np.testing.assert_array_equal(one[0], all_at_once[0])
        np.testing.assert_array_equal(one[1], all_at_once[1])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_no_answer_depends_on_what_comes_later(count: int) -> None:
    for short, long in zip(tracked(count), tracked(7)[:count], strict=True):
        np.testing.assert_array_equal(short[0], long[0])


def test_the_last_answer_is_the_smoothed_one() -> None:
    smoothed = track(TOWN, LIKELIHOODS, MOTIONS, prior=START, headings=list(FACING), turns=TURNS, heading_priors=PRIORS)
    np.testing.assert_array_equal(smoothed[-1].log_probs, pushed(7)[-1][0])
    assert not np.allclose(smoothed[0].log_probs, pushed(1)[0][0], atol=1e-3)


def test_a_photo_that_fits_nowhere_leaves_the_filter_as_it_was() -> None:
    west, east = (np.where(side, 0.0, -np.inf) for side in (CELLS.east_m < -100, CELLS.east_m > 100))
    stream = ForwardFilter(TOWN)
    stream.push(PhotoEvidence(west))
    with pytest.raises(GeometryError, match="photo 2 of the drive"):
        stream.push(PhotoEvidence(east), Step(speed_limit(CELLS, 1.0, 15.0)))
    again = stream.push(PhotoEvidence(LIKELIHOODS[0]), Step(MOTIONS[0]))
    whole = track(TOWN, np.stack([west, LIKELIHOODS[0]]), MOTIONS[:1], smooth=False)
    np.testing.assert_array_equal(again.log_probs, whole[1].log_probs)


def test_steps_and_shapes_that_do_not_fit() -> None:
    stream = ForwardFilter(TOWN)
    with pytest.raises(GeometryError, match="first photo"):
        stream.push(PhotoEvidence(LIKELIHOODS[0]), Step(MOTIONS[0]))
    with pytest.raises(GeometryError, match="shape"):
        stream.push(PhotoEvidence(LIKELIHOODS[0][:5]))
    stream.push(PhotoEvidence(LIKELIHOODS[0]))
    with pytest.raises(GeometryError, match="a later one has none"):
        stream.push(PhotoEvidence(LIKELIHOODS[0]))
    with pytest.raises(GeometryError, match="tempering"):
        ForwardFilter(TOWN, tempering=0.0)


@pytest.mark.parametrize("sigma", [0.0, 3.0, 19.0, 21.0])  # the last two on both sides of the coarse way
def test_a_way_into_any_direction_goes_as_far_as_it_says(sigma: float) -> None:
    middle = np.zeros((64, 64))
    middle[32, 32] = 1.0
    moved = CELLS.from_image(travelled(CELLS, 60.0, sigma).forward(middle))
    start = (CELLS.row == 32) & (CELLS.col == 32)
    far = np.hypot(CELLS.east_m - CELLS.east_m[start], CELLS.north_m - CELLS.north_m[start])
    mean = moved @ far / moved.sum()
    assert mean == pytest.approx(60.0, abs=1.0 + 0.02 * sigma)
    assert math.sqrt(moved @ (far - mean) ** 2 / moved.sum()) == pytest.approx(math.hypot(sigma, 2.0), abs=1.0)
    east = moved @ (CELLS.east_m - CELLS.east_m[start]) / moved.sum()
    assert east == pytest.approx(0.0, abs=0.5)


def test_a_relative_way_turns_with_the_camera() -> None:
    """Bearing k of 4 faces 90 k degrees: 20 m ahead and 5 m right are (5, 20), (20, -5), (-5, -20), (-20, 5)."""
    poses = np.zeros((4, 64, 64))
    poses[:, 32, 32] = 1.0
    start = (CELLS.row == 32) & (CELLS.col == 32)
    moved = relative_odometry(CELLS, 4, 5.0, 20.0, 1.0).forward_poses(poses)
    shrink = math.sin(math.pi / 4) / (math.pi / 4)  # the mean over a bin of 90 degrees is inside the circle
    for image, (east, north) in zip(moved, ((5, 20), (20, -5), (-5, -20), (-20, 5)), strict=True):
        mass = CELLS.from_image(image)
        assert mass.sum() == pytest.approx(1.0)
        assert mass @ CELLS.east_m - CELLS.east_m[start][0] == pytest.approx(shrink * east, abs=0.4)
        assert mass @ CELLS.north_m - CELLS.north_m[start][0] == pytest.approx(shrink * north, abs=0.4)


@pytest.mark.parametrize("turn", [turned(4, 90.0, 20.0), None])
def test_relative_ways_are_sums_over_all_paths_of_poses(turn: object) -> None:
    motion, rng = relative_odometry(SMALL, 4, 1.0, 5.0, 2.0), np.random.default_rng(1)
    places, facing = rng.normal(0, 2.0, (2, 9)), log_normalized(rng.normal(0, 2.0, (2, 9, 4)))
    step = np.zeros((9, 4, 9, 4))
    for k, cell in itertools.product(range(4), range(9)):
        arrived = SMALL.from_image(motion.motions[k].forward(SMALL.to_image(np.eye(9)[cell])))
        after = np.full(4, 0.25) if turn is None else turn.forward(np.eye(4)[k])  # type: ignore[attr-defined]
        step[cell, k] = arrived[:, None] * after
    own = np.exp(places[..., None] + facing)
    joint = own[0][:, :, None, None] * step * own[1]
    expected = [joint.sum((2, 3)), joint.sum((0, 1))]
    found = track(TINY, places, [motion], tempering=1.0, headings=list(facing), turns=[turn])  # type: ignore[list-item]
    for posterior, poses in zip(found, expected, strict=True):
        np.testing.assert_allclose(posterior.probs, poses.sum(1) / poses.sum(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(np.exp(posterior.headings), poses / poses.sum(1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_numbers_that_are_no_ways() -> None:
    for wrong in ((-1.0, 1.0), (np.nan, 1.0), (1.0, -1.0), (1.0, np.inf)):
        with pytest.raises(ConfigError):
            travelled(CELLS, *wrong)
    with pytest.raises(ConfigError):
        relative_odometry(CELLS, 4, np.nan, 1.0, 1.0)
