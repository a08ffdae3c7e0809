"""Tiles of web maps: they show what a view of the same place shows, exactly where it is, without seams."""

import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from justzoomin.errors import GeometryError, TileError
from justzoomin.geometry import Region, ZoomGrid, to_local
from justzoomin.maps import (
    TILE_FORMATS,
    Map,
    WebTiles,
    encode_picture,
    media_type_of,
    metres_per_pixel,
    over_tile,
    position_of,
    world_of,
)
from justzoomin.maps import web_mercator as mercator
from justzoomin.maps.web_tiles import Picture
from justzoomin.tiles import TileLayout, TileProjection
from map_builders import UTM, UTM_PLACE, build


@pytest.fixture(scope="module")
def utm(utm_map):
    return Map.open(utm_map)


def tile_at(lat, lon, z):
    return tuple(int(v * 2**z) for v in world_of(lat, lon))


def tile_of(web, z):
    """Number of the tile in the middle of a map's region."""
    return tile_at(*web.source.grid.region.centre, z)


def view_of(source, z, x, y):
    """The view of a tile's place; it is moved by the half pixels by which a view's pixels differ from those of GIS."""
    lat, lon = (float(v) for v in position_of((x + 128.5 / 256) / 2**z, (y + 128.5 / 256) / 2**z))
    size = 256 * metres_per_pixel(z, lat)
    level = source.view(lat, lon, size, 256).level
    native = source.projection.tile_to_pixel(source.projection.position_to_tile(lat, lon, level)) - 0.5
    lat, lon = source.projection.to_latlon(source.projection.tile_to_crs(source.projection.pixel_to_tile(native), level))
    return source.view(float(lat), float(lon), size, 256)


def over_white(picture):
    share = 1.0 if picture.alpha is None else picture.alpha[..., None] / 255.0
    return picture.rgb * share + 255.0 * (1.0 - share)


def test_a_tile_shows_what_a_view_shows(utm):
    web = WebTiles(utm)
    assert web.max_zoom - web.min_zoom >= 3
    for z in range(web.min_zoom, web.max_zoom + 1):
        x, y = tile_of(web, z)
        picture, view = web.draw(z, x, y), view_of(utm, z, x, y)
        # A view has one scale for both axes, which is a thousandth off at this latitude; in its middle that is not seen.
        middle = np.s_[96:160, 96:160]
        off = np.abs(over_white(picture) - view.pixels)
        assert off[middle].mean() < 1.5 and off.mean() < 4.0, (z, off[middle].mean(), off.mean())
        assert np.abs(np.roll(over_white(picture), 1, 1) - view.pixels)[middle].mean() > 3.0  # a shift would be seen


def test_pixels_are_where_they_belong(tmp_path):
    """Colours that tell the place: red grows east and green south, 200 native pixels of 1 m."""
    layout = TileLayout(crs="epsg:32633", tile_shape_px=(256, 256), tile_shape_crs=(256.0, 256.0), min_zoom=0, max_zoom=0,
                        origin_crs=(500_000.0, 5.766e6), tile_axes=("east", "north"), path="{zoom}/{x}/{y}.png")
    red, green = np.meshgrid(np.arange(256), np.arange(256))
    (tmp_path / "0" / "0").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "0" / "0" / "0.png"), np.stack([0 * red, green, red], -1).astype(np.uint8))
    layout.save(tmp_path / "layout.yaml")
    projection = TileProjection(layout)
    lat, lon = projection.to_latlon(np.array([500_128.0, 5.766e6 + 128.0]))
    source = Map.open(tmp_path, ZoomGrid(Region(float(lat), float(lon), (-120.0, 120.0), (-120.0, 120.0)), 4, 2))
    web = WebTiles(source)
    for z in range(web.min_zoom + 1, web.max_zoom + 1):
        x, y = tile_of(web, z)
        picture = web.draw(z, x, y)
        native = [values - 0.5 for values in over_tile(lambda a, b: tuple(np.moveaxis(projection.tile_to_pixel(
            projection.position_to_tile(a, b, 0)), -1, 0)), z, x, y, 256)]
        native[0] += 256  # tile y grows north: the only tile has the rows from -256
        whole = (native[0] > 8) & (native[0] < 247) & (native[1] > 8) & (native[1] < 247)
        for channel, values in ((1, native[0]), (0, native[1])):
            off = (picture.rgb[..., channel] - values)[whole]
            assert abs(off.mean()) < 0.05 and np.abs(off).max() < 1.0, (z, channel, off.mean())


def test_neighbours_join_without_a_seam(utm):
    web = WebTiles(utm)
    for z in range(web.min_zoom, web.max_zoom):
        x, y = tile_of(web, z)
        large = web.draw(z, x, y, 512)
        small = [[web.draw(z + 1, 2 * x + column, 2 * y + row) for column in (0, 1)] for row in (0, 1)]
        if any(one is None for pair in small for one in pair):
            continue
        joined = np.concatenate([np.concatenate([over_white(one) for one in pair], 1) for pair in small])
        off = np.abs(joined - over_white(large))
        assert off.max() <= 8 and off.mean() < 0.05, (z, off.max(), off.mean())
        assert np.abs(off[254:258]).mean() < 0.1 and np.abs(off[:, 254:258]).mean() < 0.1


def test_border_is_transparent_and_looks_like_a_view_over_white(utm):
    web = WebTiles(utm)
    z = web.min_zoom
    x, y = tile_of(web, z)
    around = [web.draw(z, x + column, y + row) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    partly = [one for one in around if one is not None and one.alpha is not None]
    assert partly and any(one is None for one in around)
    for one in partly:
        assert one.alpha.min() == 0 and one.alpha.max() == 255
        assert (one.rgb[one.alpha == 0] == 0).all()
    picture, view = web.draw(z, x, y), view_of(utm, z, x, y)
    clear = picture.alpha == 0
    assert (view.pixels[clear].min(0) > 230).all() and np.abs(clear.mean() - view.no_data) < 0.01


def test_outside_is_empty_and_wrong_numbers_are_errors(utm):
    web = WebTiles(utm)
    x, y = tile_of(web, web.min_zoom)
    assert web.draw(web.min_zoom, x + 5, y) is None
    assert web.draw(web.max_zoom + 1, *tile_of(web, web.max_zoom + 1)) is None
    assert web.draw(web.min_zoom - 1, *tile_of(web, web.min_zoom - 1)) is None
    for z, x, y in ((31, 0, 0), (-1, 0, 0), (3, 8, 0), (3, 0, -1)):
        with pytest.raises(GeometryError):
            web.draw(z, x, y)


def test_zoom_levels_are_those_of_region_and_finest_level(utm):
    web, lat = WebTiles(utm), UTM_PLACE[0]
    assert 128 <= utm.grid.region.size_m / metres_per_pixel(web.min_zoom, lat) <= 256
    finest = utm.finest_metres_per_pixel(utm.grid)
    assert 0.45 * finest < metres_per_pixel(web.max_zoom, lat) < 1.1 * finest
    west, south, east, north = web.bounds
    for lat, lon in utm.grid.cell(()).corners:
        assert south <= lat <= north and west <= lon <= east


def test_a_web_map_is_passed_through(xyz_map):
    source = Map.open(xyz_map)
    web = WebTiles(source)
    for z in (16, 17, 18):
        x, y = tile_of(web, z)
        assert np.array_equal(web.draw(z, x, y).rgb, source.tile(z, x, y))
        assert web.passed(z, x, y) == (xyz_map / str(z) / str(x) / f"{y}.png").read_bytes()
    x, y = tile_of(web, 17)
    large = web.draw(17, x, y, 512)  # of another size, so it is drawn: from the pixels of the next level
    assert web.passed(17, x, y, 512) is None
    own = np.concatenate([np.concatenate([source.tile(18, 2 * x + i, 2 * y + j) for i in (0, 1)], 1) for j in (0, 1)])
    assert np.abs(large.rgb.astype(int) - own).max() <= 1


@pytest.mark.parametrize(("crs", "lat", "lon", "origin"), [
    ("epsg:3857", 10.0, 180.0, (20037508.342789244 - 3000.0, 1_110_000.0)),
    ("epsg:32660", 10.0, 179.9995, (830_000.0, 1.105e6)),
    ("epsg:32633", 83.9, 15.0, (500_000.0, 9.31e6)), ("epsg:32633", -79.9, 15.0, (500_000.0, -8.9e6)),
    ("epsg:32633", 87.5, 15.0, (500_000.0, 9.7e6)), ("epsg:3857", 84.9, 0.0, (0.0, 19_800_000.0))])
def test_antimeridian_and_polar_latitudes(tmp_path, crs, lat, lon, origin):
    layout = TileLayout(crs=crs, tile_shape_px=(64, 64), tile_shape_crs=(64.0, 64.0), origin_crs=origin,
                        tile_axes=("east", "north"), min_zoom=-1, max_zoom=0)
    source = Map.open(build(tmp_path / "map", layout, lat, lon, radius_m=20.0))
    web = WebTiles(source)
    west, south, east, north = web.bounds
    assert -180 <= west < east <= 180 and -85.06 <= south <= north <= 85.06
    drawn = 0
    for z in range(web.min_zoom, web.max_zoom + 1):
        x, y = tile_at(min(lat, 85.0), min(lon, 179.999999), z)
        for column in (x - 1, x, x + 1):
            drawn += web.draw(z, column % 2**z, max(y, 0)) is not None
    assert (drawn > 0) == (lat < 85)


def test_threads_draw_the_same_tiles(utm_map):
    web = WebTiles(Map.open(utm_map))
    x, y = tile_of(web, 18)
    numbers = [(18, x + i, y + j) for i in range(-2, 3) for j in range(-2, 3)]
    alone = [web.draw(*number) for number in numbers]
    web = WebTiles(Map.open(utm_map))
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda number: web.draw(*number), numbers * 2))
    for one, other in zip(alone * 2, together, strict=True):
        assert (one is None) == (other is None)
        assert one is None or (np.array_equal(one.rgb, other.rgb) and np.array_equal(one.alpha, other.alpha))


def test_a_broken_tile_is_an_error_that_names_it(small):
    source = Map.open(small)
    web = WebTiles(source)
    for path in (small / "0").rglob("*.jpg"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TileError, match=r"\.jpg"):
        for z in range(web.min_zoom, web.max_zoom + 1):
            web.draw(z, *tile_of(web, z))


def test_polynomials_give_the_values_of_the_function(monkeypatch):
    projection = TileProjection(UTM)

    def function(lat, lon):
        crs = projection.to_crs(lat, lon)
        return crs[:, 0], to_local(*UTM_PLACE, lat, lon)[1]

    for z in (7, 11, 17):
        smooth = over_tile(function, z, *tile_at(*UTM_PLACE, z), 256)
        with monkeypatch.context() as patch:
            patch.setattr(mercator, "_SMOOTH_ZOOM", 99)
            exact = over_tile(function, z, *tile_at(*UTM_PLACE, z), 256)
        for ours, theirs in zip(smooth, exact, strict=True):
            assert np.abs(ours - theirs).max() < 1e-3 * metres_per_pixel(z, UTM_PLACE[0])
    # no value at a part of the tile: computed at each pixel
    holes, _ = over_tile(lambda lat, lon: (np.where(lon > 15.3, np.inf, lon), lat), 12, *tile_at(*UTM_PLACE, 12), 64)
    assert 0 < np.isinf(holes).mean() < 1


def test_formats_hold_the_picture():
    rng = np.random.default_rng(0)
    rgb = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
    alpha = np.full((256, 256), 255, np.uint8)
    alpha[:, :100] = 0
    for picture in (Picture(rgb), Picture(rgb, alpha)):
        for form in TILE_FORMATS:
            file = encode_picture(picture, form)
            assert media_type_of(file.content) == file.media_type
            image = np.asarray(Image.open(io.BytesIO(file.content)).convert("RGBA"))
            solid = slice(104, None)
            assert np.abs(image[:, solid, :3].astype(int) - rgb[:, solid]).mean() < 4
            if picture.alpha is not None and form == "jpg":
                assert (image[:, :90, :3] > 240).all()
            else:
                assert np.array_equal(image[..., 3], np.full((256, 256), 255) if picture.alpha is None else alpha)
    assert media_type_of(b"") is None and media_type_of(b"GIF89a") is None
