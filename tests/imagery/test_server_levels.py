"""Building from a server that ends at a level, or has holes: found with a few requests, and reported."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "maps"))

from fakes import encoded
from justzoomin.errors import ConfigError, TileError
from justzoomin.imagery import MapBuild, MapBuildConfig
from justzoomin.imagery.opentiles import open_mosaic
from justzoomin.tiles import TileProjection, TileServer, web_layout
from justzoomin.tiles import fetch as tilefetch
from tile_http import serving

pytest.importorskip("rasterio")

PLACE = (48.137, 11.575)
SOUTH, WEST, NORTH, EAST = AREA = (48.1355, 11.573, 48.1385, 11.577)
TILE = encoded(np.full((256, 256, 3), 120, np.uint8), "PNG")


@pytest.fixture(autouse=True)
def _quiet(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("JZI_HOME", str(tmp_path_factory.mktemp("home")))
    pace = tilefetch.Pace(sleep=lambda _: None)
    monkeypatch.setattr(tilefetch, "shared_pace", lambda: pace)


@pytest.fixture
def http(tmp_path):
    """A server of one tile, for every number that `http.has(z, x, y)` has; else `http.other`."""
    with serving(tmp_path) as server:
        server.has, server.other = (lambda z, x, y: True), (404, {}, b"")

        def tile(path):
            z, x, y = map(int, re.findall(r"\d+", path)[:3])
            return (200, {}, TILE) if server.has(z, x, y) else server.other

        server.tile = tile
        yield server


def settings(**values):
    return MapBuildConfig(**{"area": AREA, "attribution": "Town", "workers": 1, **values})


@pytest.mark.parametrize("other", [(404, {}, b""), (400, {}, b""), (403, {}, b""), (200, {}, b"")])
def test_a_server_that_ends_at_a_level_is_found_out_before_the_build(http, tmp_path, other):
    http.has, http.other = (lambda z, x, y: z <= 15), other
    job = MapBuild([http.address + "/{z}/{x}/{y}.png"], tmp_path / "map", settings())
    assert http.log == [], "opening asks for nothing"
    with pytest.raises(TileError, match=r"its finest level in the area is 15; .* levels 16 to 19\..*Add --max-zoom 15\."):
        job.run()
    assert len(http.log) < 60 and not (tmp_path / "map").exists()
    asked = len(http.log)
    again = MapBuild([http.address + "/{z}/{x}/{y}.png"], tmp_path / "map", settings(tiles={"max_zoom": 15}))
    assert again.run() == tmp_path / "map" and len(http.log) - asked <= 9


def test_a_refusal_everywhere_is_the_servers_own_word(http, tmp_path):
    http.has, http.other = (lambda z, x, y: False), (403, {}, b"")
    with pytest.raises(TileError, match=r"the server refuses \(403\)"):
        MapBuild([http.address + "/{z}/{x}/{y}.png"], tmp_path / "map", settings()).run()
    http.other = (404, {}, b"")
    with pytest.raises(TileError, match=r"no tile of levels 0 to 19 at 9 places of the area.*--tms"):
        MapBuild([http.address + "/a/{z}/{x}/{y}.png"], tmp_path / "map", settings()).run()
    assert len(http.log) < 200


@pytest.mark.parametrize("blank", [False, True])
def test_tiles_in_a_corner_of_the_area_are_found(http, blank):
    """Data in one tile of 60, and what leads there: coarser tiles; filled up with blank ones up to level 14 or not."""
    level = 18
    x, y = np.floor(TileProjection(web_layout(level, level)).position_to_tile(SOUTH + 2e-4, WEST + 2e-4, level)).astype(int)
    http.has = lambda z, i, j: (z <= level and (i, j) == (x >> level - z, y >> level - z)) or (blank and z <= 14)
    mosaic = open_mosaic(TileServer(http.address + "/{z}/{x}/{y}.png", "Town", max_zoom=level), area=AREA)[0]
    mosaic.require_level(mosaic.metres_per_pixel())
    assert f"/{level}/{x}/{y}.png" in http.log and len(http.log) < 60


def test_the_wanted_resolution_says_which_level_there_must_be(http):
    http.has = lambda z, x, y: z <= 16
    mosaic = open_mosaic(TileServer(http.address + "/{z}/{x}/{y}.png", "Town"), area=AREA)[0]
    mosaic.require_level(2.0)
    assert len(http.log) == 1
    with pytest.raises(TileError, match="finest level in the area is 16"):
        mosaic.require_level(0.5)


def test_what_holds_no_data_is_counted(http, tmp_path):
    http.has = lambda z, x, y: (x + y) % 2 == 0
    job = MapBuild([http.address + "/{z}/{x}/{y}.png"], tmp_path / "map", settings(gsd_m=2.0))
    assert job.holes() == []
    job.run()
    asked = [tuple(map(int, re.findall(r"\d+", path)[:3])) for path in http.log]
    missing = sum(not http.has(*tile) for tile in asked)
    words = f"tiles without data: {missing} ({missing} answered 404)."
    assert missing and job.holes() == [f"{http.address}/{{z}}/{{x}}/{{y}}.png: {words}"]


@pytest.mark.parametrize(("tiles", "words"), [
    ({"scheme": "tms"}, "--tms: none of the sources is an address of tiles. Remove --tms."),
    ({"layer": "ortho"}, "--layer: none of the sources is a WMTSCapabilities.xml. Remove --layer."),
    ({"matrix_set": "S"}, "--matrix-set: none of the sources is a WMTSCapabilities.xml. Remove --matrix-set.")])
def test_options_that_no_source_can_follow_are_refused(tmp_path, tiles, words):
    (tmp_path / "town.mbtiles").write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        MapBuild([tmp_path / "town.mbtiles"], tmp_path / "map", settings(tiles=tiles))
    assert str(caught.value) == words


def test_more_hours_than_a_run_has_are_refused_before_it(http, tmp_path):
    tiles = {"requests_per_second": 0.01, "max_hours": 0.1}
    with pytest.raises(ConfigError, match=r"its \d+ tiles of level \d+ take .* hours at 0\.01 a second, but 0\.1 hours are"):
        MapBuild([http.address + "/{z}/{x}/{y}.png"], tmp_path / "map", settings(gsd_m=0.4, tiles=tiles))
    assert http.log == []
