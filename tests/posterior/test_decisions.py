"""Laws of decisions: they serve their metric, move with the mass, and find points between centres."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justzoomin.errors import ConfigError
from justzoomin.geometry import Region, ZoomGrid, to_local
from justzoomin.posterior import Decision, Distance, Posterior, TopCell, Within, decide, lattice, parse_decision

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 2)
CELLS = lattice(TOWN)
DECISIONS = (Within(5.0), Within(20.0), Within(55.5), Within(170.0), Within(170.0, 0.0), Within(1e4), Distance(), TopCell())


def log_probs(seed: int, sharpness: float, photos: int = 1, grid: ZoomGrid = TOWN) -> np.ndarray:
    scores = np.random.default_rng(seed).normal(0, sharpness, (photos, grid.actions**grid.depth))
    return np.stack([Posterior.of(grid, s).log_probs for s in scores])


def expected_at(decision: Decision, own: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Higher is better."""
    value = decision.expected(CELLS, np.exp(own), points)
    return -value if isinstance(decision, Distance) else value


@pytest.mark.parametrize("decision", DECISIONS, ids=repr)
@given(seed=st.integers(0, 10**6), sharpness=st.floats(0.0, 8.0))
@settings(max_examples=25, deadline=None)
def test_no_decision_is_worse_than_the_top_cell_on_its_own_metric(decision: Decision, seed: int, sharpness: float) -> None:
    own = log_probs(seed, sharpness, 2)
    p = np.exp(own)
    chosen, top = decision.points(CELLS, p), TopCell().points(CELLS, p)
    assert (expected_at(decision, own, chosen) >= expected_at(decision, own, top) - 1e-9).all()
    assert (np.abs(chosen) <= 160.0).all()


@pytest.mark.parametrize("decision", [Within(10.0, 0.0), Within(25.0), Within(60.0, 0.0), Within(60.0), Within(60.0, 2.0)],
                         ids=repr)
def test_within_is_the_best_of_many_points(decision: Within) -> None:
    """Mass and closeness together, over the points of a raster that hold no less than the top cell's centre."""
    own = log_probs(1, 2.0)
    p = np.exp(own)
    steps = np.linspace(-160, 160, 41)
    chosen, top = decision.points(CELLS, p), TopCell().points(CELLS, p)
    points = np.concatenate([chosen, top, np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)])
    held = expected_at(decision, np.broadcast_to(own, (len(points), own.shape[1])), points)
    distance = np.sqrt((points[:, :1] - CELLS.east_m) ** 2 + (points[:, 1:] - CELLS.north_m) ** 2 + CELLS.cell_m**2 / 6)
    values = held + decision.closeness * np.maximum(0.0, 1.0 - distance / decision.radius_m) @ p[0]
    assert held[0] >= held[1] - 1e-9
    assert values[0] >= values[1:][held[1:] >= held[1]].max() - 2e-3


@pytest.mark.parametrize("seed", range(4))
def test_distance_is_the_best_of_many_points(seed: int) -> None:
    own = log_probs(seed, 3.0)
    best = expected_at(Distance(), own, Distance().points(CELLS, np.exp(own)))[0]
    steps = np.linspace(-160, 160, 41)
    raster = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    values = expected_at(Distance(), np.broadcast_to(own, (len(raster), own.shape[1])), raster)
    assert values.max() <= best + 1e-6 <= values.max() + 2.0


def test_distance_is_not_stuck_between_two_groups() -> None:
    """Two cells far apart hold three quarters of the mass: Newton's steps alone end 40 m beside the best point."""
    grid = ZoomGrid(Region(54.5, 3.0, (-5000.0, 5000.0), (-5000.0, 5000.0)), 4, 4)
    cells, rng = lattice(grid), np.random.default_rng(0)
    scores = [rng.normal(0, spread, len(cells)) for spread in (1, 3, 6, 10) * 5][18]
    probs = np.exp(Posterior.of(grid, scores).log_probs)
    point = Distance().points(cells, probs[None])[0]
    away = np.sqrt((cells.east_m - point[0]) ** 2 + (cells.north_m - point[1]) ** 2 + cells.cell_m**2 / 6)
    slope = [probs @ ((place - x) / away) for place, x in zip((cells.east_m, cells.north_m), point, strict=True)]
    assert np.abs(slope).max() < 1e-6


@pytest.mark.parametrize(("side", "depth"), [(2, 1), (2, 2), (4, 1)])
def test_distance_on_a_grid_of_few_cells(side: int, depth: int) -> None:
    """The first step of the search is longer than such a region's cells; all mass in one cell, and the same in all."""
    cells = lattice(ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), side, depth))
    one, even = np.eye(len(cells))[1], np.full(len(cells), 1 / len(cells))
    places = [(cells.east_m[1], cells.north_m[1]), (0.0, 0.0)]
    assert Distance().points(cells, np.stack([one, even])) == pytest.approx(np.array(places), abs=1e-3)


@pytest.mark.parametrize("decision", [Within(12.0), Within(30.0), Distance(), TopCell()], ids=repr)
def test_the_decision_moves_with_the_mass(decision: Decision) -> None:
    """A patch of mass three cells east and two south of another is decided 60 m east and 40 m south of it."""
    rng = np.random.default_rng(5)
    patch = rng.random((4, 4))
    points = []
    for row, col in ((3, 5), (5, 8)):
        image = np.zeros((16, 16))
        image[row:row + 4, col:col + 4] = patch / patch.sum()
        points.append(decision.points(CELLS, CELLS.from_image(image)[None])[0])
    assert points[1] - points[0] == pytest.approx([60.0, -40.0], abs=2e-3)


def test_points_lie_between_centres_where_that_holds_more() -> None:
    """Four cells that meet in a corner, alike: a disk about the corner holds more than one about a centre."""
    image = np.zeros((16, 16))
    image[4:6, 9:11] = 0.25
    probs = CELLS.from_image(image)[None]
    for decision in (Within(22.0), Within(28.0), Distance()):
        assert decision.points(CELLS, probs)[0] == pytest.approx([40.0, 60.0], abs=2.0), decision


@pytest.mark.parametrize("decision", [Within(60.0), Within(170.0), Distance()], ids=repr)
def test_one_cell_is_answered_with_its_middle(decision: Decision) -> None:
    """However many points hold all of it."""
    probs = np.zeros((1, 256))
    probs[0, 77] = 1.0
    assert decision.points(CELLS, probs)[0] == pytest.approx([CELLS.east_m[77], CELLS.north_m[77]], abs=1e-2)


def test_near_mass_outweighs_the_top_cell() -> None:
    """The most probable cell has no near neighbours; a group of less probable ones holds more together."""
    image = np.full((16, 16), 1e-6)
    image[1, 1], image[10:13, 10:13] = 0.3, 0.7 / 9
    own = np.log(CELLS.from_image(image / image.sum()))[None]
    lat, lon = decide(TOWN, own, Within(40.0))
    east, north = to_local(*TOWN.region.centre, lat, lon)
    assert (east[0], north[0]) == pytest.approx((70.0, -70.0), abs=3.0)
    assert decide(TOWN, own, TopCell())[0][0] == CELLS.lat[own.argmax()]


@pytest.mark.parametrize("decision", DECISIONS, ids=repr)
def test_a_batch_is_its_photos_one_by_one(decision: Decision) -> None:
    own = log_probs(3, 3.0, 5)
    together = np.stack(decide(TOWN, own, decision))
    alone = np.concatenate([np.stack(decide(TOWN, row[None], decision)) for row in own], 1)
    assert np.abs(together - alone).max() < 1e-9
    assert [len(v) for v in decide(TOWN, own[:0], decision)] == [0, 0]


@pytest.mark.parametrize("decision", [Within(2.0), Within(40.0), Within(60.0)], ids=repr)
def test_the_mass_a_decision_expects_is_the_posteriors(decision: Within) -> None:
    own = log_probs(8, 3.0)
    lat, lon = decide(TOWN, own, decision)
    expected = decision.expected(CELLS, np.exp(own), decision.points(CELLS, np.exp(own)))
    assert Posterior(TOWN, own[0]).mass_within(float(lat[0]), float(lon[0]), decision.radius_m) == pytest.approx(expected[0])


def test_words_and_back() -> None:
    for decision in (Within(0.5), Within(40.0), Distance(), TopCell()):
        assert parse_decision(str(decision)) == decision
    for wrong in ("within", "within:0", "within:-3", "within:nan", "within:1e3", "best", "", "within:40m"):
        with pytest.raises(ConfigError, match="within:METRES"):
            parse_decision(wrong)


def test_it_takes_milliseconds() -> None:
    """A generous bound, so that a busy machine passes: an order above what docs/localizing.md reports."""
    import time

    grid = ZoomGrid(Region(54.5, 3.0, (-1250.0, 1250.0), (-1250.0, 1250.0)), 4, 4)
    own = log_probs(0, 3.0, 2, grid)
    for decision in (Within(40.0), Distance()):
        decide(grid, own[:1], decision)
        start = time.process_time()
        decide(grid, own, decision)
        assert time.process_time() - start < 1.0
