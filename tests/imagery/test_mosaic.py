"""Tiles as imagery: copied where they fit, resampled where not, white nowhere that is not asked."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "maps"))

from PIL import Image

from fakes import encoded
from justzoomin.errors import ConfigError, GeometryError, LayoutError, TileError
from justzoomin.geometry import Region, from_local
from justzoomin.imagery.areas import region_area
from justzoomin.imagery.mosaic import TileMosaic
from justzoomin.imagery.opentiles import open_mosaic
from justzoomin.tiles import FolderSource, TileProjection, TileServer, open_package, web_layout
from justzoomin.tiles import fetch as tilefetch
from package_builders import mbtiles
from tile_http import serving

pytest.importorskip("rasterio")

PLACE = (48.137, 11.575)
LEVEL = 18
EDGE = 40075016.685578488 / 2**LEVEL / 256
SIDE = 4  # tiles


@pytest.fixture(autouse=True)
def _quiet(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("JZI_HOME", str(tmp_path_factory.mktemp("home")))
    pace = tilefetch.Pace(sleep=lambda _: None)
    monkeypatch.setattr(tilefetch, "shared_pace", lambda: pace)


@pytest.fixture(scope="module")
def corner():
    """The tile in the north-west of the picture."""
    return np.floor(TileProjection(web_layout(LEVEL, LEVEL)).position_to_tile(*PLACE, LEVEL)).astype(int) - 1


@pytest.fixture(scope="module")
def picture():
    """A smooth picture in which red grows east and green grows south."""
    n = SIDE * 256
    ramp = np.linspace(20, 235, n)
    blue = 128 + 90 * np.sin(np.arange(n) / 40.0)
    return np.stack(np.broadcast_arrays(ramp[None, :], ramp[:, None], blue[None, :]), -1).round().astype(np.uint8)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory, corner, picture):
    """The picture as tiles of two levels, the coarser ones averaged."""
    folder = tmp_path_factory.mktemp("mosaic")
    for level in (LEVEL, LEVEL - 1):
        k = LEVEL - level
        image = np.asarray(Image.fromarray(picture).resize((picture.shape[1] >> k,) * 2, Image.Resampling.BOX))
        low = corner // 2**k
        offset = (corner - low * 2**k) * 256 >> k
        canvas = np.zeros((5 * 256, 5 * 256, 4), np.uint8)
        canvas[offset[1]:offset[1] + len(image), offset[0]:offset[0] + len(image), :3] = image
        canvas[offset[1]:offset[1] + len(image), offset[0]:offset[0] + len(image), 3] = 255
        for row in range(5):
            for column in range(5):
                part = canvas[row * 256:(row + 1) * 256, column * 256:(column + 1) * 256]
                if part[..., 3].any():
                    path = folder / str(level) / str(low[0] + column) / f"{low[1] + row}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(encoded(part if (part[..., 3] < 255).any() else part[..., :3].copy(), "PNG"))
    return folder


@pytest.fixture(scope="module")
def origin(corner):
    """East and north of the picture's north-western corner."""
    half = 40075016.685578488 / 2
    return corner[0] * 256 * EDGE - half, half - corner[1] * 256 * EDGE


@pytest.fixture
def mosaic(tiles):
    layout = web_layout(LEVEL - 1, LEVEL)
    return TileMosaic("tiles", FolderSource(tiles, layout), layout, (48.12, 11.56, 48.15, 11.59), "Town")


def raster(origin, left, top, width, height, step=1.0):
    """Bounds of a raster that begins at a pixel of the picture; `step` picture pixels a pixel."""
    west, north = origin[0] + left * EDGE, origin[1] - top * EDGE
    return west, north - height * step * EDGE, west + width * step * EDGE, north


def test_a_raster_on_the_tiles_own_pixels_is_a_copy(mosaic, origin, picture):
    pixels, mask = mosaic.read("EPSG:3857", raster(origin, 100, 300, 400, 350), 400, 350)
    assert np.array_equal(pixels, picture[300:650, 100:500]) and mask.all()
    assert pixels.dtype == np.uint8 and mask.dtype == np.bool_


def test_the_coarser_level_is_taken_where_it_is_fine_enough(mosaic, origin, picture):
    pixels, mask = mosaic.read("epsg:3857", raster(origin, 0, 0, 512, 512, 2.0), 512, 512)
    assert mask.all()
    assert np.abs(pixels - np.asarray(Image.fromarray(picture).resize((512, 512), Image.Resampling.BOX)).astype(int)).max() <= 1
    asked = []
    real = mosaic.source.read
    mosaic.source.read = lambda tile: asked.append(tile.level) or real(tile)
    for step, level in ((2.0, LEVEL - 1), (2.5, LEVEL - 1), (1.9, LEVEL), (1.0, LEVEL), (0.3, LEVEL)):
        asked.clear()
        mosaic.read("epsg:3857", raster(origin, 100.3, 100.7, 64, 64, step), 64, 64)
        assert set(asked) == {level}


def test_beyond_the_tiles_there_is_no_data(mosaic, origin, picture):
    pixels, mask = mosaic.read("epsg:3857", raster(origin, -50, -30, 100, 100), 100, 100)
    assert not mask[:30].any() and not mask[:, :50].any() and mask[30:, 50:].all()
    assert np.array_equal(pixels[30:, 50:], picture[:70, :50]) and not pixels[~mask].any()
    pixels, mask = mosaic.read("epsg:3857", (0.0, 0.0, 100.0, 100.0), 20, 20)
    assert not mask.any() and not pixels.any()
    pixels, mask = mosaic.read("epsg:32632", (3e5, 5.2e6, 3.001e5, 5.2001e6), 16, 16)
    assert not mask.any()


def test_another_projection_shows_the_same_places(mosaic, origin, picture):
    from pyproj import Transformer

    to_utm = Transformer.from_crs("epsg:3857", "epsg:32632", always_xy=True)
    x, y = to_utm.transform(origin[0] + 512 * EDGE, origin[1] - 512 * EDGE)
    scale = np.cos(np.radians(PLACE[0])) * EDGE
    for factor in (0.7, 1.0, 1.6, 2.6):
        n, step = 200, scale * factor
        bounds = (x - n / 2 * step, y - n / 2 * step, x + n / 2 * step, y + n / 2 * step)
        pixels, mask = mosaic.read("epsg:32632", bounds, n, n)
        assert mask.all()
        rows, columns = np.mgrid[10:n:30, 10:n:30]
        east, north = to_utm.transform(bounds[0] + (columns + 0.5) * step, bounds[3] - (rows + 0.5) * step, direction="INVERSE")
        red, green = (20 + 215 / 1023 * ((east - origin[0]) / EDGE - 0.5), 20 + 215 / 1023 * ((origin[1] - north) / EDGE - 0.5))
        found = pixels[rows, columns].astype(float)
        # the ramps change by 0.21 a pixel: two grey levels would be ten pixels
        assert np.abs(found[..., 0] - red).max() < 1.2 and np.abs(found[..., 1] - green).max() < 1.2


def test_what_it_says_of_itself(mosaic):
    assert mosaic.name == "tiles" and mosaic.crs == "epsg:3857" and mosaic.attribution == "Town"
    assert mosaic.metres_per_pixel() == pytest.approx(EDGE * np.cos(np.radians(48.135)), rel=5e-3)
    assert mosaic.bounds("epsg:4326") == pytest.approx((11.56, 48.12, 11.59, 48.15))
    assert mosaic.level_for(mosaic.metres_per_pixel() * 2.01) == LEVEL - 1
    assert mosaic.count_tiles(LEVEL) == pytest.approx(4 * mosaic.count_tiles(LEVEL - 1), rel=0.2)
    copy = pickle.loads(pickle.dumps(mosaic))
    assert copy.count_tiles(LEVEL) == mosaic.count_tiles(LEVEL)


def test_too_much_for_one_raster_is_refused(mosaic, origin):
    mosaic.area = (47.0, 10.0, 49.0, 13.0)
    with pytest.raises(TileError, match=r"tiles: a raster of 8 x 8 px would need \d+ x \d+ px of level 17"):
        mosaic.read("epsg:3857", raster(origin, -20000, -20000, 8, 8, 5000.0), 8, 8)


def test_a_package_knows_its_own_area(tiles, tmp_path, origin, picture):
    [piece] = open_mosaic(mbtiles(tiles, tmp_path / "town.mbtiles"))
    assert piece.attribution == "© Town of Nowhere" and piece.name.endswith("town.mbtiles")
    west, south, east, north = piece.bounds("epsg:3857")
    assert (west, north) == pytest.approx(origin, abs=0.01)
    assert (east - west, north - south) == pytest.approx((SIDE * 256 * EDGE,) * 2, abs=0.02)
    pixels, mask = piece.read("epsg:3857", raster(origin, 0, 0, 700, 700), 700, 700)
    assert np.array_equal(pixels, picture[:700, :700]) and mask.all()
    [coarse] = open_mosaic(tmp_path / "town.mbtiles", max_zoom=LEVEL - 1, attribution="Me")
    assert coarse.metres_per_pixel() == pytest.approx(2 * piece.metres_per_pixel()) and coarse.attribution == "Me"
    with pytest.raises(TileError, match="no level up to 3"):
        open_mosaic(tmp_path / "town.mbtiles", max_zoom=3)[0].metres_per_pixel()
    with pytest.raises(LayoutError, match="no such file"):
        open_mosaic(tmp_path / "none.mbtiles")
    assert open_package(tmp_path / "town.mbtiles").levels() == (LEVEL - 1, LEVEL)


AREA = (48.136, 11.573, 48.138, 11.577)


def test_a_server_is_the_same_picture_and_fetches_only_the_area(tiles, origin, picture):
    with serving(tiles) as http:
        [piece] = open_mosaic(http.address + "/{z}/{x}/{y}.png", area=AREA, max_zoom=LEVEL, attribution="Town")
        assert http.log == []
        pixels, mask = piece.read("epsg:3857", raster(origin, 0, 0, 1024, 1024), 1024, 1024)
        assert 0 < mask.sum() < mask.size and np.array_equal(pixels[mask], picture[mask])
        assert len(http.log) == piece.count_tiles(LEVEL) < SIDE * SIDE


def test_a_server_needs_an_area_an_attribution_and_modesty():
    url = "https://example.org/{z}/{x}/{y}.png?key=s3cret"
    with pytest.raises(ConfigError, match=r"the wanted area is not given.*--area"):
        open_mosaic(url, attribution="Town")
    with pytest.raises(ConfigError, match=r"\*\*\*: the attribution that .* is not given.*--attribution"):
        open_mosaic(url, area=AREA)
    with pytest.raises(ConfigError, match=r"the area has \d+ tiles of level 19, but 50000 are allowed.*--max-tiles"):
        open_mosaic(url, area=(48.0, 11.0, 49.0, 12.0), attribution="Town")
    assert open_mosaic(url, area=(48.0, 11.0, 49.0, 12.0), attribution="Town", gsd_m=20.0)
    assert open_mosaic(url, area=(48.0, 11.0, 49.0, 12.0), attribution="Town", max_zoom=14)
    assert open_mosaic(TileServer(url, "Town", max_tiles=10**7), area=(48.0, 11.0, 49.0, 12.0))
    with pytest.raises(GeometryError, match="south,west,north,east"):
        open_mosaic(url, area=(49.0, 11.0, 48.0, 12.0), attribution="Town")


def test_the_area_of_a_region_holds_its_corners():
    region = Region(48.1, 11.5, (-500.0, 1500.0), (0.0, 2000.0))
    south, west, north, east = region_area(region)
    lats, lons = from_local(48.1, 11.5, np.array([-500.0, 1500.0, 1500.0, -500.0]), np.array([0.0, 0.0, 2000.0, 2000.0]))
    assert south <= lats.min() and west <= lons.min() and lats.max() <= north and lons.max() <= east
    assert (north - south) * 111_194 == pytest.approx(2000, rel=0.01)


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.6])
def test_another_projection_ends_where_the_area_ends(tiles, origin, factor):
    """Outside the area there is no data instead of black, even if every tile that is read is complete."""
    from pyproj import Transformer

    layout = web_layout(LEVEL - 1, LEVEL)
    corners = [(origin[0] + a * EDGE, origin[1] - b * EDGE) for a, b in ((300, 700), (700, 300))]
    (west, east), (south, north) = Transformer.from_crs("epsg:3857", "epsg:4326", always_xy=True).transform(
        *zip(*corners, strict=True))
    inside = TileMosaic("tiles", FolderSource(tiles, layout), layout, (south, west, north, east), "Town")
    step = np.cos(np.radians(PLACE[0])) * EDGE * factor
    n = round(600 / factor)
    x, y = Transformer.from_crs("epsg:3857", "epsg:32632", always_xy=True).transform(origin[0] + 500 * EDGE,
                                                                                    origin[1] - 500 * EDGE)
    bounds = (x - n / 2 * step, y - n / 2 * step, x + n / 2 * step, y + n / 2 * step)
    pixels, mask = inside.read("epsg:32632", bounds, n, n)
    columns, rows = np.meshgrid(bounds[0] + (np.arange(n) + 0.5) * step, bounds[3] - (np.arange(n) + 0.5) * step)
    lon, lat = Transformer.from_crs("epsg:32632", "epsg:4326", always_xy=True).transform(columns, rows)
    expected = (lon > west) & (lon < east) & (lat > south) & (lat < north)
    assert 0.3 < expected.mean() < 0.5
    assert (mask != expected).mean() < 4.0 / n  # a pixel along the border
    assert pixels[mask].min() >= 18  # the picture's darkest is 20
