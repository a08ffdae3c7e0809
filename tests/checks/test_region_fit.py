"""A region for a map: the square is where the tiles are, and the depth fits the imagery."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from justzoomin.checks import fit_region, open_unplaced, region_path
from justzoomin.checks.cellcover import cell_cover
from justzoomin.errors import ConfigError, TileError
from justzoomin.geometry import LatLon, ZoomGrid, haversine_m, preset
from justzoomin.maps import Map
from justzoomin.tiles import TileProjection
from map_builders import UTM, UTM_PLACE, build


@pytest.fixture(scope="module")
def unplaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of 320 m without a region.yaml."""
    folder = build(tmp_path_factory.mktemp("unplaced"), UTM, *UTM_PLACE, radius_m=160.0, seed=5)
    (folder / "region.yaml").unlink()
    return folder


@pytest.fixture
def holed(unplaced: Path, tmp_path: Path) -> Path:
    """The same map without its western half on all levels but the coarsest."""
    folder = tmp_path / "holed"
    shutil.copytree(unplaced, folder)
    for level in (-2, -1, 0):
        columns = sorted((folder / str(level)).iterdir(), key=lambda p: int(p.name))
        for column in columns[:len(columns) // 2]:
            shutil.rmtree(column)
    return folder


def covered(source: Map, grid: ZoomGrid, level: int) -> float:
    return float(cell_cover(grid, 0, source.source.table(level), TileProjection(source.layout)).share[0])


def test_the_square_lies_where_the_tiles_lie(unplaced: Path) -> None:
    source = open_unplaced(unplaced)
    fitted = fit_region(source, pixels=64, cell_m=20, no_data=0.0)
    region = fitted.grid.region
    assert fitted.level == 0
    assert 300 <= region.size_m <= 345
    assert haversine_m(*region.centre, *UTM_PLACE) < 20
    assert covered(source, fitted.grid, 0) == 1.0
    assert fitted.grid.depth == 2
    assert (fitted.coverage, fitted.warnings) == ((1.0, 1.0), ())
    assert [need.service for need in fitted.needs] == ["full", "full"]


@pytest.mark.parametrize("no_data", [0.0, 0.05, 0.25])
def test_no_more_lacks_tiles_than_was_allowed(holed: Path, no_data: float) -> None:
    source = open_unplaced(holed)
    fitted = fit_region(source, pixels=64, cell_m=20, no_data=no_data, level=0)
    assert covered(source, fitted.grid, 0) >= 1 - no_data - 0.01
    assert 130 <= fitted.grid.region.size_m <= 260
    assert fitted.grid.region.centre.lon > UTM_PLACE[1]  # the western half is gone
    sizes = [square.size_m for square in fitted.squares]
    assert sizes == sorted(sizes)


@settings(max_examples=6, deadline=None)
@given(bound=st.floats(0.0, 0.9), grid=st.integers(2, 6))
def test_the_proposal_keeps_its_word(unplaced: Path, bound: float, grid: int) -> None:
    source = open_unplaced(unplaced)
    fitted = fit_region(source, pixels=48, cell_m=15, grid=grid, no_data=bound)
    zoom = fitted.grid
    assert covered(source, zoom, fitted.level or 0) >= 1 - bound - 0.02
    nearest = min(range(1, 8), key=lambda depth: abs(np.log(zoom.region.size_m / grid**depth / 15)))
    assert zoom.depth <= nearest  # less only where the imagery ends
    assert len(fitted.needs) == zoom.depth


def test_depth_ends_where_the_imagery_ends(unplaced: Path) -> None:
    source = open_unplaced(unplaced)
    deep = fit_region(source, pixels=384, cell_m=1.0)
    assert deep.grid.depth == 2
    assert any("depth 4 is too fine" in note and "0.2 m" in note for note in deep.notes)
    assert any("terminal cells are" in warning and "1 m were wanted" in warning for warning in deep.warnings)
    forced = fit_region(source, pixels=384, depth=4)
    assert forced.grid.depth == 4
    assert any("they are enlarged" in warning for warning in forced.warnings)


def test_a_level_that_is_missing_is_said(unplaced: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gap"
    shutil.copytree(unplaced, folder)
    shutil.rmtree(folder / "-1")
    fitted = fit_region(open_unplaced(folder), pixels=64, depth=2)
    assert [need.service for need in fitted.needs] == ["full", "missing"]
    assert any("map level -1, which has no tile" in warning for warning in fitted.warnings)


def test_centre_and_size_can_be_given(unplaced: Path) -> None:
    source = open_unplaced(unplaced)
    centre = LatLon(52.0505, 15.3005)
    fitted = fit_region(source, pixels=64, cell_m=20, centre=centre, size_m=200)
    assert haversine_m(*fitted.grid.region.centre, *centre) < 1e-3
    assert (fitted.grid.region.size_m, fitted.squares) == (200, ())
    around = fit_region(source, pixels=64, cell_m=20, centre=centre, no_data=0.0)
    assert haversine_m(*around.grid.region.centre, *centre) < 1e-3
    assert covered(source, around.grid, 0) > 0.97
    sized = fit_region(source, pixels=64, cell_m=20, size_m=100)
    assert sized.grid.region.size_m == 100
    assert covered(source, sized.grid, 0) == 1.0


def test_a_server_needs_centre_and_size() -> None:
    source = Map.open("https://tiles.example.org/{z}/{x}/{y}.png", preset("dc"))
    with pytest.raises(ConfigError, match="--centre LAT,LON and --size-m"):
        fit_region(source)
    fitted = fit_region(source, centre=LatLon(54.5, 3.0), size_m=2000)
    assert fitted.coverage == (None, None, None)
    with pytest.raises(ConfigError, match="--out FILE"):
        region_path("https://tiles.example.org/{z}/{x}/{y}.png")


@pytest.mark.parametrize(("wrong", "says"), [
    ({"cell_m": 10.0, "depth": 2}, "Give one of them"), ({"cell_m": -1.0}, "--cell-m"), ({"size_m": float("nan")}, "--size-m"),
    ({"pixels": 1}, "--pixels"), ({"no_data": 1.0}, "--max-no-data"), ({"level": 7}, "Levels with tiles: -3, -2, -1, 0"),
])
def test_settings_that_cannot_be(unplaced: Path, wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        fit_region(open_unplaced(unplaced), **wrong)  # type: ignore[arg-type]


def test_no_square_at_all(unplaced: Path) -> None:
    with pytest.raises(TileError, match="--max-no-data"):
        fit_region(open_unplaced(unplaced), centre=LatLon(52.2, 15.3), no_data=0.0)


def test_the_published_region_is_found_again(shared: Path) -> None:
    fitted = fit_region(open_unplaced(shared / "data" / "dc-mini"))
    region, true = fitted.grid.region, preset("dc").region
    assert fitted.grid.depth == 4
    assert abs(region.size_m - true.size_m) < 300
    assert haversine_m(*region.centre, *true.centre) < 200
    assert any("covers 0.5% of the region" in warning for warning in fitted.warnings)  # fine levels are only at photos


def test_white_inside_tiles_is_no_imagery(unplaced: Path, tmp_path: Path) -> None:
    """West of a line all pixels are white, also in the tiles that the line crosses, whichever way tile numbers run."""
    folder = tmp_path / "white"
    shutil.copytree(unplaced, folder)
    source = open_unplaced(folder)
    projection = TileProjection(source.layout)
    border = projection.tile_to_pixel(projection.position_to_tile(*UTM_PLACE, 0))[1] + 30
    for path in (folder / "0").rglob("*.jpg"):
        corner = projection.tile_to_pixel(np.array([int(path.parent.name), int(path.stem)]) + 0.5)[1] - 50
        pixels = np.array(Image.open(path))
        pixels[:, :int(np.clip(border - corner, 0, 100))] = 255
        Image.fromarray(pixels).save(path, quality=95)
    fitted = fit_region(open_unplaced(folder), pixels=64, cell_m=20, no_data=0.0)
    west = fitted.grid.region.centre.lon - np.degrees(fitted.grid.region.size_m / 2 / (6_378_137 * np.cos(np.radians(52.05))))
    line_m = (UTM_PLACE[1] - west) * np.radians(1) * 6_378_137 * np.cos(np.radians(52.05))
    assert -9 < line_m < 1  # the line is 6 m east of the place
    assert 140 < fitted.grid.region.size_m < 180
    assert any("white areas inside them counted" in note for note in fitted.notes)
