"""Packages whose levels cover different places: the map is what they cover together."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "maps"))

from webtiles import colours, drawn, number, square, write_tiles

from justzoomin.errors import TileError
from justzoomin.imagery import MapBuild, MapBuildConfig
from justzoomin.imagery.opentiles import open_mosaic
from package_builders import mbtiles, pmtiles

PLACE, HALF, UTM = (48.1, 11.5), 0.04, "epsg:32632"
TILE_M = 40075016.7 * np.cos(np.radians(PLACE[0]))  # the edge of the tile of level 0 there


def off(pixels, mask, lat, lon) -> np.ndarray:
    return np.abs(pixels - colours(lat, lon, PLACE, HALF))[mask]


@pytest.fixture(params=["mbtiles", "pmtiles"])
def pack(request, tmp_path):
    write = mbtiles if request.param == "mbtiles" else pmtiles
    return lambda: write(tmp_path, tmp_path.parent / f"{tmp_path.name}.{request.param}")


def test_coarser_levels_fill_what_the_finest_lacks(pack, tmp_path):
    write_tiles(tmp_path, 14, square(PLACE, 14, 2), PLACE, HALF)
    write_tiles(tmp_path, 17, [number(PLACE, 17)], PLACE, HALF)
    path = pack()
    south, west, north, east = open_mosaic(path)[0].area
    assert ((east - west) / 360 * 2**14, (north - south) * 111_195 / (TILE_M / 2**14)) == pytest.approx((5, 5), rel=0.01)
    for gsd_m, used in ((None, 17), (8.0, 14)):
        piece, = open_mosaic(path, gsd_m=gsd_m)
        found = drawn(piece, PLACE, 6000.0, 500, UTM)
        assert piece.level_for(gsd_m or piece.metres_per_pixel()) == used and found[1].all()
        assert np.quantile(off(*found), 0.99) < 3.0
    near = drawn(open_mosaic(path)[0], PLACE, 1200.0, 1500, UTM)  # at the finest level's own resolution
    assert near[1].all() and off(*near).max() <= 4.0
    remark, = [text for text in MapBuild([path], tmp_path / "map").remarks() if "are made from" in text]
    assert "level 17 has tiles for 0.06% of the area; missing ones are made from tiles of level 14" in remark
    build = MapBuild([path], tmp_path / "map", MapBuildConfig(tiles={"max_zoom": 14}))
    assert not any("level 14" in text for text in build.remarks()) and build.plan.gsd_m == 6.4


def test_finer_tiles_stand_for_a_coarser_level_that_lacks_some(pack, tmp_path):
    write_tiles(tmp_path, 14, [number(PLACE, 14)], PLACE, HALF)
    write_tiles(tmp_path, 16, square(PLACE, 16, 8), PLACE, HALF)
    piece, = open_mosaic(pack(), gsd_m=8.0)
    found = drawn(piece, PLACE, 6000.0, 500, UTM)
    assert piece.level_for(8.0) == 14 and found[1].all() and np.quantile(off(*found), 0.99) < 3.0


@pytest.mark.parametrize("filled", [0, 255])
def test_a_coarse_tile_that_hangs_over_the_edge_adds_nothing(filled, pack, tmp_path):
    """A usual pyramid of JPEG: coarse tiles are black or white where the fine ones were never made."""
    x, y = number(PLACE, 15)
    fine = [(2 * x + 1 + i, 2 * y + 1 + j) for i in range(3) for j in range(3)]  # odd: half of the coarser tiles has no data
    del fine[4]

    def shown(level, column, row, pixels):
        pixels = pixels.copy()
        for i in (0, 1):
            for j in (0, 1):
                if level == 15 and (2 * column + i, 2 * row + j) not in fine:
                    pixels[j * 128:j * 128 + 128, i * 128:i * 128 + 128] = filled
        return pixels

    write_tiles(tmp_path, 16, fine, PLACE, HALF, "jpg")
    write_tiles(tmp_path, 15, sorted({(i // 2, j // 2) for i, j in fine}), PLACE, HALF, "jpg", shown)
    piece, = open_mosaic(pack())
    west, south, east, north = piece.bounds("epsg:3857")
    assert (east - west) / (40075016.7 / 2**16) == pytest.approx(3.0)
    pixels, mask = piece.read("epsg:3857", (west, south, east, north), 768, 768)
    assert not mask[256:512, 256:512].any() and np.count_nonzero(mask) == 8 * 256 * 256
    assert pixels[mask].min() > 20


def test_levels_far_above_do_not_make_the_map_larger(pack, tmp_path):
    """An overview of the world in a package of a town is not enlarged to the world, but a remark says that there is more."""
    write_tiles(tmp_path, 5, square(PLACE, 5, 2), PLACE, HALF)
    write_tiles(tmp_path, 16, square(PLACE, 16, 1), PLACE, HALF)
    path = pack()
    south, west, north, east = open_mosaic(path)[0].area
    assert (east - west) / 360 * 2**16 == pytest.approx(3) and north > south
    assert any("level 5 and coarser cover more" in text for text in MapBuild([path], tmp_path / "map").remarks())
    coarse, = open_mosaic(path, max_zoom=5)
    assert coarse.area[3] - coarse.area[1] == pytest.approx(5 * 360 / 32)


def test_an_area_is_cut_to_the_package(pack, tmp_path):
    write_tiles(tmp_path, 16, square(PLACE, 16, 1), PLACE, HALF)
    path = pack()
    whole = open_mosaic(path)[0].area
    assert open_mosaic(path, area=(40.0, -170.0, 60.0, 170.0))[0].area == whole
    assert open_mosaic(path, area=(48.1, 11.5, 60.0, 170.0))[0].area == (48.1, 11.5, *whole[2:])
    with pytest.raises(TileError, match=r"--area: .* has no tile in this area"):
        open_mosaic(path, area=(48.2, 11.6, 60.0, 170.0))
