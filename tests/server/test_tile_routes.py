"""Tiles over HTTP: what is answered, what is kept, what is refused."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from justzoomin.maps import Map, WebTiles, world_of
from map_builders import UTM, UTM_PLACE, build

pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")
from fastapi import FastAPI
from starlette.testclient import TestClient

from justzoomin.apps.server.problems import add_problem_handlers
from justzoomin.apps.server.tile_routes import tile_routes

NAMES = {"wmts": "http://www.opengis.net/wmts/1.0", "ows": "http://www.opengis.net/ows/1.1",
         "xlink": "http://www.w3.org/1999/xlink"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = build(tmp_path_factory.mktemp("tiles") / "map", UTM, *UTM_PLACE, radius_m=160.0, seed=1)
    found = Map.open(folder)
    found.attribution = "Town <of> \x07tiles"
    return found


@pytest.fixture(scope="module")
def client(source):
    app = FastAPI()
    add_problem_handlers(app)
    app.include_router(tile_routes(source, source.grid, name="town"))
    return TestClient(app, base_url="http://maps.example.org/where", root_path="/where", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def web(source):
    return WebTiles(source)


def path_of(web, z):
    x, y = (int(v * 2**z) for v in world_of(*web.source.grid.region.centre))
    return f"{z}/{x}/{y}"


def image_of(answer):
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


@pytest.mark.parametrize(("ending", "kind", "pixels"), [
    (".jpg", "image/jpeg", 256), (".png", "image/png", 256), (".webp", "image/webp", 256), ("", "image/jpeg", 256),
    ("@2x.jpg", "image/jpeg", 512), ("@2x", "image/jpeg", 512)])
def test_a_tile_in_every_format(client, web, ending, kind, pixels):
    path = path_of(web, web.max_zoom)
    answer = client.get(f"/tiles/map/{path}{ending}")
    assert answer.status_code == 200 and answer.headers["content-type"] == kind
    drawn = web.draw(*map(int, path.split("/")), pixels)
    assert np.abs(image_of(answer)[..., :3].astype(int) - drawn.rgb).mean() < 8


def test_what_the_client_has_is_not_sent_again(client, web):
    path = path_of(web, web.max_zoom)
    tags = set()
    for url in (f"/tiles/map/{path}.jpg", f"/tiles/map/{path}.png", f"/tiles/map/{path}@2x.png", f"/tiles/grid/1/{path}.png",
                f"/tiles/grid/2/{path}.png", "/tiles/map.json", "/tiles/grid/0.json", "/wmts/1.0.0/WMTSCapabilities.xml"):
        first = client.get(url)
        tag = first.headers["etag"]
        for known in (tag, f'"other", W/{tag}', "*"):
            again = client.get(url, headers={"If-None-Match": known})
            assert again.status_code == 304 and not again.content and again.headers["etag"] == tag
        assert client.get(url, headers={"If-None-Match": '"other"'}).content == first.content
        tags.add(tag)
    assert len(tags) == 8


def test_304_needs_no_drawing(client, web, monkeypatch):
    url = f"/tiles/map/{path_of(web, web.max_zoom - 1)}.webp"
    tag = client.get(url).headers["etag"]
    monkeypatch.setattr(WebTiles, "draw", lambda *_: pytest.fail("drawn"))
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304


def test_addresses_with_a_version_are_kept_for_good(client, web):
    described = client.get("/tiles/map.json").json()
    url = described["tiles"][0].removeprefix("http://maps.example.org/where")
    z, x, y = path_of(web, web.max_zoom).split("/")
    url = url.format(z=z, x=x, y=y)
    assert "immutable" in client.get(url).headers["cache-control"]
    assert "immutable" not in client.get(url[:-3]).headers["cache-control"]


def test_the_version_changes_with_the_map(client, source, tmp_path):
    other = Map.open(build(tmp_path / "map", UTM, *UTM_PLACE, radius_m=30.0, seed=2))
    app = FastAPI()
    app.include_router(tile_routes(other, other.grid))
    assert TestClient(app).get("/tiles/map.json").json()["tiles"][0].partition("?")[2] != \
        client.get("/tiles/map.json").json()["tiles"][0].partition("?")[2]


def test_outside_is_transparent_or_without_content(client, web):
    z = web.max_zoom
    for ending in (".png", ".webp", "", "@2x"):
        answer = client.get(f"/tiles/map/{z}/0/0{ending}")
        assert answer.status_code == 200 and not image_of(answer)[..., 3].any() and len(answer.content) < 500
        assert len(image_of(answer)) == (512 if "@" in ending else 256)
    answer = client.get(f"/tiles/map/{z}/0/0.jpg")
    assert answer.status_code == 204 and not answer.content and answer.headers["etag"]
    assert not image_of(client.get(f"/tiles/grid/1/{z}/0/0.png"))[..., 3].any()
    assert client.get("/tiles/map/0/0/0.png").status_code == 200


@pytest.mark.parametrize("path", [
    "map/31/0/0.png", "map/3/8/0.png", "map/3/0/8.png", "map/-1/0/0.png", "map/a/0/0.png", "map/3/0/a.png", "map/3/0/0.gif",
    "map/3/1e3/0.png", "map/3/0/0@3x.png", "map/3/0/0.png.png", "map/3/0/99999999999.png", "map/3/" + "9" * 5000 + "/0.png",
    "map/" + "9" * 5000 + "/0/0.png", "map/3/0/" + "9" * 5000 + ".png", "map/3/0/0%00.png", "map/3/0/%F0%9F%98%80",
    "map/3/0/٣.png",
    "grid/3/3/0/0.png", "grid/99/3/0/0.png", "grid/-1/3/0/0.png", "grid/1/3/0/0.jpg", "grid/1/3/9/0.png", "grid/7.json",
    "grid/x.json"])
def test_wrong_numbers_are_problems(client, path):
    answer = client.get(f"/tiles/{path}")
    assert answer.status_code in {404, 422} and answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["remedy"] and "Traceback" not in answer.text


def test_tilejson(client, web):
    described = client.get("/tiles/map.json").json()
    assert described["tilejson"] == "3.0.0" and described["scheme"] == "xyz"
    assert (described["minzoom"], described["maxzoom"]) == (web.min_zoom, web.max_zoom)
    assert described["attribution"] == "Town &lt;of&gt; \\x07tiles"
    assert described["tiles"][0].startswith("http://maps.example.org/where/tiles/map/{z}/{x}/{y}?v=")
    west, south, east, north = described["bounds"]
    assert west < described["center"][0] < east and south < described["center"][1] < north
    cells = client.get("/tiles/grid/2.json").json()
    assert cells["tiles"][0].startswith("http://maps.example.org/where/tiles/grid/2/{z}/{x}/{y}.png?v=")
    assert cells["minzoom"] <= cells["maxzoom"] and "20 m" in cells["name"] and cells["attribution"] == described["attribution"]


def test_wmts_capabilities_lead_to_tiles(client, web):
    answer = client.get("/wmts/1.0.0/WMTSCapabilities.xml")
    root = ElementTree.fromstring(answer.content)
    layers = {layer.findtext("ows:Identifier", None, NAMES): layer for layer in root.findall(".//wmts:Layer", NAMES)}
    assert list(layers) == ["map", "grid-0", "grid-1", "grid-2"]
    for name, layer in layers.items():
        assert layer.findtext("ows:Abstract", None, NAMES) == "Town <of> \\x07tiles"
        chosen = layer.findtext(".//wmts:TileMatrixSet", None, NAMES)
        matrices = next(one for one in root.findall("wmts:Contents/wmts:TileMatrixSet", NAMES)
                        if one.findtext("ows:Identifier", None, NAMES) == chosen)
        zooms = [int(one.findtext("ows:Identifier", None, NAMES)) for one in matrices.findall("wmts:TileMatrix", NAMES)]
        limits = layer.findall(".//wmts:TileMatrixLimits", NAMES)
        assert [int(one.findtext("wmts:TileMatrix", None, NAMES)) for one in limits] == zooms == sorted(zooms)
        low, high = (int(limits[-1].findtext(f"wmts:{end}TileRow", None, NAMES)) for end in ("Min", "Max"))
        columns = [int(limits[-1].findtext(f"wmts:{end}TileCol", None, NAMES)) for end in ("Min", "Max")]
        x, y = (int(v) for v in path_of(web, zooms[-1]).split("/")[1:])
        assert low <= y <= high and columns[0] <= x <= columns[1]
        for resource in layer.findall("wmts:ResourceURL", NAMES):
            url = resource.get("template").removeprefix("http://maps.example.org/where")
            for key, value in (("TileMatrix", zooms[-1]), ("TileCol", x), ("TileRow", y)):
                url = url.replace("{" + key + "}", str(value))
            tile = client.get(url)
            assert tile.status_code == 200 and tile.headers["content-type"] == resource.get("format")
            keys = {"SERVICE": "WMTS", "Request": "GetTile", "LAYER": name, "STYLE": "default", "TILEMATRIXSET": chosen,
                    "TileMatrix": zooms[-1], "TileRow": y, "TileCol": x, "Format": resource.get("format")}
            assert client.get("/wmts", params=keys).content == tile.content


@pytest.mark.parametrize("change", [
    {"request": "GetFeatureInfo"}, {"request": ""}, {"layer": "other"}, {"style": "red"}, {"tilematrixset": "other"},
    {"format": "image/gif"}, {"tilematrix": "a"}, {"tilerow": "-1"}, {"tilecol": "9" * 400}, {"tilematrix": "31"},
    {"layer": None}])
def test_wrong_keys_of_wmts_are_problems(client, change):
    keys = {"request": "GetTile", "layer": "map", "tilematrix": "3", "tilerow": "0", "tilecol": "0", **change}
    answer = client.get("/wmts", params={key: value for key, value in keys.items() if value is not None})
    assert answer.status_code in {404, 422} and answer.headers["content-type"] == "application/problem+json"


def test_wmts_by_keys_has_the_same_capabilities(client):
    by_keys = client.get("/wmts", params={"service": "WMTS", "request": "GetCapabilities"})
    assert by_keys.content == client.get("/wmts/1.0.0/WMTSCapabilities.xml").content
