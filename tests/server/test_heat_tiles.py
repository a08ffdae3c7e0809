"""Tiles of heat maps and of cells agree with the cells that `ZoomGrid.encode` tells, pixel by pixel."""

import io

import numpy as np
import pytest
from PIL import Image

from justzoomin.errors import GeometryError
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.maps import metres_per_pixel, position_of, world_of, zoom_for
from justzoomin.posterior import Posterior
from justzoomin.service import FINEST_PX, HeatLayer, grid_tile, heat_tile

GRID = ZoomGrid(Region(38.9, -77.0, (-500.0, 500.0), (-500.0, 500.0)), 4, 3)
FAR = [ZoomGrid(Region(lat, lon, (-500.0, 500.0), (-500.0, 500.0)), 3, 2)
       for lat, lon in ((10.0, 180.0), (10.0, -179.9999), (84.0, 15.0), (-84.9, -179.9999))]


def posterior_of(grid, seed=0, scale=4.0):
    return Posterior.of(grid, np.random.default_rng(seed).normal(0, scale, grid.actions**grid.depth))


def rgba(content, pixels=256):
    return np.zeros((pixels, pixels, 4), np.uint8) if content is None else \
        np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def tiles_over(grid, z):
    """Numbers of all tiles of a zoom level that may show a part of a region."""
    x, y = (int(v * 2**z) for v in world_of(*grid.region.centre))
    reach = 1 + int(grid.region.size_m / (256 * metres_per_pixel(z, grid.region.centre.lat)))
    return [((x + i) % 2**z, y + j) for j in range(-reach, reach + 1) for i in range(-reach, reach + 1) if 0 <= y + j < 2**z]


def cells_at(grid, level, z, x, y, pixels=256):
    """Number of the cell of a level at each pixel's middle, and whether it is inside; from `encode_masked`."""
    steps = (np.arange(pixels) + 0.5) / pixels
    lat, lon = position_of((x + steps) / 2**z, (y + steps) / 2**z)
    sequences, inside = grid.encode_masked(np.repeat(lat, pixels), np.tile(lon, pixels))
    return grid.flatten(sequences[:, :level]).reshape(pixels, pixels), inside.reshape(pixels, pixels)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_each_pixel_has_the_tint_of_its_cell(level):
    posterior = posterior_of(GRID)
    probabilities = posterior.at_level(level)
    layer, wrong, seen, tints = HeatLayer(GRID, level, probabilities), 0, 0, {}
    for x, y in tiles_over(GRID, 15):
        image = rgba(layer.tile(15, x, y))
        cells, inside = cells_at(GRID, level, 15, x, y)
        tinted = inside & (probabilities[np.where(inside, cells, 0)] >= 1e-3 * probabilities.max())
        wrong += np.count_nonzero(tinted != (image[..., 3] > 0))
        seen += np.count_nonzero(tinted)
        for cell in np.unique(cells[tinted])[::3]:
            values, counts = np.unique(image[(cells == cell) & inside], axis=0, return_counts=True)
            tints.setdefault(int(cell), []).append((counts.max(), tuple(values[counts.argmax()])))
    assert seen > 3000 and wrong < 2e-3 * seen  # pixels on borders of cells
    # The more probable of two cells is at least as opaque.
    opacity = [max(found)[1][3] for _, found in sorted(tints.items(), key=lambda item: probabilities[item[0]])]
    assert opacity == sorted(opacity) and len(set(opacity)) > 3


def test_the_tinted_area_is_that_of_the_cells():
    posterior = posterior_of(GRID, seed=1)
    for level, z in ((2, 15), (3, 17)):
        probabilities = posterior.at_level(level)
        area = (probabilities >= 1e-3 * probabilities.max()).sum() * GRID.cell_size_m(level)**2
        covered = sum(np.count_nonzero(rgba(heat_tile(posterior, level, z, x, y))[..., 3])
                      for x, y in tiles_over(GRID, z)) * metres_per_pixel(z, 38.9)**2
        assert covered == pytest.approx(area, rel=0.01)


def test_a_single_cell_is_seen_at_every_zoom_level():
    scores = np.full(GRID.actions**GRID.depth, -np.inf)
    scores[777] = 0.0
    layer = HeatLayer(GRID, 3, Posterior.of(GRID, scores).at_level(3))
    for z in range(8, 22):
        lat, lon = GRID.centres(GRID.unflatten([777], 3))
        x, y = (int(v[0] * 2**z) for v in world_of(lat, lon))
        assert rgba(layer.tile(z, x, y))[..., 3].max() > 190, z


def test_a_flat_posterior_is_faint_and_a_ruled_out_cell_clear():
    flat = Posterior.of(GRID, np.where(np.arange(GRID.actions**3) < GRID.actions**2, -np.inf, 0.0))
    sure = posterior_of(GRID, scale=9.0)
    x, y = (int(v * 2**15) for v in world_of(*GRID.region.centre))
    assert rgba(heat_tile(flat, 1, 15, x, y))[..., 3].max() < 0.5 * rgba(heat_tile(sure, 1, 15, x, y))[..., 3].max()
    lat, lon = GRID.centres([[0]])
    x, y = (int(v[0] * 2**20) for v in world_of(lat, lon))
    assert heat_tile(flat, 1, 20, x, y) is None and heat_tile(flat, 3, 20, x, y) is None


def test_lines_are_where_the_cell_changes():
    for level, z in ((1, 14), (2, 15), (3, 16)):
        on_line, changes, clear = 0, 0, []
        for x, y in tiles_over(GRID, z)[::2 * level - 1]:
            light = rgba(grid_tile(GRID, level, z, x, y))
            strong = light[..., 3] > 100
            cells, inside = cells_at(GRID, level, z, x, y)
            numbers = np.where(inside, cells, -1)
            for one, other, a, b in ((numbers[1:], numbers[:-1], strong[1:], strong[:-1]),
                                     (numbers[:, 1:], numbers[:, :-1], strong[:, 1:], strong[:, :-1])):
                change = one != other
                changes += np.count_nonzero(change)
                on_line += np.count_nonzero(change & (a | b))
            clear.append(light[..., 3] == 0)
        assert changes > 1000 and on_line == changes
        assert 0.5 < np.mean(clear) < 0.999


@pytest.mark.parametrize("grid", FAR, ids=lambda grid: f"{grid.region.reference_lat:g} {grid.region.reference_lon:g}")
def test_antimeridian_and_polar_latitudes(grid):
    posterior = posterior_of(grid)
    for z in (0, 3, 12, 15):
        found = [(heat_tile(posterior, 2, z, x, y), grid_tile(grid, 1, z, x, y)) for x, y in tiles_over(grid, z)]
        assert any(heat is not None for heat, _ in found) or z < 8
        assert any(lines is not None for _, lines in found) or z < 12
    sides = {x for x, y in tiles_over(grid, 12) if heat_tile(posterior, 1, 12, x, y) is not None}
    assert abs(grid.region.reference_lon) < 179 or {0, 2**12 - 1} <= sides


def test_outside_and_too_dense_is_empty_and_wrong_numbers_are_errors():
    posterior = posterior_of(GRID)
    assert heat_tile(posterior, 2, 16, 0, 0) is None and grid_tile(GRID, 2, 16, 0, 0) is None
    z = int(zoom_for(GRID.cell_size_m(3) / FINEST_PX, 38.9))
    assert grid_tile(GRID, 3, z, *(int(v * 2**z) for v in world_of(*GRID.region.centre))) is None
    for call in (lambda: heat_tile(posterior, 4, 3, 0, 0), lambda: heat_tile(posterior, -1, 3, 0, 0),
                 lambda: heat_tile(posterior, 1, 3, 8, 0), lambda: grid_tile(GRID, 4, 3, 0, 0),
                 lambda: grid_tile(GRID, 1, 31, 0, 0), lambda: HeatLayer(GRID, 1, np.ones(3))):
        with pytest.raises(GeometryError):
            call()
