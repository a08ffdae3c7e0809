"""What a WMTS server offers, as XML. Source: OGC 07-057r7, Web Map Tile Service 1.0.0."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from justzoomin.apps.server.tile_service import TileLayer
from justzoomin.geometry import EARTH_RADIUS_M
from justzoomin.maps import world_of

Element = ElementTree.Element
_WMTS, _OWS, _XLINK = "http://www.opengis.net/wmts/1.0", "http://www.opengis.net/ows/1.1", "http://www.w3.org/1999/xlink"
_CRS = "urn:ogc:def:crs:EPSG::3857"
_SCALE = 559_082_264.028_717_8
"""Scale denominator of zoom level 0: pixels of 0.28 mm, as the standard says."""
_HALF_WORLD_M = math.pi * EARTH_RADIUS_M
STYLE = "default"


def layer_name(layer: TileLayer) -> str:
    """Return the identifier of a layer."""
    return layer.key.replace("/", "-")


def matrix_set(layer: TileLayer) -> str:
    """Return the identifier of the tile matrix set of a layer: the zoom levels of web maps that have content."""
    return f"WebMercatorQuad-{layer.min_zoom}-{layer.max_zoom}"


def capabilities(layers: list[TileLayer], base: str, title: str, attribution: str | None) -> bytes:
    """Return the capabilities.

    Args:
        layers: The layers.
        base: Address of the service, without a slash at the end.
        title: Title of the service.
        attribution: Whom to name.
    """
    for prefix, space in (("", _WMTS), ("ows", _OWS), ("xlink", _XLINK)):
        ElementTree.register_namespace(prefix, space)
    root = Element(f"{{{_WMTS}}}Capabilities", {"version": "1.0.0"})
    service = _add(root, _OWS, "ServiceIdentification")
    _add(service, _OWS, "Title", title)
    if attribution:
        _add(service, _OWS, "Abstract", attribution)
    _add(service, _OWS, "ServiceType", "OGC WMTS")
    _add(service, _OWS, "ServiceTypeVersion", "1.0.0")
    _add(service, _OWS, "Fees", "none")
    _add(service, _OWS, "AccessConstraints", attribution or "none")
    operations = _add(root, _OWS, "OperationsMetadata")
    for name in ("GetCapabilities", "GetTile"):
        operation = _add(operations, _OWS, "Operation", name=name)
        http = _add(_add(operation, _OWS, "DCP"), _OWS, "HTTP")
        get = _add(http, _OWS, "Get")
        get.set(f"{{{_XLINK}}}href", f"{base}/wmts?")
        values = _add(_add(get, _OWS, "Constraint", name="GetEncoding"), _OWS, "AllowedValues")
        _add(values, _OWS, "Value", "KVP")
    contents = _add(root, _WMTS, "Contents")
    for layer in layers:
        _layer(contents, layer, base, attribution)
    for name, layer in {matrix_set(layer): layer for layer in layers}.items():
        _matrices(contents, name, layer)
    _add(root, _WMTS, "ServiceMetadataURL").set(f"{{{_XLINK}}}href", f"{base}/wmts/1.0.0/WMTSCapabilities.xml")
    return bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True))


def _layer(contents: Element, layer: TileLayer, base: str, attribution: str | None) -> None:
    west, south, east, north = layer.bounds
    entry = _add(contents, _WMTS, "Layer")
    _add(entry, _OWS, "Title", layer.title)
    if attribution:
        _add(entry, _OWS, "Abstract", attribution)
    degrees = _add(entry, _OWS, "WGS84BoundingBox")
    _add(degrees, _OWS, "LowerCorner", f"{west:.8f} {south:.8f}")
    _add(degrees, _OWS, "UpperCorner", f"{east:.8f} {north:.8f}")
    _add(entry, _OWS, "Identifier", layer_name(layer))
    left, top, right, bottom = (float(v) for pair in (world_of(north, west), world_of(south, east)) for v in pair)
    metres = _add(entry, _OWS, "BoundingBox", crs=_CRS)
    for name, x, y in (("LowerCorner", left, bottom), ("UpperCorner", right, top)):
        _add(metres, _OWS, name, f"{(2 * x - 1) * _HALF_WORLD_M:.4f} {(1 - 2 * y) * _HALF_WORLD_M:.4f}")
    style = _add(entry, _WMTS, "Style", isDefault="true")
    _add(style, _OWS, "Identifier", STYLE)
    for _, media_type in layer.formats:
        _add(entry, _WMTS, "Format", media_type)
    link = _add(entry, _WMTS, "TileMatrixSetLink")
    _add(link, _WMTS, "TileMatrixSet", matrix_set(layer))
    limits = _add(link, _WMTS, "TileMatrixSetLimits")
    for z in range(layer.min_zoom, layer.max_zoom + 1):
        limit, last = _add(limits, _WMTS, "TileMatrixLimits"), (1 << z) - 1
        _add(limit, _WMTS, "TileMatrix", str(z))
        for name, low, high in (("Row", top, bottom), ("Col", left, right)):
            for end, value in (("Min", low), ("Max", high)):
                _add(limit, _WMTS, f"{end}Tile{name}", str(min(last, max(0, math.floor(value * (1 << z))))))
    for ending, media_type in layer.formats:
        template = layer.address(base, "{TileMatrix}", "{TileCol}", "{TileRow}", ending)
        _add(entry, _WMTS, "ResourceURL", format=media_type, resourceType="tile", template=template)


def _matrices(contents: Element, name: str, layer: TileLayer) -> None:
    matrices = _add(contents, _WMTS, "TileMatrixSet")
    _add(matrices, _OWS, "Identifier", name)
    _add(matrices, _OWS, "SupportedCRS", _CRS)
    for z in range(layer.min_zoom, layer.max_zoom + 1):
        matrix = _add(matrices, _WMTS, "TileMatrix")
        _add(matrix, _OWS, "Identifier", str(z))
        _add(matrix, _WMTS, "ScaleDenominator", repr(_SCALE / 2**z))
        _add(matrix, _WMTS, "TopLeftCorner", f"{-_HALF_WORLD_M!r} {_HALF_WORLD_M!r}")
        for edge in ("TileWidth", "TileHeight"):
            _add(matrix, _WMTS, edge, "256")
        for edge in ("MatrixWidth", "MatrixHeight"):
            _add(matrix, _WMTS, edge, str(1 << z))


def _add(parent: Element, space: str, tag: str, text: str | None = None, **attributes: str) -> Element:
    child = ElementTree.SubElement(parent, f"{{{space}}}{tag}", attributes)
    child.text = text
    return child
