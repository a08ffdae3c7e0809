"""Headings, what is known of them beforehand, and turns, against laws and hand-computed values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import i0

from justzoomin.errors import ConfigError
from justzoomin.geometry import Region, ZoomGrid, to_local
from justzoomin.posterior import (
    Distance,
    HeadingPrior,
    Posterior,
    TopCell,
    Within,
    apply_heading,
    decide,
    heading_of,
    log_normalized,
    turned,
    turned_deg,
)

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 2)
BIN = 360 / 16


def believed(seed: int = 0, bearings: int = 16) -> Posterior:
    rng = np.random.default_rng(seed)
    headings = log_normalized(rng.normal(0, 2, (256, bearings))).astype(np.float32)
    return Posterior.of(TOWN, rng.normal(0, 3, 256), headings)


@pytest.mark.parametrize("rule", [Within(40.0), Within(7.0), Distance(), TopCell()])
def test_a_heading_sums_to_one_and_is_the_mixture_at_the_answer(rule) -> None:
    whole = believed()
    lat, lon = (float(v[0]) for v in decide(TOWN, whole.log_probs[None], rule))
    found = whole.heading(rule, lat, lon)
    assert sum(found.probs) == pytest.approx(1.0, abs=1e-6)
    east, north = (float(v) for v in to_local(*TOWN.region.centre, lat, lon))
    shares = whole.probs * rule.shares(whole.lattice, east, north)
    if isinstance(rule, TopCell):
        assert np.flatnonzero(shares).tolist() == [whole.log_probs.argmax()]
    else:
        assert shares.sum() == pytest.approx(whole.mass_within(lat, lon, 7.0 if rule == Within(7.0) else 40.0), rel=1e-9)
    np.testing.assert_allclose(found.probs, shares @ np.exp(whole.headings) / shares.sum(), rtol=1e-5)


def test_turning_all_bearings_by_a_bin_turns_the_mean_by_a_bin() -> None:
    masses = np.random.default_rng(1).random(16) ** 4
    one, turned_once = heading_of(masses), heading_of(np.roll(masses, 1))
    assert (turned_once.deg - one.deg) % 360 == pytest.approx(BIN)
    assert turned_once.sigma_deg == pytest.approx(one.sigma_deg)


def test_spreads_of_one_bin_of_two_and_of_all() -> None:
    # a bin is even over its width: its R is sin(x) / x with x = pi / 16
    alone = math.degrees(math.sqrt(-2 * math.log(math.sin(math.pi / 16) / (math.pi / 16))))
    assert heading_of(np.eye(16)[15]).sigma_deg == pytest.approx(alone)
    assert alone == pytest.approx(BIN / math.sqrt(12), rel=0.01)
    assert heading_of(np.eye(16)[15]).deg == pytest.approx(337.5)
    both = heading_of(np.eye(16)[0] + np.eye(16)[4])   # north and east: R is cos 45 degrees
    assert both.deg == pytest.approx(45.0)
    assert both.sigma_deg**2 == pytest.approx(alone**2 - 2 * math.log(math.cos(math.pi / 4)) * math.degrees(1) ** 2)
    assert heading_of(np.ones(16)).sigma_deg == 180.0
    assert 0.0 <= heading_of(np.eye(16)[1] + np.eye(16)[15]).deg < 360.0


@pytest.mark.parametrize("sigma", [5.0, 20.0, 45.0, 100.0])
def test_a_von_mises_prior_has_the_stated_spread(sigma: float) -> None:
    fine = np.exp(HeadingPrior(90.0, sigma, floor=0.0).log_weights(1024))
    found = heading_of(fine)
    assert found.deg == pytest.approx(90.0)
    assert found.sigma_deg == pytest.approx(sigma, rel=2e-3)
    assert fine.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(("kappa", "length"), [(1.0, 0.44640), (2.0, 0.69777), (5.0, 0.89338)])
def test_a_prior_is_the_von_mises_density_of_its_spread(kappa: float, length: float) -> None:
    # the lengths are those of the tables of the von Mises distribution: I1(kappa) / I0(kappa)
    fine = np.exp(HeadingPrior(90.0, math.degrees(math.sqrt(-2 * math.log(length))), floor=0.0).log_weights(1024))
    density = np.exp(kappa * np.cos(np.radians(np.arange(1024) * 360 / 1024 - 90.0))) / (2 * math.pi * i0(kappa))
    np.testing.assert_allclose(fine, density * 2 * math.pi / 1024, rtol=1e-3)


def test_bins_hold_the_priors_mass_and_its_floor() -> None:
    weights = np.exp(HeadingPrior(350.0, 20.0, floor=0.05).log_weights(16))
    assert weights.sum() == pytest.approx(1.0)
    assert weights.argmax() == 0                     # 350 is nearer to 0 than to 337.5
    assert weights[8] == pytest.approx(0.05 / 16, abs=1e-7)    # the other side of the circle has the floor alone
    narrow = np.exp(HeadingPrior(11.25, 1.0, floor=0.0).log_weights(16))
    assert narrow[:2] == pytest.approx([0.5, 0.5], abs=1e-6)  # on the border of two bins
    np.testing.assert_allclose(HeadingPrior(370.0).log_weights(16), HeadingPrior(10.0).log_weights(16), rtol=1e-12)


def test_a_flat_heading_prior_changes_nothing() -> None:
    whole = believed()
    same = apply_heading(whole, HeadingPrior(123.0, floor=1.0))
    assert same.log_probs is whole.log_probs
    assert same.headings is whole.headings


def test_a_heading_prior_is_a_product_over_poses() -> None:
    whole, prior = believed(3), HeadingPrior(200.0, 25.0)
    joint = whole.probs[:, None] * np.exp(whole.headings.astype(np.float64)) * np.exp(prior.log_weights(16))
    joint /= joint.sum()
    found = apply_heading(whole, prior)
    np.testing.assert_allclose(found.probs, joint.sum(1), rtol=1e-5)
    np.testing.assert_allclose(np.exp(found.headings), joint / joint.sum(1, keepdims=True), rtol=1e-4)
    np.testing.assert_allclose(np.exp(found.headings).sum(1), 1.0, rtol=1e-5)


def test_headings_that_say_nothing_keep_the_cells() -> None:
    plain = believed().log_probs
    even = Posterior(TOWN, plain, np.full((256, 16), -math.log(16), np.float32))
    np.testing.assert_allclose(apply_heading(even, HeadingPrior(70.0)).log_probs, plain, atol=1e-6)


def test_what_cannot_be_used() -> None:
    for heading, sigma, floor in ((math.nan, 20.0, 0.1), (0.0, 0.5, 0.1), (0.0, 181.0, 0.1), (0.0, math.nan, 0.1),
                                  (0.0, 20.0, -0.1), (0.0, 20.0, 1.5)):
        with pytest.raises(ConfigError, match="heading"):
            HeadingPrior(heading, sigma, floor)
    with pytest.raises(ConfigError, match="does not say which way"):
        apply_heading(Posterior.of(TOWN, np.zeros(256)), HeadingPrior(0.0))
    for numbers in ((math.nan, 1.0, 0.0), (0.0, -1.0, 0.0), (0.0, 1.0, 2.0)):
        with pytest.raises(ConfigError, match="turn"):
            turned(16, *numbers)
    assert Posterior.of(TOWN, np.zeros(256)).heading(Within(40.0), 54.5, 3.0) is None


def test_a_turn_goes_where_it_says() -> None:
    north = np.eye(16)[0]
    assert turned(16, 90.0, 0.0, 0.0).forward(north) == pytest.approx(np.eye(16)[4])
    assert turned(16, -BIN, 0.0, 0.0).forward(north) == pytest.approx(np.eye(16)[15])
    half = turned(16, BIN / 2, 0.0, 0.0).forward(north)
    assert half[:2] == pytest.approx([0.5, 0.5])
    wide = heading_of(turned(64, 100.0, 30.0, 0.0).forward(np.eye(64)[60]))
    assert wide.deg == pytest.approx((60 * 360 / 64 + 100) % 360)
    assert wide.sigma_deg == pytest.approx(math.hypot(30.0, 360 / 64 / math.sqrt(6)), rel=0.01)  # of the shared offset too
    assert turned(16, 77.0, 10.0, 0.2).kernel.sum() == pytest.approx(1.0)
    assert turned(16, 0.0, 0.0, 1.0).kernel == pytest.approx(np.full(16, 1 / 16))


def test_turning_back_is_the_transpose_of_turning() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 16, 3, 3))
    turn = turned(16, 33.0, 12.0)
    assert (turn.forward(a) * b).sum() == pytest.approx((a * turn.backward(b)).sum())


def test_angles_between_bearings() -> None:
    assert turned_deg([350.0, 0.0, 90.0, 180.0], [10.0, 180.0, 80.0, -180.0]).tolist() == [20.0, 180.0, 10.0, 0.0]
