"""Web mercator, degrees and regions across 180 degrees: nothing is lost, nothing is white, nothing goes around the earth."""

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "maps"))

from orthophotos import write
from webtiles import WORLD, colours, drawn, square, write_tiles

from justzoomin.errors import ConfigError
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.imagery import MapBuild, MapBuildConfig, open_imagery
from justzoomin.imagery.areas import region_area
from justzoomin.imagery.opentiles import open_mosaic
from justzoomin.imagery.points import convert_bounds, turn
from justzoomin.maps import Map
from justzoomin.posterior import Posterior
from justzoomin.posterior.rasters import weights_from_raster, write_heat_raster
from justzoomin.tiles import fetch as tilefetch
from justzoomin.tiles import web_layout
from package_builders import mbtiles, pmtiles
from tile_http import serving

PLACE, HALF, LEVEL = (-16.8, 180.0), 0.05, 15
AREA = (-16.81, 179.99, -16.79, -179.99)
UTM = "epsg:32760"


@pytest.fixture(autouse=True)
def _quiet(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("JZI_HOME", str(tmp_path_factory.mktemp("home")))
    pace = tilefetch.Pace(sleep=lambda _: None)
    monkeypatch.setattr(tilefetch, "shared_pace", lambda: pace)


def whole(piece, size_m=1500.0, crs=UTM) -> None:
    """A square across the antimeridian is there, and every colour is in its place."""
    pixels, mask, lat, lon = drawn(piece, PLACE, size_m, 300, crs)
    assert mask.all() and np.abs(pixels - colours(lat, lon, PLACE, HALF)).max() <= 3.0


def raster(path: Path, crs: str, west: float, pixel: float, columns: int, rows: int = 400) -> Path:
    """A file whose west edge is given, its middle row at the place."""
    to_crs = Transformer.from_crs("epsg:4326", crs, always_xy=True)
    _, y = to_crs.transform(PLACE[1], PLACE[0])
    transform = rasterio.Affine(pixel, 0, west, 0, -pixel, y + rows // 2 * pixel)
    x, y = np.meshgrid(west + (np.arange(columns) + 0.5) * pixel, transform.f - (np.arange(rows) + 0.5) * pixel)
    lon, lat = to_crs.transform(x, y, direction="INVERSE")
    return write(path, colours(lat, lon, PLACE, HALF).round().astype(np.uint8), crs, transform)


def test_how_far_it_is_around_the_earth():
    assert turn("epsg:4326") == pytest.approx(360.0) and turn("epsg:3857") == pytest.approx(WORLD)
    assert turn("epsg:3395") == pytest.approx(WORLD) and turn("+proj=merc +lon_0=150 +units=us-ft") == pytest.approx(
        WORLD * 3937 / 1200)
    assert turn("epsg:32760") is None and turn("epsg:3035") is None and turn("epsg:3031") is None
    assert turn("epsg:2193") is None and turn("+proj=moll") is None
    west, _, east, _ = convert_bounds("epsg:4326", "epsg:3857", (179.0, -10.0, 181.0, 10.0))
    assert (west, east) == pytest.approx((179 / 360 * WORLD, 181 / 360 * WORLD))
    assert convert_bounds("epsg:4326", "epsg:3857", (-180.0, -10.0, 180.0, 10.0))[::2] == pytest.approx((-WORLD / 2, WORLD / 2))


@pytest.mark.parametrize("kind", ["mbtiles", "pmtiles", "server"])
def test_tiles_on_both_sides(kind, tmp_path):
    folder = write_tiles(tmp_path / "tiles", LEVEL, square(PLACE, LEVEL, 2), PLACE, HALF)
    if kind == "server":
        with serving(folder) as http:
            [piece] = open_mosaic(http.address + "/{z}/{x}/{y}.png", area=AREA, max_zoom=LEVEL, attribution="Town")
            whole(piece)
            assert len(http.log) <= piece.count_tiles(LEVEL) <= 16
        return
    path = (mbtiles if kind == "mbtiles" else pmtiles)(folder, tmp_path / f"town.{kind}")
    [piece] = open_mosaic(path)
    west, east = piece.area[1], piece.area[3]
    assert west > 179.9 and east < -179.9 and east + 360 - west == pytest.approx(5 * 360 / 2**LEVEL)
    whole(piece)
    whole(piece, crs="epsg:3857")
    whole(open_mosaic(path, area=AREA)[0])
    build = MapBuild([path], tmp_path / "map", MapBuildConfig(tile_px=64))
    assert build.plan.crs in {"epsg:32760", "epsg:32701"} and build.plan.pixels < 5e6
    assert abs(abs(build.plan.centre.lon) - 180) < 0.02


@pytest.mark.parametrize(("crs", "west", "pixel"), [("epsg:3857", WORLD / 2, 2.0), ("epsg:4326", 180.0, 2e-5),
                                                    ("epsg:3395", -WORLD / 2, 2.0)])
@pytest.mark.parametrize("files", ["one", "two", "beyond"])
def test_rasters(crs, west, pixel, files, tmp_path):
    if files == "two":
        sides = (abs(west) - 500 * pixel, -abs(west))
        sources = [raster(tmp_path / f"{k}.tif", crs, side, pixel, 500) for k, side in enumerate(sides)]
    else:
        sources = [raster(tmp_path / "a.tif", crs, west - (600 if files == "one" else 400) * pixel, pixel, 1000)]
    build = MapBuild(sources, tmp_path / "map", MapBuildConfig(tile_px=64, gsd_m=2.0))
    assert build.plan.crs in {"epsg:32760", "epsg:32701"} and build.plan.pixels < 5e6
    pieces = build.imagery
    pixels, mask, lat, lon = drawn(pieces[0], PLACE, 700.0, 150, UTM)
    for piece in pieces[1:]:
        more, there, _, _ = drawn(piece, PLACE, 700.0, 150, UTM)
        np.copyto(pixels, more, where=(there & ~mask)[..., None])
        mask = mask | there
    assert mask.all() and np.abs(pixels - colours(lat, lon, PLACE, HALF)).max() <= 3.0
    cut = MapBuild(sources, tmp_path / "cut", MapBuildConfig(area=(-16.801, 179.999, -16.799, -179.999), gsd_m=2.0))
    assert cut.plan.bounds[2] - cut.plan.bounds[0] < 300
    with pytest.raises(ConfigError, match=r"ends at a meridian that goes through the map.*--crs EPSG:32(760|701)"):
        MapBuild(sources, tmp_path / "map2", MapBuildConfig(crs="epsg:3857", gsd_m=2.0))


@pytest.mark.parametrize("pixel", [0.01, 0.007])  # the second does not divide the turn: half a pixel is missing at the seam
def test_a_raster_of_the_world(pixel, tmp_path):
    """Coarse, all around the earth: the picture continues across its edge."""
    columns = int(360 / pixel)
    transform = rasterio.Affine(pixel, 0, -180.0, 0, -pixel, PLACE[0] + 40 * pixel)
    lon, lat = np.meshgrid(-180 + (np.arange(columns) + 0.5) * pixel, transform.f - (np.arange(80) + 0.5) * pixel)
    path = write(tmp_path / "world.tif", colours(lat, lon, PLACE, 0.5).round().astype(np.uint8), "epsg:4326", transform,
                 compress="deflate")
    piece, = open_imagery(path)
    pixels, mask, lat, lon = drawn(piece, PLACE, 20 * pixel * 111_000, 60, UTM)
    assert mask.mean() > 0.94 and np.abs(pixels - colours(lat, lon, PLACE, 0.5))[mask].max() <= 4.0
    build = MapBuild([path], tmp_path / "map", MapBuildConfig(area=(-16.9, 179.9, -16.7, -179.9), tile_px=64))
    assert build.plan.crs in {"epsg:32760", "epsg:32701"} and build.plan.bounds[2] - build.plan.bounds[0] < 25_000


def test_a_region_across(tmp_path):
    region = Region(PLACE[0], PLACE[1] - 360, (-400.0, 600.0), (-500.0, 500.0))
    south, west, north, east = region_area(region)
    assert west == pytest.approx(180 - 400 / 106_600, abs=1e-4) and east == pytest.approx(-180 + 600 / 106_600, abs=1e-4)
    assert (north - south) * 111_319 == pytest.approx(1000, rel=0.001)
    folder = write_tiles(tmp_path / "tiles", LEVEL, square(PLACE, LEVEL, 2), PLACE, HALF)
    assert open_mosaic(mbtiles(folder, tmp_path / "town.mbtiles"), region=region)[0].area == (south, west, north, east)


@pytest.mark.parametrize("how", ["folder", "package", "built"])
def test_views(how, tmp_path):
    """Views whose square, or whose scale's measure, reaches across show both sides at their true size."""
    folder = write_tiles(tmp_path / "tiles", LEVEL, square(PLACE, LEVEL, 2), PLACE, HALF)
    grid = ZoomGrid(Region(PLACE[0], -180.0, (-400.0, 400.0), (-400.0, 400.0)), 2, 1)
    if how == "folder":
        web_layout(LEVEL, LEVEL).save(folder / "layout.yaml")
        root = folder
    else:
        root = mbtiles(folder, tmp_path / "town.mbtiles")
    if how == "built":
        root = MapBuild([root], tmp_path / "map", MapBuildConfig(tile_px=64, quality=95)).run()
    opened = Map.open(root, grid)
    for lon in (180.0, -180.0, 179.99999, -179.99999, 179.998, -179.998):
        view = opened.view(PLACE[0], lon, 800.0, 100)
        assert view.no_data == 0.0
        east = (np.arange(100) - 50) * 8.0 / (111_319.49 * np.cos(np.radians(PLACE[0])))
        red = colours(np.full(100, PLACE[0]), lon + east, PLACE, HALF)[:, 0]
        assert np.abs(view.pixels[50, :, 0] - red).max() < 3.0


@pytest.mark.parametrize("crs", ["epsg:4326", "epsg:3857", UTM])
def test_heat_maps_and_priors(crs, tmp_path):
    """A posterior across the antimeridian is written as fine as any other, and read back as weights of the same cells."""
    grid = ZoomGrid(Region(PLACE[0], 179.9999, (-160.0, 160.0), (-160.0, 160.0)), 4, 2)
    found = Posterior.of(grid, np.random.default_rng(0).normal(0, 2, 256))
    path = write_heat_raster(found, crs, tmp_path / "heat.tif")
    with rasterio.open(path) as file:
        assert file.width < 200 and file.height < 200
    weights = weights_from_raster(path, grid).values
    assert weights / weights.sum() == pytest.approx(found.probs, abs=0.02 * found.probs.max())
