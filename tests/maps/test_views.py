"""What a view promises: its square, its share of no data, its errors."""

import pickle

import numpy as np
import pytest
import simplejpeg

from justzoomin.errors import GeometryError, JustZoomInError, LayoutError, TileError
from justzoomin.geometry import haversine_m, preset
from justzoomin.maps import Map, Square
from map_builders import UTM_PLACE


def all_views(tile_map):
    return [tile_map.view(*UTM_PLACE, size, 64, bearing).pixels for size in (15.0, 60.0) for bearing in (0.0, 33.0)]


def test_shards_and_folder_give_the_same_pixels(small, repository):
    folder, shards = Map.open(small), Map.open(repository)
    assert shards.info().source == "shards" and folder.info().source == "folder"
    for a, b in zip(all_views(folder), all_views(shards), strict=True):
        assert np.array_equal(a, b)
    assert folder.fingerprint() == shards.fingerprint()
    assert folder.levels() == shards.levels() and set(folder.levels()) == {-1, 0}


def test_every_way_to_name_a_map(repository, small, tmp_path):
    same = {Map.open(p).fingerprint() for p in
            (repository, repository / "satellite", repository / "satellite" / "layout.yaml", small, small.parent)}
    assert len(same) == 1
    with pytest.raises(LayoutError, match=r"layout\.yaml"):
        Map.open(tmp_path / "repository" / "archives")
    with pytest.raises(LayoutError, match="no such folder"):
        Map.open(tmp_path / "nowhere")


def test_real_shards_need_no_region_file(mini, extracted):
    shards, folder = Map.open(mini), Map.open(extracted)
    assert shards.grid == preset("dc")
    view = shards.view(38.890329, -77.025813, 625, 96)
    assert np.array_equal(view.pixels, folder.view(38.890329, -77.025813, 625, 96).pixels)
    levels = [shards.view(38.890329, -77.025813, size, 384).level for size in (10_000, 2_500, 625, 156.25)]
    assert levels == [-7, -5, -3, -1]


def test_other_layouts_need_a_region(small):
    (small / "region.yaml").unlink()
    with pytest.raises(LayoutError, match="--region"):
        Map.open(small)
    assert Map.open(small, preset("dc")).grid == preset("dc")


def test_maps_travel(repository):
    tile_map = Map.open(repository)
    before = all_views(tile_map)
    copy = pickle.loads(pickle.dumps(tile_map))
    for a, b in zip(before, all_views(copy), strict=True):
        assert np.array_equal(a, b)


def test_forked_workers_read_the_right_tiles(repository):
    import multiprocessing as mp

    tile_map = Map.open(repository)
    tile_map.view(*UTM_PLACE, 60.0, 64)  # descriptors are open before the fork
    tile_map.cache.__setstate__(tile_map.cache.__getstate__())
    expected = [v.sum() for v in all_views(Map.open(repository))]
    with mp.get_context("fork").Pool(2) as pool:
        sums = pool.map(_sum_views, [tile_map] * 4)
    assert all(s == expected for s in sums)


def _sum_views(tile_map):
    return [v.sum() for v in all_views(tile_map)]


def test_no_data_is_zero_inside_one_outside_and_grows_between(small):
    tile_map = Map.open(small)
    shares = [tile_map.view(UTM_PLACE[0] + shift, UTM_PLACE[1], 40.0, 64).no_data for shift in np.linspace(0, 2e-3, 21)]
    assert shares[0] == 0.0 and shares[-1] == 1.0
    assert shares == sorted(shares) and any(0.0 < s < 1.0 for s in shares)
    outside = tile_map.view(UTM_PLACE[0] + 0.1, UTM_PLACE[1], 40.0, 64)
    assert outside.no_data == 1.0 and (outside.pixels == 255).all()


@pytest.mark.parametrize("bearing", [0.0, 20.0, 45.0])
def test_no_data_is_the_share_of_the_square_off_the_tiles(small, bearing):
    """One missing tile of known ground size, wholly inside the view."""
    tile_map = Map.open(small)
    view = tile_map.view(*UTM_PLACE, 60.0, 96, bearing)
    assert view.no_data == 0.0 and view.level == 0
    centre = tile_map.projection.position_to_tile(*UTM_PLACE, view.level).astype(int)
    (small / str(view.level) / str(centre[0]) / f"{centre[1]}.jpg").unlink()
    holed = Map.open(small).view(*UTM_PLACE, 60.0, 96, bearing)
    assert holed.no_data == pytest.approx(20.0**2 / 60.0**2, abs=0.01)
    assert (holed.pixels == 255).all(-1).mean() == pytest.approx(holed.no_data, abs=0.06)


def test_squares_have_their_size():
    for bearing in (0.0, 30.0, 200.0):
        square = Square.around(38.9, -77.0, 100.0, bearing)
        a, b, c, d = square.corners
        for p, q in ((a, b), (b, c), (c, d), (d, a)):
            assert haversine_m(*p, *q) == pytest.approx(100.0, rel=1e-4)
    north_west, north_east, south_east, _ = Square.around(38.9, -77.0, 100.0).corners
    assert north_west.lat > south_east.lat and north_west.lon < north_east.lon


@pytest.mark.parametrize("arguments", [
    (95.0, 0.0, 100.0, 64), (float("nan"), 0.0, 100.0, 64), (52.0, 400.0, 100.0, 64), (52.0, 15.0, -1.0, 64),
    (52.0, 15.0, float("inf"), 64), (52.0, 15.0, 100.0, 0), (52.0, 15.0, 100.0, 10**6), (-90.0, 15.0, 100.0, 64),
    (0.0, 105.0, 100.0, 64)])
def test_impossible_views(small, arguments):
    with pytest.raises(JustZoomInError):
        Map.open(small).view(*arguments)
    with pytest.raises(GeometryError, match="bearing"):
        Map.open(small).view(*UTM_PLACE, 60.0, 64, float("nan"))


def test_a_view_of_the_world_is_refused_not_allocated(small):
    with pytest.raises(TileError, match="native px"):
        Map.open(small).view(*UTM_PLACE, 1_000_000.0, 64)


def test_a_level_without_tiles_is_named(small):
    import shutil

    shutil.rmtree(small / "-1")
    tile_map = Map.open(small)
    with pytest.raises(TileError, match=r"level -1.*levels with tiles: 0"):
        tile_map.view(*UTM_PLACE, 60.0, 20)


def test_a_map_without_tiles_is_refused(small):
    import shutil

    shutil.rmtree(small / "-1")
    shutil.rmtree(small / "0")
    with pytest.raises(TileError, match="no tile"):
        Map.open(small)


def _png(pixels):
    import cv2

    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.mark.parametrize(("damage", "words"), [
    (lambda b: b[: len(b) // 2], "broken JPEG"), (lambda b: b[:-12], "broken JPEG"), (lambda b: b"", "empty"),
    (lambda b: b"<html>not found</html>", "not a JPEG"), (lambda b: b"\xff\xd8 and nothing", "broken JPEG"),
    (lambda b: _png(np.zeros((64, 64, 3), np.uint8)), "not a JPEG"),
    (lambda b: simplejpeg.encode_jpeg(np.zeros((64, 60, 3), np.uint8)), "60 x 64")])
def test_broken_tiles_are_named(small, damage, words):
    for path in small.glob("0/*/*.jpg"):
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TileError, match=words) as caught:
        Map.open(small).view(*UTM_PLACE, 15.0, 64)
    assert ".jpg" in caught.value.where


def test_broken_tiles_name_their_shard(small, tmp_path):
    from map_builders import pack

    for path in small.glob("0/*/*.jpg"):
        path.write_bytes(path.read_bytes()[:500])
    root = pack(small, tmp_path / "other" / "archives")
    (root / "satellite").mkdir()
    for name in ("layout.yaml", "region.yaml"):
        (root / "satellite" / name).write_bytes((small / name).read_bytes())
    with pytest.raises(TileError, match=r"satellite_level_0_00[01]\.tar!satellite/0/"):
        Map.open(root).view(*UTM_PLACE, 15.0, 64)


@pytest.mark.parametrize("content", [b"no image", b"", None])
def test_broken_png_tiles(xyz_map, tmp_path, content):
    from justzoomin.tiles.decoding import decode_tile

    good = next(xyz_map.glob("*/*/*.png")).read_bytes()
    with pytest.raises(TileError, match=r"t\.png"):
        decode_tile(good[:-2000] if content is None else content, "t.png", 256)
    with pytest.raises(TileError, match="256 x 256"):
        decode_tile(good, "t.png", 128)


def test_grey_and_transparent_tiles():
    import cv2

    from justzoomin.tiles.decoding import decode_tile

    grey = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    assert (decode_tile(cv2.imencode(".png", grey)[1].tobytes(), "a.png", 32) == grey[..., None]).all()
    clear = np.dstack([grey, grey, grey, grey])
    assert (decode_tile(cv2.imencode(".png", clear)[1].tobytes(), "a.png", 32) == grey[..., None]).all()
    jpeg = simplejpeg.encode_jpeg(grey[..., None], colorspace="GRAY", colorsubsampling="Gray")
    assert decode_tile(jpeg, "a.jpg", 32).shape == (32, 32, 3)
    deep = cv2.imencode(".png", grey.astype(np.uint16) * 256)[1].tobytes()
    with pytest.raises(TileError, match="8 bits"):
        decode_tile(deep, "a.png", 32)


def test_info(small):
    info = Map.open(small).info()
    assert [v.level for v in info.levels] == [-1, 0]
    assert info.tiles == sum(v.tiles for v in info.levels) == len(list(small.glob("*/*/*.jpg")))
    assert info.bytes == sum(p.stat().st_size for p in small.glob("*/*/*.jpg"))
    assert all(v.coverage == 1.0 for v in info.levels)
    assert info.levels[1].metres_per_pixel == pytest.approx(20 / 64, rel=0.01)
    south, west, north, east = info.extent
    assert south < UTM_PLACE[0] < north and west < UTM_PLACE[1] < east


def test_the_fingerprint_sees_changes(small):
    before = Map.open(small).fingerprint()
    assert Map.open(small).fingerprint() == before
    path = next(small.glob("-1/*/*.jpg"))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    changed = Map.open(small).fingerprint()
    path.unlink()
    assert len({before, changed, Map.open(small).fingerprint()}) == 3
