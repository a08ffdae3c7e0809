"""What a WMTSCapabilities.xml says becomes a layout and an address, or is refused in words."""

import math
from urllib.parse import quote

import numpy as np
import pyproj
import pytest

from justzoomin.errors import ConfigError, LayoutError
from justzoomin.geometry import load_grid
from justzoomin.maps import Map
from justzoomin.tiles import ServerSource, TileId, TileProjection, TileServer, read_capabilities
from justzoomin.tiles import fetch as tilefetch
from justzoomin.tiles.wmts import PIXEL_M
from map_builders import UTM, UTM_PLACE, XYZ_PLACE, build
from tile_http import serving


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    pace = tilefetch.Pace(sleep=lambda _: None)
    monkeypatch.setattr(tilefetch, "shared_pace", lambda: pace)


def matrices(name, crs, scales, corner, tile=256, count=1):
    rows = "".join(f"""<TileMatrix><ows:Identifier>{identifier}</ows:Identifier><ScaleDenominator>{scale!r}</ScaleDenominator>
        <TopLeftCorner>{corner[0]!r} {corner[1]!r}</TopLeftCorner><TileWidth>{tile}</TileWidth><TileHeight>{tile}</TileHeight>
        <MatrixWidth>{count * 2**k}</MatrixWidth><MatrixHeight>{count * 2**k}</MatrixHeight></TileMatrix>"""
                   for k, (identifier, scale) in enumerate(scales))
    return (f"<TileMatrixSet><ows:Identifier>{name}</ows:Identifier><ows:SupportedCRS>{crs}</ows:SupportedCRS>{rows}"
            "</TileMatrixSet>")


def web(name="GoogleMapsCompatible", levels=range(19)):
    half = 20037508.342789244
    return matrices(name, "urn:ogc:def:crs:EPSG::3857", [(z, 559082264.0287178 / 2**z) for z in levels], (-half, half))


def document(sets, links, *, resource="", layers=1, style="default", get="", extra="", head=""):
    layer = "".join(f"""<Layer><ows:Identifier>ortho{k or ''}</ows:Identifier>
        <Style isDefault="true"><ows:Identifier>{style}</ows:Identifier></Style><Format>image/png</Format>
        {''.join(f'<TileMatrixSetLink><TileMatrixSet>{link}</TileMatrixSet></TileMatrixSetLink>' for link in links)}
        {resource}{extra}</Layer>""" for k in range(layers))
    operation = f"""<ows:OperationsMetadata><ows:Operation name="GetTile"><ows:DCP><ows:HTTP><ows:Get xlink:href="{get}">
        <ows:Constraint name="GetEncoding"><ows:AllowedValues><ows:Value>KVP</ows:Value></ows:AllowedValues></ows:Constraint>
        </ows:Get></ows:HTTP></ows:DCP></ows:Operation></ows:OperationsMetadata>""" if get else ""
    return f"""<?xml version="1.0"?>{head}<Capabilities xmlns="http://www.opengis.net/wmts/1.0"
        xmlns:ows="http://www.opengis.net/ows/1.1" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">
        <ows:ServiceProvider><ows:ProviderName>Survey of Nowhere</ows:ProviderName></ows:ServiceProvider>{operation}
        <Contents>{layer}{sets}</Contents></Capabilities>""".encode()


SECRETS = {"AWS_SECRET_ACCESS_KEY": "s3cret1", "HF_TOKEN": "s3cret2", "JZI_TOWN_KEY": "s3cret3", "JZI_HOME": "/s3cret4"}


def resource(template):
    return f'<ResourceURL format="image/png" resourceType="tile" template="{template}"/>'


@pytest.mark.parametrize("variable", ["${AWS_SECRET_ACCESS_KEY}", "{env:HF_TOKEN}", "${JZI_TOWN_KEY}", "{env:JZI_HOME}"])
@pytest.mark.parametrize("place", ["template", "style", "dimension", "set", "href", "matrix"])
def test_a_description_never_gets_variables_of_the_environment(variable, place, monkeypatch, tmp_path):
    """A variable in any place of a description is refused, or used only as a name, and its value is never sent."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    at, half = {key: variable if key == place else key for key in ("style", "dimension", "set", "matrix")}, 20037508.342789244
    sets = matrices(at["set"], "EPSG:3857", [(at["matrix"], 559082264.0287178)], (-half, half))
    time = f"<Dimension><ows:Identifier>Time</ows:Identifier><Default>{at['dimension']}</Default></Dimension>"
    template = f"https://e.org/{variable if place == 'template' else 't'}/{{Style}}/{{Time}}/{{TileMatrixSet}}"
    path = tmp_path / "WMTSCapabilities.xml"
    path.write_bytes(document(sets, [at["set"]], style=at["style"], extra=time, get=f"https://e.org/{variable}?",
                              resource="" if place == "href" else resource(template + "/{TileMatrix}/{TileRow}/{TileCol}")))
    try:
        source = ServerSource(read_capabilities(path))
    except ConfigError as error:
        assert place in {"template", "href"}
        assert str(error).startswith(f"{path}: tile server https://e.org/")
        assert "of your environment. A server's description may not use variables." in str(error)
        return
    address = source._template.url(TileId(0, 0, 0), source._matrix_name(0))
    assert place not in {"template", "href"} and "s3cret" not in address
    assert quote(variable, safe=":") in address


def by_path(address):
    return (f'<ResourceURL format="image/png" resourceType="tile" template="{address}/wmts/'
            '{TileMatrix}/{TileRow}/{TileCol}.png"/>')


def test_web_mercator_becomes_the_usual_layout(xyz_map, tmp_path):
    with serving(xyz_map) as http:
        path = tmp_path / "WMTSCapabilities.xml"
        path.write_bytes(document(web() + matrices("UTM", "urn:ogc:def:crs:EPSG::32633", [("0", 1e6)], (0.0, 6e6)),
                                  ["UTM", "GoogleMapsCompatible"], resource=by_path(http.address)))
        opened = Map.open(path, load_grid(xyz_map / "region.yaml"))
        assert http.log == [] and opened.attribution == "Survey of Nowhere"
        assert opened.layout.same_place(Map.open(xyz_map).layout) and opened.layout.max_zoom == 18
        assert np.array_equal(opened.view(*XYZ_PLACE, 300, 96).pixels, Map.open(xyz_map).view(*XYZ_PLACE, 300, 96).pixels)


def test_requests_with_keys_and_names_of_levels(xyz_map):
    half = 20037508.342789244
    named = matrices("web", "EPSG:3857", [(f"EPSG:3857:{z}", 559082264.0287178 / 2**z) for z in range(5, 19)], (-half, half))
    server = read_capabilities(document(named, ["web"], get="https://example.org/wmts?"), attribution="Somebody")
    assert server.layout.min_zoom == 5 and server.attribution == "Somebody"
    source = ServerSource(server)
    url = source._template.url(TileId(7, 3, 4), "EPSG:3857:7")
    assert url == ("https://example.org/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=ortho&STYLE=default"
                   "&FORMAT=image/png&TILEMATRIXSET=web&TILEMATRIX=EPSG:3857:7&TILEROW=4&TILECOL=3")
    assert source.describe(TileId(7, 3, 4)) == url


def test_a_local_projection_gives_the_views_of_the_folder(tmp_path):
    """A generated UTM map, served as WMTS whose matrices begin at the same corner."""
    from dataclasses import replace

    layout = replace(UTM, path="{zoom}/{x}/{y}.png", min_zoom=0, max_zoom=3, tile_shape_crs=(160.0, 160.0))
    folder = build(tmp_path / "utm", layout, *UTM_PLACE, radius_m=120.0, seed=8)
    west, south = layout.origin_crs
    scales = [(k, 160.0 / 100 / 2**k / PIXEL_M) for k in range(4)]
    sets = matrices("UTM33", "urn:ogc:def:crs:EPSG::32633", scales, (west, south + layout.size_crs[1]), tile=100, count=500)
    with serving(folder) as http:
        server = read_capabilities(document(sets, ["UTM33"], resource=by_path(http.address)))
        assert server.layout.tile_shape_crs[0] == pytest.approx(160.0)
        remote, local = Map.open(server, load_grid(folder / "region.yaml")), Map.open(folder)
        for size in (150.0, 40.0):
            a, b = remote.view(*UTM_PLACE, size, 90), local.view(*UTM_PLACE, size, 90)
            assert a.level == b.level and a.no_data == b.no_data == 0.0
            assert np.abs(a.pixels.astype(int) - b.pixels).max() <= 1  # scale denominators round
        assert http.log


@pytest.mark.parametrize(("made", "words"), [
    (b"<html/>", "not a WMTS description but <html>"), (b"no xml", "not XML"), (b"", "not XML"),
    (document(web(), ["GoogleMapsCompatible"], resource=by_path("https://e.org"), layers=2),
     "2 layers.*Name one of them with --layer: ortho, ortho1"),
    (document(web(), ["other"], resource=by_path("https://e.org")), "names no tile matrix set"),
    (document(web(), ["GoogleMapsCompatible"]), "no address for jpeg, png or webp"),
    (document(matrices("d", "urn:ogc:def:crs:OGC:1.3:CRS84", [("0", 2e8)], (-180.0, 90.0)), ["d"],
              resource=by_path("https://e.org")), "is in degrees"),
    (document(matrices("m", "EPSG:32633", [("0", 1e6), ("1", 4e5)], (0.0, 6e6)), ["m"], resource=by_path("https://e.org")),
     "level 1 does not fit level 0: scales must double"),
    (document(matrices("m", "EPSG:99999999", [("0", 1e6)], (0.0, 6e6)), ["m"], resource=by_path("https://e.org")), "PROJ"),
    (document(matrices("m", "EPSG:32633", [("0", math.nan)], (0.0, 6e6)), ["m"], resource=by_path("https://e.org")),
     "not valid"),
    (document(matrices("m", "EPSG:32633", [("0", 5e-324), ("1", 1e11)], (0.0, 6e6)), ["m"], resource=by_path("https://e.org")),
     "not valid"),
    (document(matrices("m", "EPSG:32633", [("0", 1e6)], (0.0, 6e6), tile="x"), ["m"], resource=by_path("https://e.org")),
     "cannot be read"),
    (document(web(), ["GoogleMapsCompatible"], head="<!DOCTYPE c [<!ENTITY a 'b'>]>"), "document type"),
    (document(web(), ["GoogleMapsCompatible"], head="<!DOCTYPE c SYSTEM 'file:///etc/passwd'>"), "document type"),
])
def test_what_is_refused(made, words):
    with pytest.raises(LayoutError, match=words):
        read_capabilities(made, "caps.xml")


def test_a_layer_is_chosen_by_name():
    made = document(web(), ["GoogleMapsCompatible"], resource=by_path("https://e.org"), layers=2)
    assert isinstance(read_capabilities(made, layer="ortho1"), TileServer)
    with pytest.raises(LayoutError, match="no layer 'x'"):
        read_capabilities(made, layer="x")
    with pytest.raises(LayoutError, match=r"no tile matrix set 'x'.*GoogleMapsCompatible"):
        read_capabilities(made, layer="ortho1", matrix_set="x")


def test_placeholders_of_the_document_are_filled():
    resource = ('<ResourceURL format="image/png" resourceType="tile" template="https://e.org/{Style}/{Time}/{TileMatrixSet}/'
                '{TileMatrix}/{TileRow}/{TileCol}.png"/>')
    time = "<Dimension><ows:Identifier>Time</ows:Identifier><Default>2020</Default></Dimension>"
    server = read_capabilities(document(web(), ["GoogleMapsCompatible"], resource=resource, extra=time))
    assert server.url == "https://e.org/default/2020/GoogleMapsCompatible/{TileMatrix}/{TileRow}/{TileCol}.png"


def local(epsg, west, north, *, north_first, box="", corners=None, crs="urn:ogc:def:crs:EPSG::{}", limits=""):
    """A set of six levels, 2048 m to 64 m a pixel, 4 x 4 tiles of the coarsest; corners as (east, north) of each level."""
    places = corners or [(west, north)] * 6
    rows = "".join(f"""<TileMatrix><ows:Identifier>{z}</ows:Identifier>
        <ScaleDenominator>{2048 / 2**z / PIXEL_M!r}</ScaleDenominator>
        <TopLeftCorner>{' '.join(map(repr, place[::-1] if north_first else place))}</TopLeftCorner><TileWidth>256</TileWidth>
        <TileHeight>256</TileHeight><MatrixWidth>{4 * 2**z}</MatrixWidth><MatrixHeight>{4 * 2**z}</MatrixHeight></TileMatrix>"""
                   for z, place in enumerate(places))
    sets = (f"<TileMatrixSet><ows:Identifier>S</ows:Identifier><ows:SupportedCRS>{crs.format(epsg)}</ows:SupportedCRS>{rows}"
            "</TileMatrixSet>")
    made = document(sets, ["S"], resource=by_path("https://e.org"), extra=box)
    return made.replace(b"<TileMatrixSet>S</TileMatrixSet>", b"<TileMatrixSet>S</TileMatrixSet>" + limits.encode())


def bounding_box(west, south, east, north):
    return (f"<ows:WGS84BoundingBox><ows:LowerCorner>{west} {south}</ows:LowerCorner><ows:UpperCorner>{east} {north}"
            "</ows:UpperCorner></ows:WGS84BoundingBox>")


NATIONAL = [  # projection, its west and north, a place in it
    (2180, 100_000.0, 850_000.0, (52.23, 21.01)), (3006, -1_200_000.0, 8_500_000.0, (59.33, 18.06)),
    (31468, 4_200_000.0, 5_700_000.0, (48.14, 11.58)), (25832, 200_000.0, 6_200_000.0, (48.1, 11.5))]


@pytest.mark.parametrize("north_first", [True, False])
@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize(("epsg", "west", "north", "place"), NATIONAL)
def test_a_place_has_the_tile_that_its_projection_says(epsg, west, north, place, box, north_first):
    """Whatever the projection counts first, and in which order the document has the corner: rows run south, columns east."""
    lat, lon = place
    extra = bounding_box(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1) if box else ""
    layout = read_capabilities(local(epsg, west, north, north_first=north_first, box=extra)).layout
    e, n = pyproj.Transformer.from_crs("epsg:4326", f"epsg:{epsg}", always_xy=True).transform(lon, lat)
    projection = TileProjection(layout)
    for level in range(6):
        edge = 256 * 2048 / 2**level
        assert projection.position_to_tile(lat, lon, level) == pytest.approx([(e - west) / edge, (north - n) / edge], abs=1e-6)
    assert projection.to_latlon(projection.tile_to_crs([0.0, 0.0], 5)) == pytest.approx(
        pyproj.Transformer.from_crs(f"epsg:{epsg}", "epsg:4326", always_xy=True).transform(west, north)[::-1])


def test_every_level_may_begin_at_a_corner_of_its_own():
    """Some servers move the corner by metres from level to level: no level is a metre off."""
    corners = [(100_000.0 + 3.7 * z, 850_000.0 - 2.3 * z) for z in range(6)]
    server = read_capabilities(local(2180, 0, 0, north_first=True, corners=corners))
    projection = TileProjection(ServerSource(server).layout)
    lat, lon = 52.23, 21.01
    e, n = pyproj.Transformer.from_crs("epsg:4326", "epsg:2180", always_xy=True).transform(lon, lat)
    for level, (west, north) in enumerate(corners):
        edge = 256 * 2048 / 2**level
        assert projection.position_to_tile(lat, lon, level) == pytest.approx([(e - west) / edge, (north - n) / edge], abs=1e-6)


def test_tiles_that_lie_elsewhere_are_refused():
    made = local(2180, 5_000_000.0, 9_000_000.0, north_first=True)
    with pytest.raises(LayoutError, match=r"set S: its tiles begin at 9e\+06 5e\+06 and do not touch the area.*--matrix-set"):
        read_capabilities(made)


@pytest.mark.parametrize("stated", [
    "urn:ogc:def:crs:EPSG::3857", "urn:ogc:def:crs:EPSG:6.18:3:3857", "urn:ogc:def:crs:EPSG:6.18.3:3857", "EPSG:3857",
    "urn:x-ogc:def:crs:EPSG:3857", "http://www.opengis.net/def/crs/EPSG/0/3857", "3857",
    "https://www.opengis.net/def/crs/EPSG/9.9.1/3857", "http://www.opengis.net/gml/srs/epsg.xml#3857", "EPSG:102100",
    "urn:ogc:def:crs:ESRI::102100", "urn:ogc:def:crs:EPSG::900913", " epsg:3857\n"])
@pytest.mark.parametrize("turned", [False, True])
def test_spellings_of_web_mercator(stated, turned):
    half = 20037508.3427892
    corner = (half, -half) if turned else (-half, half)
    made = document(matrices("S", stated, [(z, 559082264.0287178 / 2**z) for z in range(12)], corner), ["S"],
                    resource=by_path("https://e.org"))
    layout = read_capabilities(made).layout
    assert layout.preset == "XYZ" and (layout.min_zoom, layout.max_zoom) == (0, 11)


@pytest.mark.parametrize(("stated", "crs"), [
    ("urn:ogc:def:crs:EPSG:8.9:3006", "epsg:3006"), ("IGNF:LAMB93", "IGNF:LAMB93"), ("EPSG:102014", "ESRI:102014")])
def test_spellings_of_other_projections(stated, crs):
    places = {"epsg:3006": (-1_200_000.0, 8_500_000.0), "IGNF:LAMB93": (0.0, 7_200_000.0), "ESRI:102014": (-3e6, 3_600_000.0)}
    assert read_capabilities(local(0, *places[crs], north_first=crs == "epsg:3006", crs=stated)).layout.crs == crs


def test_tiles_beyond_the_limits_of_a_layer_are_not_asked_for(xyz_map):
    """Of the levels that the limits name, their tiles; of others nothing."""
    limits = """<TileMatrixSetLimits><TileMatrixLimits><TileMatrix>S:4</TileMatrix><MinTileRow>3</MinTileRow>
        <MaxTileRow>5</MaxTileRow><MinTileCol>7</MinTileCol><MaxTileCol>99999</MaxTileCol></TileMatrixLimits></TileMatrixSetLimits>"""
    made = local(2180, 100_000.0, 850_000.0, north_first=True, limits=limits)
    with serving(xyz_map) as http:
        source = ServerSource(read_capabilities(made.replace(b"https://e.org", http.address.encode())))
        assert source.levels() == (0,), "the only level that there is"
        for x, y in ((6, 4), (64, 4), (7, 2), (63, 6)):
            assert source.read(TileId(0, x, y)) is None
        assert http.log == []
        assert source.read(TileId(0, 7, 3)) is source.read(TileId(0, 63, 5)) is None
        assert http.log == ["/wmts/4/3/7.png", "/wmts/4/5/63.png"]


def test_the_tile_matrix_set_can_be_named():
    sets = web() + matrices("UTM", "EPSG:25832", [(z, 2e6 / 2**z) for z in range(8)], (200_000.0, 6_200_000.0))
    made = document(sets, ["GoogleMapsCompatible", "UTM"], resource=by_path("https://e.org"))
    assert read_capabilities(made).layout.crs == "epsg:3857"
    assert read_capabilities(made, matrix_set="UTM").layout.crs == "epsg:25832"
