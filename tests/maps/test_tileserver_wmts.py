"""What a WMTSCapabilities.xml says becomes a layout and an address, or is refused in words."""

import math

import numpy as np
import pytest
from map_builders import UTM, UTM_PLACE, XYZ_PLACE, build
from tile_http import serving

from justzoomin.errors import LayoutError
from justzoomin.geometry import load_grid
from justzoomin.maps import Map, TileServer, read_capabilities, tilefetch
from justzoomin.maps.wmts import PIXEL_M


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
    from justzoomin.maps import ServerSource, TileId
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
    (b"<html/>", "no WMTS description but <html>"), (b"no xml", "no XML"), (b"", "no XML"),
    (document(web(), ["GoogleMapsCompatible"], resource=by_path("https://e.org"), layers=2),
     "2 layers.*Name one: ortho, ortho1"),
    (document(web(), ["other"], resource=by_path("https://e.org")), "names no tile matrix set"),
    (document(web(), ["GoogleMapsCompatible"]), "no address of jpeg, png or webp"),
    (document(matrices("d", "urn:ogc:def:crs:OGC:1.3:CRS84", [("0", 2e8)], (-180.0, 90.0)), ["d"],
              resource=by_path("https://e.org")), "counts degrees"),
    (document(matrices("m", "EPSG:32633", [("0", 1e6), ("1", 4e5)], (0.0, 6e6)), ["m"], resource=by_path("https://e.org")),
     "level 1 does not fit the level 0: scales must double"),
    (document(matrices("m", "EPSG:99999999", [("0", 1e6)], (0.0, 6e6)), ["m"], resource=by_path("https://e.org")), "PROJ"),
    (document(matrices("m", "EPSG:32633", [("0", math.nan)], (0.0, 6e6)), ["m"], resource=by_path("https://e.org")),
     "no sense"),
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
