"""A tile server as a map: the same views as its tiles in a folder, fetched once, and only when a view needs them."""

import json
import os
import pickle
import re
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from justzoomin.errors import ConfigError, LayoutError, TileError
from justzoomin.geometry import load_grid
from justzoomin.maps import Map
from justzoomin.tiles import ServerSource, TileId, TileServer
from justzoomin.tiles import fetch as tilefetch
from justzoomin.tiles.kept import tiles_home
from map_builders import XYZ, XYZ_PLACE, build
from tile_http import TileHttp, serving

VIEWS = ((*XYZ_PLACE, 300.0, 128, 0.0), (*XYZ_PLACE, 80.0, 96, 30.0))


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """No test waits: the waiting time is noted, and the clock is moved forward by it."""
    slept: list[float] = []
    pace = tilefetch.Pace(clock=lambda: 1000.0 + sum(slept), sleep=slept.append)
    monkeypatch.setattr(tilefetch, "shared_pace", lambda: pace)
    return slept


@pytest.fixture
def http(xyz_map):
    with serving(xyz_map) as server:
        yield server


@pytest.fixture
def grid(xyz_map):
    return load_grid(xyz_map / "region.yaml")


def server(http: TileHttp, path: str = "/{z}/{x}/{y}.png", **settings) -> TileServer:
    return TileServer(http.address + path, min_zoom=15, max_zoom=18, attribution="Town of Nowhere", **settings)


def pictures(opened: Map):
    return [opened.view(*view) for view in VIEWS]


def same(opened: Map, other: Map) -> bool:
    pairs = list(zip(pictures(opened), pictures(other), strict=True))
    assert any(len(np.unique(a.pixels)) > 50 for a, _ in pairs)
    return all(np.array_equal(a.pixels, b.pixels) and a.no_data == b.no_data and a.level == b.level for a, b in pairs)


@pytest.mark.parametrize("path", [
    "/{z}/{x}/{y}.png", "/{zoom}/{x}/{y}.png", "/tms/{z}/{x}/{-y}.png", "/quad/{quadkey}.png",
    "/wmts/{TileMatrix}/{TileRow}/{TileCol}.png",
    "/kvp?SERVICE=WMTS&REQUEST=GetTile&TILEMATRIX={TileMatrix}&TILEROW={TileRow}&TILECOL={TileCol}",
])
def test_every_kind_of_address_gives_the_views_of_the_folder(http, grid, xyz_map, path):
    assert same(Map.open(server(http, path), grid), Map.open(xyz_map))


def test_the_scheme_tms_counts_from_the_south(http, grid, xyz_map):
    for path in ("{z}/{x}/{y}", "{z}/{x}/{Y}", "{zoom}/{x}/{TileRow}", "{TileMatrix}/{TileCol}/{tilerow}", "{z}/{x}/{-y}"):
        assert same(Map.open(server(http, f"/tms/{path}.png", scheme="tms"), grid), Map.open(xyz_map))
    with pytest.raises(ConfigError, match=r"no y to count from the south.*--tms"):
        server(http, "/{quadkey}.png", scheme="tms")


def test_jpeg_tiles_are_decoded_as_from_a_folder(tmp_path, grid):
    folder = build(tmp_path / "jpeg", replace(XYZ, path="{zoom}/{x}/{y}.jpg"), *XYZ_PLACE, radius_m=200.0, seed=5)
    with serving(folder, "jpg") as http:
        remote = Map.open(server(http, "/kvp?TILEMATRIX={TileMatrix}&TILEROW={TileRow}&TILECOL={TileCol}"), grid)
        assert same(remote, Map.open(folder))


def test_opening_and_describing_fetch_nothing(http, grid):
    opened = Map.open(http.address + "/{z}/{x}/{y}.png", grid)
    info = opened.info()
    assert http.log == []
    assert info.source == "server, not listed"
    assert [level.level for level in info.levels] == list(range(20))
    assert info.levels[0].tiles is None and info.levels[0].coverage is None
    assert opened.levels() == {} and not opened.listed and opened.source.levels() == tuple(range(20))
    with pytest.raises(TileError, match=r"level 3: a tile server does not list its tiles.*jzi map build"):
        opened.source.tiles(3)
    assert opened.fingerprint().startswith("server-")
    assert Map.open(http.address + "/b/{z}/{x}/{y}.png", grid).fingerprint() != opened.fingerprint()
    assert opened.attribution is None and Map.open(server(http), grid).attribution == "Town of Nowhere"
    # web mercator at 48 degrees: 156 543 m / 2^z * cos(lat)
    assert info.levels[17].metres_per_pixel == pytest.approx(156543.03 / 2**17 * np.cos(np.radians(XYZ_PLACE[0])), rel=2e-3)


def test_tiles_are_fetched_once_also_by_the_next_map_and_without_the_server(http, grid, xyz_map):
    first = pictures(Map.open(server(http), grid))
    fetched = len(http.log)
    assert fetched == len(set(http.log)) > 4
    assert "justzoomin/" in http.headers["User-Agent"]
    again = Map.open(server(http), grid)
    assert same(again, Map.open(xyz_map)) and len(http.log) == fetched
    http.close()
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, pictures(Map.open(server(http), grid)), strict=True))
    http.close = lambda: None


def test_old_tiles_are_asked_for_again_and_serve_when_nobody_answers(http, grid, pauses):
    source = ServerSource(server(http, retries=1))
    tile = tile_at_place(source)
    content = source.read(tile)
    kept = source._kept.path(tile)
    old = time.time() - 40 * 86400
    os.utime(kept, (old, old))
    assert source.read(tile) == content and len(http.log) == 2
    os.utime(kept, (old, old))
    http.close()
    http.close = lambda: None
    assert ServerSource(server(http, retries=1)).read(tile) == content
    tries = len(pauses)
    assert ServerSource(server(http, retries=1)).read(tile) == content
    assert len(pauses) == tries, "a server that was down a moment ago is not tried again"
    with pytest.raises(TileError, match=r"127\.0\.0\.1.*tried 2 times.*Check the network"):
        ServerSource(server(http, retries=1)).read(TileId(18, 1, 1))


def tile_at_place(source: ServerSource, level: int = 17) -> TileId:
    from justzoomin.tiles import TileProjection

    x, y = np.floor(TileProjection(source.layout).position_to_tile(*XYZ_PLACE, level)).astype(int).tolist()
    return TileId(level, x, y)


def test_missing_tiles_are_white_and_remembered(http, grid):
    opened = Map.open(server(http), grid)
    far = opened.view(XYZ_PLACE[0] + 0.05, XYZ_PLACE[1], 200.0, 64)
    assert far.no_data == 1.0 and (far.pixels == 255).all()
    asked = len(http.log)
    assert Map.open(server(http), grid).view(XYZ_PLACE[0] + 0.05, XYZ_PLACE[1], 200.0, 64).no_data == 1.0
    assert len(http.log) == asked > 0


@pytest.mark.parametrize("status", [204, 404, 410])
def test_other_ways_to_say_that_there_is_none(http, status):
    http.status_of_missing = status
    assert ServerSource(server(http)).read(TileId(17, 5, 5)) is None


def test_outside_the_world_and_the_levels_nothing_is_asked(http):
    source = ServerSource(server(http))
    for tile in (TileId(15, -1, 0), TileId(15, 0, 2**15), TileId(14, 0, 0), TileId(19, 0, 0)):
        assert source.read(tile) is None
    assert http.log == []
    assert source.has_level(15) and not source.has_level(14)


def test_a_busy_server_is_asked_again_after_the_time_it_names(http, pauses):
    http.scripted = [(429, {"Retry-After": "7"}, b""), (503, {}, b""), (500, {}, b""), None]
    source = ServerSource(server(http))
    assert source.read(tile_at_place(source))
    assert len(http.log) == 4
    assert [round(p, 3) for p in pauses] == [7.0, 1.0, 2.0]


def test_a_server_that_asks_for_an_hour_ends_the_work(http, pauses):
    http.scripted = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(TileError, match=r"answers 429, and the server asks to wait 3600 s\. Continue later"):
        ServerSource(server(http)).read(TileId(17, 5, 5))
    assert pauses == []


def test_retries_end(http):
    http.scripted = [(500, {}, b"")] * 9
    with pytest.raises(TileError, match="answers 500, tried 3 times"):
        ServerSource(server(http, retries=2)).read(TileId(17, 5, 5))
    assert len(http.log) == 3


def test_the_pace_is_kept(http, pauses):
    source = ServerSource(server(http, requests_per_second=4.0))
    for x in range(5):
        source.read(TileId(17, x, 0))
    assert pauses == pytest.approx([0.25] * 4)


def test_cut_and_broken_answers_are_not_kept(http):
    source = ServerSource(server(http, retries=2))
    tile = tile_at_place(source)
    whole = http.tile(f"/{tile.level}/{tile.x}/{tile.y}.png")[2]
    http.scripted = [(200, {"Content-Length": str(len(whole))}, whole[:100]), (200, {}, whole[:len(whole) // 2]), None]
    assert source.read(tile) == whole
    assert len(http.log) == 3


@pytest.mark.parametrize(("body", "words"), [
    (b"<!DOCTYPE html><html>Please log in</html>", "HTML page"), (b'{"error": "quota"}', "JSON"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"), (b"\x1f\x8b" + bytes(40), "gzip"),
])
def test_what_is_no_picture_is_an_error_and_not_kept(http, body, words):
    source = ServerSource(server(http))
    tile = tile_at_place(source)
    http.scripted = [(200, {"Content-Type": "image/png"}, body)]
    with pytest.raises(TileError, match=words) as caught:
        source.read(tile)
    assert http.address in caught.value.where and len(http.log) == 1
    assert source.read(tile), "the next try gets the tile: nothing wrong was kept"


def test_a_tile_of_another_size_names_the_setting(http):
    with pytest.raises(TileError, match=r"256 x 256 px.*512 x 512.*tile_px"):
        source = ServerSource(server(http, tile_px=512))
        source.read(tile_at_place(source))


def test_an_answer_without_end_is_cut_off(http, monkeypatch):
    source = ServerSource(server(http))
    http.scripted = [(200, {}, b"\x89PNG\r\n\x1a\n" + bytes(9 << 20))]
    with pytest.raises(TileError, match="longer than 8388608 bytes"):
        source.read(TileId(17, 5, 5))


@pytest.mark.parametrize("status", [401, 403])
def test_refusals_name_server_and_remedy_and_no_key(http, status, monkeypatch):
    monkeypatch.setenv("TOWN_KEY", "s3cret/&")
    source = ServerSource(server(http, "/{z}/{x}/{y}.png?key=${TOWN_KEY}&token=plain"))
    http.scripted = [(status, {}, b"")]
    with pytest.raises(TileError, match=r"refuses \(\d+\)\. Check the key") as caught:
        source.read(TileId(17, 5, 6))
    assert http.log == ["/17/5/6.png?key=s3cret%2F%26&token=plain"]
    assert "/17/5/6.png?key=${TOWN_KEY}&token=***" in str(caught.value)
    assert "s3cret" not in str(caught.value) and "plain" not in str(caught.value)


def test_other_refusals(http):
    http.scripted = [(400, {}, b"")]
    with pytest.raises(TileError, match="answers 400"):
        ServerSource(server(http)).read(TileId(17, 5, 6))


def test_redirects_go_to_http_only(http, xyz_map, tmp_path):
    source = ServerSource(server(http))
    tile = tile_at_place(source)
    for target in ("file:///etc/hostname", "ftp://127.0.0.1/x", "", "gopher://x"):
        http.scripted = [(302, {"Location": target}, b"")]
        with pytest.raises(TileError, match="it redirects to"):
            source.read(tile)
    http.scripted = [(302, {"Location": "/loop"}, b"")] * 20
    with pytest.raises(TileError, match="more than 5 times"):
        source.read(tile)
    http.scripted = []
    with serving(xyz_map) as other:
        http.scripted = [(301, {"Location": f"{other.address}/{tile.level}/{tile.x}/{tile.y}.png"}, b"")]
        assert source.read(tile) == http.tile(f"/{tile.level}/{tile.x}/{tile.y}.png")[2]
        assert len(other.log) == 1


def test_a_slow_server(http):
    def slow(_path):
        time.sleep(0.08)
        return 200, {}, b""

    http.scripted = [slow, slow]
    with pytest.raises(TileError, match=r"no answer within 0\.02 s, tried 2 times"):
        ServerSource(server(http, timeout_s=0.02, retries=1)).read(TileId(17, 5, 5))


def test_two_servers_never_share_tiles(http, xyz_map, tmp_path):
    shutil.copytree(xyz_map, tmp_path / "other")
    source = ServerSource(server(http))
    tile = tile_at_place(source)
    with serving(tmp_path / "other") as other:
        for one, two in ((source, ServerSource(server(other))),
                         (source, ServerSource(server(http, "/{z}/{x}/{y}.png?style=dark")))):
            assert one._kept.folder != two._kept.folder
            assert one.read(tile) and two.read(tile)
        assert len(other.log) == 1
    about = json.loads((source._kept.folder / "server.json").read_text())
    assert about["attribution"] == "Town of Nowhere"


def test_keys_are_written_nowhere(http, grid, monkeypatch):
    monkeypatch.setenv("TOWN_KEY", "s3cret99")
    opened = Map.open(server(http, "/{z}/{x}/{y}.png?key={env:TOWN_KEY}&apikey=ABCDEF0123"), grid)
    pictures(opened)
    assert "key=s3cret99&apikey=ABCDEF0123" in http.log[0]
    written = [str(p) + (p.read_text("latin-1") if p.is_file() else "") for p in tiles_home().rglob("*")]
    said = [*written, opened.name, str(opened.root), opened.layout.url, opened.fingerprint(),
            json.dumps(opened.info().to_dict()), opened.source.describe(TileId(1, 0, 0))]
    assert not [text for text in said if "s3cret99" in text or "ABCDEF0123" in text]
    monkeypatch.delenv("TOWN_KEY")
    with pytest.raises(ConfigError, match="the environment variable TOWN_KEY is not set"):
        opened.source.read(TileId(15, 3, 3))


def test_no_more_than_max_tiles(http):
    source = ServerSource(server(http, max_tiles=2))
    assert source.read(TileId(17, 1, 1)) is source.read(TileId(17, 1, 2)) is None
    with pytest.raises(TileError, match=r"2 tiles were fetched.*--max-tiles"):
        source.read(TileId(17, 1, 3))
    assert source.read(TileId(17, 1, 1)) is None, "what is kept is not fetched"


def test_where_nothing_can_be_kept_views_still_come(http, grid, xyz_map, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("JZI_HOME", str(tmp_path / "file"))
    assert same(Map.open(server(http), grid), Map.open(xyz_map))
    assert len([r for r in caplog.records if "tiles cannot be kept" in r.message]) == 1


def test_maps_of_servers_travel(http, grid, xyz_map):
    opened = Map.open(server(http), grid)
    pictures(opened)
    assert same(pickle.loads(pickle.dumps(opened)), Map.open(xyz_map))


def test_requests_under_way_are_bounded_and_never_doubled(http):
    active, most, lock = [0], [0], threading.Lock()

    def slowly(path):
        with lock:
            active[0] += 1
            most[0] = max(most[0], active[0])
        time.sleep(0.01)
        with lock:
            active[0] -= 1
        return http.tile(path)

    http.scripted = [slowly] * 99
    source = ServerSource(server(http, parallel=2, requests_per_second=1000))
    wanted = [TileId(17, x, 7) for x in range(6)] * 2
    threads = [threading.Thread(target=source.read, args=(tile,)) for tile in wanted]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert most[0] == 2 and len(http.log) == 6


def test_a_forked_process_fetches_too(http):
    source = ServerSource(server(http))
    tile = tile_at_place(source)
    source.read(TileId(17, 1, 1))
    child = os.fork()
    if child == 0:
        os._exit(0 if source.read(tile) else 1)
    assert os.waitpid(child, 0)[1] == 0
    asked = len(http.log)
    assert source.read(tile) and len(http.log) == asked == 2


def test_a_folder_with_a_url_and_no_tiles(http, grid, xyz_map, tmp_path):
    folder = tmp_path / "satellite"
    folder.mkdir()
    shutil.copyfile(xyz_map / "region.yaml", folder / "region.yaml")
    layout = (xyz_map / "layout.yaml").read_text()
    (folder / "layout.yaml").write_text(f"{layout}url: '{http.address}/{{zoom}}/{{x}}/{{y}}.png'\n")
    (tmp_path / "ATTRIBUTION").write_text("Town of Nowhere\n")
    opened = Map.open(tmp_path)
    assert http.log == [] and opened.attribution == "Town of Nowhere"
    assert same(opened, Map.open(xyz_map)) and http.log
    asked = len(http.log)
    tile = next(p for p in xyz_map.rglob("*.png"))
    target = folder / tile.relative_to(xyz_map)
    target.parent.mkdir(parents=True)
    shutil.copyfile(tile, target)
    assert Map.open(tmp_path).info().source == "folder"
    with pytest.raises(TileError, match=r"level \d+: a view of .* needs it, but it has no tile"):
        pictures(Map.open(tmp_path))
    assert len(http.log) == asked, "where tiles are on disk nothing is fetched"


def test_a_strange_layout_may_not_ask_for_secrets(xyz_map, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "s3cret")
    shutil.copyfile(xyz_map / "region.yaml", tmp_path / "region.yaml")
    text = (xyz_map / "layout.yaml").read_text()
    (tmp_path / "layout.yaml").write_text(text + "url: 'https://example.org/{z}/{x}/{y}?k=${HF_TOKEN}'\n")
    with pytest.raises(ConfigError, match=r"'HF_TOKEN'.*JZI_"):
        Map.open(tmp_path)
    for name in ("JZI_HOME", "JZI_KEY_x", "JZI_TOKEN", "JZI_VIEWS", "MY_KEY", ""):
        (tmp_path / "layout.yaml").write_text(text + "url: 'https://example.org/{z}/{x}/{y}?k={env:" + name + "}'\n")
        with pytest.raises(ConfigError, match=r"of your environment.*only variables JZI_\.\.\._KEY"):
            Map.open(tmp_path)
    (tmp_path / "layout.yaml").write_text(text + "url: 'https://example.org/{z}/{x}/{y}?k=${JZI_TOWN_KEY}'\n")
    assert Map.open(tmp_path).info().source == "server, not listed"


def test_a_server_needs_a_region():
    with pytest.raises(LayoutError, match=r"https://example\.org/\{z\}/\{x\}/\{y\}: .*--region"):
        Map.open("https://example.org/{z}/{x}/{y}")


@pytest.mark.parametrize(("url", "words"), [
    ("ftp://example.org/{z}/{x}/{y}", "not an http"), ("https:///{z}/{x}/{y}", "not an http"),
    ("https://example.org/{z}/{x}", "zoom, x and y"), ("https://example.org/{z}/{x}/{y}/{time}", "unknown placeholder {time}"),
    ("https://{x}.example.org/{z}/{x}/{y}", "host"), ("https://me:pw@example.org/{z}/{x}/{y}", "password"),
    ("https://example.org/{z}/{x}/{y}}", "braces"), ("https://example.org/a b/{z}/{x}/{y}", "not an http"),
])
def test_addresses_that_cannot_be_right(url, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        TileServer(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("settings", [
    {"min_zoom": 5, "max_zoom": 4}, {"max_zoom": 31}, {"requests_per_second": 0}, {"requests_per_second": float("nan")},
    {"parallel": 0}, {"timeout_s": -1}, {"retries": 99}, {"scheme": "wms"}, {"contact": "me\r\nX-Evil: 1"},
])
def test_settings_that_cannot_be_right(settings):
    with pytest.raises(ConfigError, match=next(iter(settings)).replace("min_zoom", "min_zoom, max_zoom").split("_")[0]):
        TileServer("https://example.org/{z}/{x}/{y}", **settings)


def test_subdomains_take_turns(xyz_map):
    template = TileServer("https://{s}.example.org/{z}/{x}/{y}.png", subdomains=("t0", "t1")).template
    assert template.url(TileId(3, 2, 2)) == "https://t0.example.org/3/2/2.png"
    assert template.url(TileId(3, 3, 2)) == "https://t1.example.org/3/3/2.png"


def test_long_keys_in_the_path_are_hidden():
    key = "pk0eyJ1IjoibWUiLCJhIjoiY2p4eXo5"
    assert TileServer(f"https://example.org/{key}/{{z}}/{{x}}/{{y}}").name == "https://example.org/***/{z}/{x}/{y}"
