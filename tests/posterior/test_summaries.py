"""Laws of what is read off a posterior: masses, levels, moments, radii, regions and their outlines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from justzoomin.errors import GeometryError
from justzoomin.geometry import Region, ZoomGrid, from_local, haversine_m, to_local
from justzoomin.posterior import CredibleRegion, Posterior, lattice
from justzoomin.posterior.disks import disk_shares

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 2)
CELLS = lattice(TOWN)
CENTRE = TOWN.region.centre


def some_posterior(seed: int, sharpness: float = 3.0, grid: ZoomGrid = TOWN) -> Posterior:
    return Posterior.of(grid, np.random.default_rng(seed).normal(0, sharpness, grid.actions**grid.depth))


@given(east=st.floats(-60, 60), north=st.floats(-60, 60), edge=st.floats(1, 50), radius=st.floats(0.5, 80))
@settings(max_examples=100, deadline=None)
def test_shares_of_squares_in_a_disk(east: float, north: float, edge: float, radius: float) -> None:
    """Against a fine raster of the square."""
    steps = ((np.arange(200) + 0.5) / 200 - 0.5) * edge
    x, y = np.meshgrid(east + steps, north + steps)
    counted = float((x * x + y * y <= radius * radius).mean())
    assert float(disk_shares(np.array(east), np.array(north), edge, radius)) == pytest.approx(counted, abs=0.01)


@pytest.mark.parametrize("radius", [3.0, 20.0, 77.0])
def test_shares_of_all_squares_make_the_disk(radius: float) -> None:
    shares = disk_shares(CELLS.east_m - 4.4, CELLS.north_m + 7.7, CELLS.cell_m, radius)
    assert shares.sum() * CELLS.cell_m**2 == pytest.approx(np.pi * radius**2, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_levels_are_sums_and_paths_multiply(seed: int) -> None:
    found = some_posterior(seed)
    assert np.array_equal(found.at_level(2), found.probs)
    assert found.at_level(0) == pytest.approx([1.0])
    assert found.at_level(1)[5] == pytest.approx(found.probs[5 * 16:6 * 16].sum())
    for cell in (0, 77, 255):
        sequence = tuple(TOWN.unflatten([cell], 2)[0].tolist())
        assert np.prod(found.along(sequence)) == pytest.approx(found.probs[cell])
    with pytest.raises(GeometryError, match="0 to 2"):
        found.at_level(3)


def test_paths_into_what_is_ruled_out() -> None:
    scores = np.zeros(256)
    scores[:16] = -np.inf
    assert Posterior.of(TOWN, scores).along((0, 3)) == (0.0, 0.0)


def test_top_cells_and_ranks_agree_and_equal_ones_come_by_number() -> None:
    found = some_posterior(1)
    cells, probs = found.top(10)
    assert [found.rank(cell) for cell in cells.tolist()] == list(range(1, 11))
    assert np.array_equal(probs, np.sort(found.probs)[::-1][:10])
    even = Posterior.of(TOWN, np.zeros(256))
    assert even.top(4)[0].tolist() == [0, 1, 2, 3]
    assert even.rank(200) == 1
    assert len(even.top(1000)[0]) == 256


def test_moments_of_a_flat_posterior_are_those_of_the_square_and_of_one_cell_those_of_the_cell() -> None:
    flat = Posterior.of(TOWN, np.zeros(256)).moments()
    assert flat.mean_m == pytest.approx([0, 0], abs=1e-9)
    assert flat.covariance_m2 == pytest.approx(np.eye(2) * 320**2 / 12)
    one = Posterior.of(TOWN, np.where(np.arange(256) == 9, 0.0, -np.inf))
    assert one.moments().covariance_m2 == pytest.approx(np.eye(2) * 20**2 / 12)
    assert one.moments().mean_m == pytest.approx([CELLS.east_m[9], CELLS.north_m[9]])
    assert one.entropy_bits == 0.0
    assert Posterior.of(TOWN, np.zeros(256)).entropy_bits == pytest.approx(8.0)


def test_covariance_has_east_before_north() -> None:
    """Mass along a line that goes east, a little north."""
    scores = np.where(np.isclose(CELLS.north_m, np.round(CELLS.east_m / 4 / 20 - 0.5) * 20 + 10), 0.0, -np.inf)
    covariance = Posterior.of(TOWN, scores).moments().covariance_m2
    assert covariance[0, 0] > 3 * covariance[1, 1]
    assert covariance[0, 1] == covariance[1, 0] > 0


@pytest.mark.parametrize(("east", "north", "radius"), [
    (0.0, 0.0, 40.0), (33.3, -61.0, 25.0), (150.0, 150.0, 100.0), (3.0, 4.0, 2.0)])
def test_mass_within_is_what_drawn_places_say(east: float, north: float, radius: float) -> None:
    found, rng = some_posterior(3, 1.0), np.random.default_rng(0)
    cells = rng.choice(256, 200_000, p=found.probs)
    x, y = (v[cells] + rng.uniform(-10, 10, len(cells)) for v in (CELLS.east_m, CELLS.north_m))
    lat, lon = from_local(*CENTRE, east, north)
    drawn = float((np.hypot(x - east, y - north) <= radius).mean())
    assert found.mass_within(float(lat), float(lon), radius) == pytest.approx(drawn, abs=0.005)
    assert found.mass_within(float(lat), float(lon), 1000.0) == pytest.approx(1.0)
    assert found.mass_within(float(lat), float(lon), 0.0) == 0.0


@given(seed=st.integers(0, 10**6), mass=st.floats(0.01, 0.99), east=st.floats(-150, 150), north=st.floats(-150, 150))
@settings(max_examples=60, deadline=None)
def test_the_radius_about_a_point_is_the_smallest_with_the_mass(seed: int, mass: float, east: float, north: float) -> None:
    found = some_posterior(seed)
    lat, lon = (float(v) for v in from_local(*CENTRE, east, north))
    radius = found.radius_about(lat, lon, mass)
    assert found.mass_within(lat, lon, radius) == pytest.approx(mass, abs=1e-5)
    assert found.mass_within(lat, lon, 0.99 * radius) < mass


def test_the_radius_about_a_point_ends_at_the_cell_that_completes_the_mass() -> None:
    """Beyond that cell's far corner no mass follows for a while; the radius does not run on."""
    scores = np.full(len(CELLS), -np.inf)
    scores[[0, -1]] = 0.0
    found = Posterior.of(CELLS.grid, scores)
    lat, lon = (float(v) for v in from_local(*CENTRE, CELLS.east_m[0], CELLS.north_m[0]))
    assert found.radius_about(lat, lon, 0.5) == pytest.approx(CELLS.cell_m * np.sqrt(0.5), abs=1e-3)


@given(seed=st.integers(0, 10**6), mass=st.floats(0.01, 1.0))
@settings(max_examples=60, deadline=None)
def test_a_region_is_the_smallest_that_holds_the_mass(seed: int, mass: float) -> None:
    found = some_posterior(seed)
    region = found.region(mass)
    held, least = found.probs[region.mask].sum(), found.probs[region.mask].min()
    assert held >= mass - 1e-9
    assert held - least < mass
    assert found.probs[~region.mask].max(initial=0.0) <= least
    assert region.area_m2 == pytest.approx(region.mask.sum() * 400.0)
    inner = found.region(mass / 2)
    assert not (inner.mask & ~region.mask).any()


def test_a_region_of_everything_and_of_ruled_out_cells() -> None:
    scores = np.where(np.arange(256) < 10, 0.0, -np.inf)
    assert Posterior.of(TOWN, scores).region(1.0).mask.sum() == 10
    assert Posterior.of(TOWN, np.zeros(256)).region(1.0).area_m2 == pytest.approx(320.0**2)


@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_runs_and_outlines_are_the_cells(seed: int, share: float) -> None:
    """Runs come back as they were. A cell's centre lies in the polygons as often as it is in the region; areas agree."""
    region = CredibleRegion(TOWN, np.random.default_rng(seed).random(256) < share)
    assert np.array_equal(CredibleRegion.from_runs(TOWN, region.runs()).mask, region.mask)
    geometry = region.geojson()
    found, area = np.zeros(256, int), 0.0
    for rings in geometry["coordinates"]:
        for number, ring in enumerate(rings):
            assert ring[0] == ring[-1]
            assert len({tuple(c) for c in ring}) == len(ring) - 1  # a ring does not meet itself
            lon, lat = np.array(ring).T
            east, north = to_local(*CENTRE, lat, lon)
            signed = 0.5 * float((east[:-1] * north[1:] - east[1:] * north[:-1]).sum())
            assert (signed > 0) == (number == 0)  # the outer ring counter-clockwise, holes clockwise
            area += signed
            inside = Outline(np.stack([east, north], 1)).contains_points(np.stack([CELLS.east_m, CELLS.north_m], 1))
            found += np.where(inside, 1 if number == 0 else -1, 0)
    assert np.array_equal(found, region.mask.astype(int))
    assert area == pytest.approx(region.area_m2, abs=1e-3)


def test_outlines_merge_cells_and_keep_corners_apart() -> None:
    """A block with a hole, and a cell that only touches its corner."""
    image = np.zeros((16, 16), bool)
    image[2:5, 2:5] = True
    image[3, 3] = False
    image[5, 5] = True
    polygons = CredibleRegion(TOWN, CELLS.from_image(image)).geojson()["coordinates"]
    assert sorted((len(rings), *map(len, rings)) for rings in polygons) == [(1, 5), (2, 5, 5)]


def test_outlines_across_the_antimeridian_are_cut() -> None:
    grid = ZoomGrid(Region(-17.0, 180.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 1)
    image = np.zeros((4, 4), bool)
    image[1, :] = True
    image[3, 3] = True
    coordinates = CredibleRegion(grid, lattice(grid).from_image(image)).geojson()["coordinates"]
    assert len(coordinates) == 3
    lons = [np.array(rings[0])[:, 0] for rings in coordinates]
    assert all(np.abs(part).max() <= 180.0 and np.ptp(part) < 1.0 for part in lons)
    assert haversine_m(-17.0, lons[0].max(), -17.0, lons[0].min()) == pytest.approx(160.0, rel=1e-3)


@pytest.mark.parametrize("runs", [(1,), (0, -1), (0, 257), (1.5, 2), (True, 1), ("1", 2)])
def test_runs_that_are_none(runs: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError):
        CredibleRegion.from_runs(TOWN, runs)
