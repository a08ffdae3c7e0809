"""Numbers of views in layers, and the squares that they show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from justzoomin.errors import GeometryError
from justzoomin.geometry import Layer, Region, ViewLayers, ZoomGrid, to_local, view_count, view_sequence, zoom_layers

GRIDS = st.builds(lambda grid, depth: ZoomGrid(Region(54.5, 3.0, (-80.0, 80.0), (-80.0, 80.0)), grid, depth),
                  st.integers(2, 4), st.integers(1, 3))


@given(GRIDS)
def test_a_zoomers_layers_have_the_numbers_of_its_views(grid: ZoomGrid) -> None:
    layers = zoom_layers(grid)
    assert len(layers) == view_count(grid)
    lat, lon, size = layers.squares(np.arange(len(layers)))
    for number in range(len(layers)):
        cell = grid.cell(view_sequence(grid, number))
        assert (lat[number], lon[number], size[number]) == (cell.centre.lat, cell.centre.lon, cell.size_m)


@given(GRIDS, st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=4), st.randoms())
def test_a_number_leads_to_its_layer_and_cell(grid: ZoomGrid, kinds: list[tuple[int, int]], draw: object) -> None:
    layers = ViewLayers(grid, tuple(Layer(min(level, grid.depth), scale) for level, scale in kinds))
    numbers = np.array([draw.randrange(len(layers)) for _ in range(20)])
    places, cells = layers.locate(numbers)
    assert (np.array(layers.starts)[places] + cells == numbers).all()
    assert (cells < grid.actions ** np.array([layers.layers[p].level for p in places])).all() and (cells >= 0).all()
    lat, lon, size = layers.squares(numbers)
    for k in range(20):
        layer = layers.layers[places[k]]
        cell = grid.cell(grid.unflatten([cells[k]], layer.level)[0])
        assert (lat[k], lon[k]) == (cell.centre.lat, cell.centre.lon)
        assert size[k] == pytest.approx(cell.size_m * layer.scale)


def test_windows_of_a_coarse_level_stand_a_quarter_of_their_edge_apart() -> None:
    grid = ZoomGrid(Region(54.5, 3.0, (-80.0, 80.0), (-80.0, 80.0)), 4, 2)
    lat, lon, size = ViewLayers(grid, (Layer(2, 4),)).squares(np.arange(256))
    east, north = to_local(54.5, 3.0, lat, lon)
    assert (size == 40.0).all()
    for axis in (east, north):
        assert np.allclose(np.unique(axis.round(2)), np.arange(16) * 10.0 - 75.0, atol=0.02)


def test_what_cannot_be_is_refused() -> None:
    grid = ZoomGrid(Region(54.5, 3.0, (-80.0, 80.0), (-80.0, 80.0)), 4, 2)
    for layer in (Layer(3), Layer(-1), Layer(1, 0), Layer(1, 1 << 20)):
        with pytest.raises(GeometryError):
            ViewLayers(grid, (layer,))
    for number in (-1, 16):
        with pytest.raises(GeometryError, match=f"view {number}"):
            ViewLayers(grid, (Layer(1),)).locate([number])
