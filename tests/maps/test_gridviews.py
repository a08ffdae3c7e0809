"""Views of a grid: those of the map, rendered once, within a bounded memory."""

import pickle

import numpy as np
import pytest

from fakes import make_repository
from justzoomin.errors import GeometryError, TileError
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.maps import GridViews, Map


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Map:
    return Map.open(make_repository(tmp_path_factory.mktemp("town") / "town", train=1, val=1, pixels=32))


def counting(town: Map, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    sizes: list[float] = []
    render = town.view

    def view(lat: float, lon: float, size_m: float, pixels: int):
        sizes.append(size_m)
        return render(lat, lon, size_m, pixels)

    monkeypatch.setattr(town, "view", view)
    return sizes


@pytest.mark.parametrize("sequence", [(), (0,), (5,), (15,)])
def test_a_view_is_the_maps_view_of_the_cell(town: Map, sequence: tuple[int, ...]) -> None:
    views, cell = GridViews(town, town.grid, 32), town.grid.cell(sequence)
    direct = town.view(cell.centre.lat, cell.centre.lon, cell.size_m, 32)
    assert np.array_equal(views.get(sequence), direct.pixels)
    assert views.no_data(sequence) == direct.no_data


def test_each_view_is_rendered_once(town: Map, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counting(town, monkeypatch)
    views = GridViews(town, town.grid, 32)
    for _ in range(3):
        views.get(())
        views.get(np.array([3]))
        views.no_data([3])
    assert sizes == [400.0, 100.0]


def test_memory_is_bounded_and_the_oldest_view_goes_first(town: Map, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counting(town, monkeypatch)
    views = GridViews(town, town.grid, 32, cache_bytes=2 * 3 * 32 * 32)
    for sequence in ((), (1,), (), (2,), ()):  # (1,) is the least recently used when (2,) comes
        views.get(sequence)
    assert len(sizes) == 3
    views.get((1,))
    assert len(sizes) == 4


def test_it_travels_to_workers_without_its_pictures(town: Map) -> None:
    views = GridViews(town, town.grid, 32)
    before = views.get((7,))
    assert len(pickle.dumps(views)) < before.nbytes * 8
    assert np.array_equal(pickle.loads(pickle.dumps(views)).get((7,)), before)


def test_a_cell_that_is_not_there_is_refused(town: Map) -> None:
    with pytest.raises(GeometryError):
        GridViews(town, town.grid, 32).get((16,))


def test_a_region_that_the_map_does_not_cover_is_refused(town: Map) -> None:
    GridViews(town, town.grid, 32).check_root()
    away = ZoomGrid(Region(54.6, 3.2, (-200, 200), (-200, 200)), 4, 2)
    with pytest.raises(TileError, match="no tile in the region"):
        GridViews(town, away, 32).check_root()
