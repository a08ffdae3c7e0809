"""Laws of the search for poses: transforms equal direct reading, and rough search equals full search within its bound."""

import math

import pytest
import torch

from justzoomin.geometry import Region, ZoomGrid
from justzoomin.models import Ground, MatcherConfig, RayMatcher
from justzoomin.search.budget import EVERYTHING, Budget
from justzoomin.search.map_features import MapFeatures, to_piece
from justzoomin.search.place_lattice import PlaceLattice
from justzoomin.search.tree_search import BEARINGS, TreeSearch

CONFIG = MatcherConfig(metres_per_pixel=1.0, channels=4, ranges=3, nearest_m=3.0, reach_m=17.0, headings=8, tried=16, width=8,
                       window_m=64.0, margin_m=16.0)


def matcher_with(**settings):
    torch.manual_seed(0)
    return RayMatcher(CONFIG.model_copy(update=settings), (4,), 4, 16).eval().requires_grad_(False)


def grid_of(size_m, depth, grid=2):
    half = size_m / 2
    return ZoomGrid(Region(54.0, 3.0, (-half, half), (-half, half)), grid, depth)


def smooth(channels, edge, seed, by=9):
    """Random values that change slowly, as descriptions of real ground do."""
    values = torch.randn(1, channels, edge, edge, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(values, by, 1, by // 2)[0] * by


class World:
    """A region of one piece with random ground."""

    def __init__(self, grid, matcher, seed=0, turns=0):
        larger = 0.0 if grid.region.size_m % 4 == 0 else 160.0  # places of 3 m are not those of 4 m
        config = matcher.config.model_copy(update={"window_m": grid.region.size_m + larger})
        matcher.config = config
        self.matcher, self.lattice = matcher, PlaceLattice.of(grid, matcher)
        assert self.lattice.windows == 1
        edge = self.lattice.window + 2 * self.lattice.margin
        places = torch.nn.functional.normalize(smooth(config.channels, edge, seed), dim=0)
        logits = smooth(config.headings, edge, seed + 1)
        places, logits = (v.rot90(-turns, (1, 2)) for v in (places, logits))
        logits = logits.roll(turns * config.headings // 4, 0)
        piece = to_piece(Ground(places, logits), self.lattice)
        self.features = MapFeatures(self.lattice, config.channels, config.headings, lambda _: piece)
        self.tree = TreeSearch(matcher, self.features, torch.device("cpu"))

    def direct(self, fan):
        """Return log-masses (Q, side, side) of all poses at places, read one by one."""
        lattice, matcher = self.lattice, self.matcher
        margin = self.tree.fine.correlation.reach + 1
        size = lattice.side + 2 * margin
        ground = Ground(self.features.vectors(1, -margin, -margin, size), torch.zeros(1))
        logits = self.features.logits(1, 0, 0, lattice.side)
        steps = (torch.arange(lattice.side) + 0.5 + margin) * lattice.place_m
        south, east = (v.flatten() for v in torch.meshgrid(steps, steps, indexing="ij"))
        matcher.place_m = lattice.place_m
        found = []
        for q in range(matcher.config.tried):
            bearing = torch.full_like(east, 2 * math.pi * q / matcher.config.tried)
            cosines = matcher.read(ground, east, south, bearing) @ fan
            low, part = divmod(q * matcher.config.headings / matcher.config.tried, 1)
            a, b = (logits[int(k) % matcher.config.headings] for k in (low, low + 1))
            found.append((cosines * matcher.scale).view(lattice.side, -1) + a * (1 - part) + b * part)
        return torch.stack(found) - math.log(matcher.config.tried)


def fan_of(matcher, seed=3):
    torch.manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(matcher.size), dim=0)


@pytest.mark.parametrize(("size_m", "depth", "grid"), [(256.0, 5, 2), (256.0, 6, 2), (256.0, 7, 2), (243.0, 4, 3),
                                                       (192.0, 2, 2), (400.0, 1, 2)])
def test_transforms_equal_reading_pose_by_pose(size_m, depth, grid):
    """Whatever the size of the cells: several places each, one each, several to a place, and larger than a tile."""
    world = World(grid_of(size_m, depth, grid), matcher_with())
    fan, lattice, cells = fan_of(world.matcher), world.lattice, grid**depth
    direct = world.direct(fan)
    n = lattice.cells_per_place
    fine = direct.repeat_interleave(n, 1).repeat_interleave(n, 2) - 2 * math.log(n)
    squares = fine.view(BEARINGS, cells, lattice.per_cell, cells, lattice.per_cell).transpose(2, 3).flatten(3)
    assert torch.allclose(world.tree.search(fan, EVERYTHING).cells(), squares.logsumexp(3), atol=2e-4)


def test_more_bearings_than_bins_keep_their_mass():
    world = World(grid_of(128.0, 4), matcher_with(tried=32))
    fan = fan_of(world.matcher)
    found, direct = world.tree.search(fan, EVERYTHING).cells(), world.direct(fan)
    assert found.logsumexp((0, 1, 2)).item() == pytest.approx(direct.logsumexp((0, 1, 2)).item(), abs=1e-4)
    mass = direct.flatten(1).logsumexp(1).exp()
    shared = mass[0::2] + 0.5 * (mass[1::2] + mass[1::2].roll(1))
    assert torch.allclose(found.flatten(1).logsumexp(1), shared.log(), atol=1e-4)


@pytest.fixture(scope="module")
def large():
    """A region of 64 tiles, with a peak as trained models have."""
    world = World(grid_of(1024.0, 6), matcher_with())
    world.matcher.log_scale.data.fill_(math.log(60.0))
    world.tree = TreeSearch(world.matcher, world.features, torch.device("cpu"))
    return world


def test_a_rough_search_equals_the_full_one_within_its_bound(large):
    tiles = large.tree.fine.tiles**2
    for seed in range(6):
        fan = fan_of(large.matcher, seed)
        full = large.tree.search(fan, EVERYTHING).cells().flatten()
        for budget in (Budget(tiles - 1, 0.02), Budget(tiles - 1, 0.02, 3.0), Budget(tiles - 1, 0.2)):
            found = large.tree.search(fan, budget).cells().flatten()
            assert found.isfinite().all() and len(found) == len(full)
            flat, whole = ((v / budget.temperature).softmax(0) for v in (found, full))
            assert 0.5 * (flat - whole).abs().sum() < budget.unseen


def test_what_is_looked_at_is_exact_and_the_rest_is_corrected_alike(large):
    fan = fan_of(large.matcher)
    full = large.tree.search(fan, EVERYTHING).cells()
    counts = 1, 8, large.tree.fine.tiles**2 - 1
    rough, some, all_but_one = (large.tree.search(fan, Budget(count, 0.0)).cells() for count in counts)
    same = (some - full).abs().amax(0) < 1e-3
    assert same.sum() == 8 * (64 // large.tree.fine.tiles) ** 2
    both = ~same & ((rough - full).abs().amax(0) > 1e-3)
    change = (some - rough)[:, both]
    assert torch.allclose(change, change.mean(), atol=1e-3)
    assert ((all_but_one - full).abs().amax(0) > 1e-3).sum() <= (64 // large.tree.fine.tiles) ** 2


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_map_and_heading_together_changes_nothing(turns):
    upright, turned = (World(grid_of(128.0, 4), matcher_with(), turns=k) for k in (0, turns))
    fan = fan_of(upright.matcher)
    found = turned.tree.search(fan, EVERYTHING).cells().roll(-turns * BEARINGS // 4, 0).rot90(turns, (1, 2))
    expected = upright.tree.search(fan, EVERYTHING).cells()
    assert torch.allclose(found, expected, atol=0.05)  # eight bits round the logits of two bearings


def test_several_levels_for_a_region_too_large_for_one(large, monkeypatch):
    monkeypatch.setattr("justzoomin.search.tree_search.MAX_COARSE", 1 << 9)
    tree = TreeSearch(large.matcher, large.features, torch.device("cpu"))
    assert [level.size for level in tree.coarse] == [16, 4]
    fan = fan_of(large.matcher)
    full = large.tree.search(fan, EVERYTHING).cells().flatten().softmax(0)
    found = tree.search(fan, Budget(large.tree.fine.tiles**2 - 1, 0.0)).cells().flatten().softmax(0)
    assert 0.5 * (found - full).abs().sum() < 0.01


def test_places_are_as_large_as_the_model_expects():
    matcher = matcher_with(metres_per_pixel=0.625, window_m=320.0, margin_m=10.0)  # places of 2.5 m
    dc = PlaceLattice.of(grid_of(10_000.0, 4, 4), matcher)
    assert (dc.side, dc.per_cell, dc.tile, dc.windows) == (4096, 16, 32, 32) and dc.place_m == pytest.approx(2.44140625)
    town = PlaceLattice.of(grid_of(320.0, 3, 4), matcher)
    assert (town.side, town.per_cell, town.cells_per_place, town.place_m) == (128, 2, 1, 2.5)
    finer = PlaceLattice.of(grid_of(320.0, 4, 4), matcher)
    assert (finer.side, finer.per_cell, finer.cells_per_place) == (128, 1, 2)
    for depth in range(1, 5):
        for grid in range(2, 9):
            places = PlaceLattice.of(grid_of(3000.0, depth, grid), matcher)
            near = 1.5 if grid in (2, 4, 8) else 3.0  # few cells of other grids are a whole number of places
            assert 1 / near < places.place_m / 2.5 < near and places.tile % 4 == 0 and 4 <= places.tile <= 128
            assert places.tile % places.per_cell == 0 or places.per_cell % places.tile == 0


def test_what_is_far_below_the_best_is_not_ruled_out():
    world = World(grid_of(128.0, 4), matcher_with())
    world.matcher.log_scale.data.fill_(math.log(3000.0))
    found = TreeSearch(world.matcher, world.features, torch.device("cpu")).search(fan_of(world.matcher), EVERYTHING).cells()
    assert found.isfinite().all() and found.max() - found.min() > 200
