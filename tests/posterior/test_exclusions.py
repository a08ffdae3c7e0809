"""Priors that a person states: inside a cell, and the complement of any other prior."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justzoomin.errors import ConfigError, GeometryError
from justzoomin.geometry import Region, ZoomGrid, from_local
from justzoomin.posterior import (
    Both,
    Circle,
    InCell,
    Not,
    Posterior,
    Prior,
    Weights,
    apply,
    lattice,
    polygons_from_geojson,
)

GRID = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)
CELLS = GRID.actions**GRID.depth


def place(east: float, north: float) -> tuple[float, float]:
    lat, lon = from_local(*GRID.region.centre, east, north)
    return float(lat), float(lon)


def triangle(east: float, north: float, size: float) -> Prior:
    corners = [place(east + dx * size, north + dy * size)[::-1] for dx, dy in ((-1, -1), (1, -1), (0, 1), (-1, -1))]
    return polygons_from_geojson(json.dumps({"type": "Polygon", "coordinates": [corners]}).encode(), "triangle")


metres = st.floats(-200.0, 200.0)
priors = st.one_of(
    st.builds(lambda e, n, r: Circle(*place(e, n), r), metres, metres, st.floats(1.0, 300.0)),
    st.builds(lambda e, n, r, s: Circle(*place(e, n), r, s), metres, metres, st.floats(0.0, 300.0), st.floats(5.0, 90.0)),
    st.builds(triangle, metres, metres, st.floats(1.0, 300.0)),
    st.builds(InCell, st.lists(st.integers(0, 15), max_size=3).map(tuple)))


def some_posterior(seed: int) -> Posterior:
    return Posterior.of(GRID, np.random.default_rng(seed).normal(0.0, 3.0, CELLS))


@settings(max_examples=60)
@given(priors)
def test_a_prior_and_its_complement_share_every_cell(prior: Prior) -> None:
    inside, outside = np.exp(prior.log_weights(GRID)), np.exp(Not(prior).log_weights(GRID))
    np.testing.assert_allclose(inside + outside, 1.0, atol=1e-8)
    assert (outside >= 0.0).all() and not outside[inside >= 1.0].any()
    np.testing.assert_allclose(np.exp(Not(Not(prior)).log_weights(GRID)), inside, atol=1e-8)
    assert (str(Not(prior)), str(Not(Not(prior)))) == (f"not {prior}", str(prior))


@settings(max_examples=30)
@given(priors, st.integers(0, 99))
def test_what_is_believed_is_the_mean_over_a_prior_and_its_complement(prior: Prior, seed: int) -> None:
    before = some_posterior(seed)
    inside = float((before.probs * np.exp(prior.log_weights(GRID))).sum())
    if not 1e-6 < inside < 1.0 - 1e-6:
        return
    mean = inside * apply(before, prior).probs + (1.0 - inside) * apply(before, Not(prior)).probs
    np.testing.assert_allclose(mean, before.probs, atol=1e-9)


@given(st.lists(st.integers(0, 15), max_size=3).map(tuple))
def test_a_cell_holds_its_own_terminal_cells(sequence: tuple[int, ...]) -> None:
    weights = InCell(sequence).log_weights(GRID)
    sequences = GRID.unflatten(np.arange(CELLS), GRID.depth)
    own = (sequences[:, :len(sequence)] == np.array(sequence, np.int64)).all(1)
    assert np.array_equal(weights, np.where(own, 0.0, -np.inf))
    found = apply(some_posterior(1), InCell(sequence))
    assert found.probs[own].sum() == pytest.approx(1.0) and not found.probs[~own].any()


def test_a_prior_and_its_complement_together_leave_nothing() -> None:
    for prior in (InCell((3, 1)), Circle(*place(0.0, 0.0), 1e3)):
        with pytest.raises(GeometryError, match="rules out every cell"):
            apply(some_posterior(0), Both((prior, Not(prior))))
    for wrong in ((16,), (-1,), (0, 0, 0, 0)):
        with pytest.raises(GeometryError):
            InCell(wrong).log_weights(GRID)


def test_weights_above_one_have_no_complement() -> None:
    values = np.linspace(0.0, 1.0, CELLS)
    np.testing.assert_allclose(np.exp(Not(Weights(GRID, values)).log_weights(GRID)), 1.0 - values, atol=1e-12)
    with pytest.raises(ConfigError, match="not shares"):
        Not(Weights(GRID, 2.0 * values)).log_weights(GRID)


def test_a_complement_that_leaves_nothing_is_too_large_and_not_swapped() -> None:
    with pytest.raises(GeometryError, match="rules out every cell") as caught:
        apply(Posterior(GRID, np.full(CELLS, -np.log(CELLS))), Not(Circle(54.5, 3.0, 5000.0)))
    assert "swapped" not in str(caught.value)
    assert len(lattice(GRID)) == CELLS
