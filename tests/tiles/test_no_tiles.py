"""Tiles whose content means that there is no tile: from servers and in packages they count as no data."""

import io

import numpy as np
import pytest
from PIL import Image
from pmtiles.tile import zxy_to_tileid
from test_packages import write, write_pmtiles

from justzoomin.errors import TileError
from justzoomin.geometry import load_grid
from justzoomin.maps import Map
from justzoomin.tiles import ServerSource, TileId, TileServer, open_package
from justzoomin.tiles import fetch as tilefetch
from map_builders import XYZ_PLACE
from package_builders import mbtiles, pmtiles, tiles_of
from tile_http import serving


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    pace = tilefetch.Pace(sleep=lambda _: None)
    monkeypatch.setattr(tilefetch, "shared_pace", lambda: pace)


def picture(size, mode, colour, kind="PNG"):
    buffer = io.BytesIO()
    Image.new(mode, (size, size), colour).save(buffer, kind)
    return buffer.getvalue()


GREY = picture(256, "RGB", (230, 228, 220))
NOTHING = {
    "empty": (b"", {}, "empty"), "one": (picture(1, "RGBA", (0, 0, 0, 0)), {}, "1 x 1 px"),
    "white": (picture(1, "RGB", (255, 255, 255), "JPEG"), {}, "1 x 1 px"), "gif": (picture(1, "P", 0, "WEBP"), {}, "1 x 1 px"),
    "clear": (picture(256, "RGBA", (0, 0, 0, 0)), {}, "transparent throughout"),
    "large": (picture(512, "LA", (255, 0)), {}, "transparent throughout"),
    "marked": (GREY, {"X-VE-Tile-Info": "no-tile"}, "marked X-VE-Tile-Info: no-tile"),
    "other": (GREY, {"x-tile-status": "No-Tile"}, "marked x-tile-status: no-tile")}


@pytest.mark.parametrize(("content", "headers", "why"), NOTHING.values(), ids=NOTHING)
def test_a_server_has_many_ways_to_say_that_there_is_none(xyz_map, content, headers, why):
    with serving(xyz_map) as http:
        server = TileServer(http.address + "/{z}/{x}/{y}.png")
        source = ServerSource(server)
        http.scripted = [(200, headers, content), (404, {}, b""), (400, {}, b"<Exception exceptionCode='TileOutOfRange'/>")]
        for x in range(3):
            assert source.read(TileId(17, x, 3)) is None
        assert source.no_tiles.describe().startswith("tiles without data: 3 (")
        assert {f"1 {why}", "1 answered 404", "1 answered 400 TileOutOfRange"} == set(
            source.no_tiles.describe().partition("(")[2].rstrip(")").split(", "))
        later = ServerSource(server)
        assert later.read(TileId(17, 0, 3)) is None and len(http.log) == 3, "it is remembered"
        assert later.no_tiles.describe() == "tiles without data: 1 (1 known from an earlier run)"


@pytest.mark.parametrize("content", [GREY, picture(256, "RGBA", (0, 0, 0, 1)), picture(256, "P", 3), picture(256, "L", 0)])
def test_a_tile_of_one_colour_is_a_tile(xyz_map, content):
    with serving(xyz_map) as http:
        source = ServerSource(TileServer(http.address + "/{z}/{x}/{y}.png"))
        http.scripted = [(200, {"X-Tile-Info": "tile"}, content)]
        assert source.read(TileId(17, 0, 3)) == content and not source.no_tiles


@pytest.mark.parametrize("kind", ["mbtiles", "pmtiles"])
def test_packages_are_filled_up_alike(xyz_map, tmp_path, kind):
    """The first tile of each level is a placeholder: it does not decide the size, and views show no data there."""
    folder = tmp_path / "tiles"
    holes = {}
    for z, x, y, content in tiles_of(xyz_map):
        first = z not in {hole.level for hole in holes}
        if first:
            holes[TileId(z, x, y)] = "1 x 1 px"
        (folder / f"{z}/{x}").mkdir(parents=True, exist_ok=True)
        (folder / f"{z}/{x}/{y}.png").write_bytes(picture(1, "RGBA", (0, 0, 0, 0)) if first else content)
    path = (mbtiles if kind == "mbtiles" else pmtiles)(folder, tmp_path / f"town.{kind}")
    opened = Map.open(path, load_grid(xyz_map / "region.yaml"))
    assert opened.layout.tile_px == 256
    for tile in holes:
        assert opened.source.read(tile) is None
    assert opened.source.no_tiles == holes
    seen = opened.view(*XYZ_PLACE, 300.0, 64)
    whole = Map.open(xyz_map).view(*XYZ_PLACE, 300.0, 64)
    assert ((seen.pixels == whole.pixels).all(-1) | (seen.pixels == 255).all(-1)).mean() > 0.95


def test_an_empty_blob_is_not_listed(xyz_map, tmp_path):
    path = mbtiles(xyz_map, tmp_path / "town.mbtiles")
    z, x, y, _ = next(tiles_of(xyz_map))
    before = open_package(path).tiles(z)
    where = "zoom_level = ? AND tile_column = ? AND tile_row = ?"
    source = open_package(write(path, f"UPDATE tiles SET tile_data = x'' WHERE {where}", (z, x, 2**z - 1 - y)))
    assert source.read(TileId(z, x, y)) is None
    assert set(before) - set(source.tiles(z)) == {(x, y)}


@pytest.mark.parametrize("stated", [(0, 0), (0, 26), (3, 16), (20, 22)])
def test_levels_of_pmtiles_are_those_of_its_tiles(xyz_map, tmp_path, stated):
    """Many writers never set the levels of the header, or set them wrongly."""
    path = pmtiles(xyz_map, tmp_path / "town.pmtiles")
    content = bytearray(path.read_bytes())
    content[100:102] = bytes(stated)
    path.write_bytes(content)
    grid = load_grid(xyz_map / "region.yaml")
    opened, folder = Map.open(path, grid), Map.open(xyz_map)
    assert opened.source.levels() == (15, 16, 17, 18)
    assert (opened.layout.min_zoom, opened.layout.max_zoom) == (15, 18)
    assert np.array_equal(opened.view(*XYZ_PLACE, 80, 64).pixels, folder.view(*XYZ_PLACE, 80, 64).pixels)


def test_tiles_finer_than_any_level(tmp_path):
    from pmtiles.tile import Entry, serialize_directory

    root = serialize_directory([Entry(zxy_to_tileid(27, 5, 5), 0, len(GREY), 1)])
    path = write_pmtiles(tmp_path / "fine.pmtiles", root, GREY)
    with pytest.raises(TileError, match="its tiles are finer than level 26"):
        open_package(path)
