"""WMTS: from a server's capabilities to its address template and layout.

Source: OGC 07-057r7, OpenGIS Web Map Tile Service Implementation Standard, version 1.0.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from justzoomin.errors import JustZoomInError, LayoutError
from justzoomin.maps.layout import TileLayout
from justzoomin.maps.tileserver import TileServer, web_layout
from justzoomin.untrusted import read_limited

MAX_BYTES = 32 << 20
PIXEL_M = 0.00028
"""Edge of the pixel that scale denominators are for. Source: OGC 07-057r7, 6.1."""
_FORMATS = ("image/jpeg", "image/jpg", "image/png", "image/webp")
_LOOSE = 1e-6


def read_capabilities(content: Path | bytes, where: str | None = None, *, layer: str | None = None,
                      matrix_set: str | None = None, **settings: Any) -> TileServer:
    """The tile server that a WMTSCapabilities.xml describes.

    Args:
        content: The file, or its bytes.
        where: Its name for messages.
        layer: Identifier of the layer; may be left out where there is one only.
        matrix_set: Identifier of the tile matrix set; web mercator is preferred, then the layer's first that can be used.
        **settings: Further settings of the `TileServer`, such as its attribution.

    Raises:
        LayoutError: If it is no such file, or the layer cannot be laid out as square tiles whose levels double.
    """
    where = where or (str(content) if isinstance(content, Path) else "WMTS capabilities")
    root = _parse(content, where)
    chosen = _choose(root, layer, where)
    sets = {_text(entry, "Identifier"): entry for entry in _all(root, "TileMatrixSet") if _one(entry, "TileMatrix") is not None}
    offered = [name for link in _children(chosen, "TileMatrixSetLink") if (name := _text(link, "TileMatrixSet")) in sets]
    if matrix_set is not None:
        if matrix_set not in offered:
            raise LayoutError(where, f"the layer has no tile matrix set {matrix_set!r}",
                              f"Sets: {', '.join(offered) or 'none'}.")
        offered = [matrix_set]
    refusals = []
    found: list[tuple[str, TileLayout, tuple[tuple[int, str], ...]]] = []
    for name in offered:
        try:
            found.append((name, *_layout(sets[name], f"{where}: tile matrix set {name}")))
        except JustZoomInError as error:
            refusals.append(error)
    if not found:
        if refusals:
            raise refusals[0]
        raise LayoutError(where, "the layer names no tile matrix set that is there", "Name another layer.")
    name, layout, matrices = min(found, key=lambda entry: entry[1].crs != "epsg:3857")
    settings["attribution"] = settings.get("attribution") or _provider(root)
    return TileServer(_template(root, chosen, name, where), layout=layout, matrices=matrices, **settings)


def _parse(content: Path | bytes, where: str) -> ElementTree.Element:
    """The document, without any document type: entities are how small XML becomes large, and reads other files."""
    from xml.parsers import expat

    def refuse(*_: object) -> None:
        raise LayoutError(where, "it has a document type", "Give the capabilities as the server sends them.")

    try:
        data = read_limited(content, MAX_BYTES) if isinstance(content, Path) else content
    except OSError as error:
        raise LayoutError(where, f"it cannot be read ({error.strerror})", "Give a WMTSCapabilities.xml.") from error
    if len(data) > MAX_BYTES:
        raise LayoutError(where, f"it has more than {MAX_BYTES} bytes", "Give a WMTSCapabilities.xml.")
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
        root = ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise LayoutError(where, f"it is no XML ({error})", "Give a WMTSCapabilities.xml.") from error
    if _tag(root) != "Capabilities":
        raise LayoutError(where, f"it is no WMTS description but <{_tag(root)[:40]}>", "Give a WMTSCapabilities.xml.")
    return root


def _choose(root: ElementTree.Element, layer: str | None, where: str) -> ElementTree.Element:
    contents = _one(root, "Contents")
    layers = {_text(entry, "Identifier"): entry for entry in (_children(contents, "Layer") if contents is not None else ())}
    names = ", ".join(list(layers)[:20]) or "none"
    if layer is None and len(layers) != 1:
        raise LayoutError(where, f"it has {len(layers)} layers", f"Name one: {names}.")
    if layer is not None and layer not in layers:
        raise LayoutError(where, f"it has no layer {layer!r}", f"Layers: {names}.")
    return layers[layer if layer is not None else next(iter(layers))]


def _layout(matrix_set: ElementTree.Element, where: str) -> tuple[TileLayout, tuple[tuple[int, str], ...]]:
    """The layout of a tile matrix set, and the names of its levels.

    Raises:
        LayoutError: If it cannot be one: degrees, tiles that are no squares, levels that do not double, several corners.
    """
    import pyproj

    stated = _text(matrix_set, "SupportedCRS")
    match = re.search(r"EPSG:(?:[\d.]*:)?(\d+)$", stated)
    crs = f"epsg:{match[1]}" if match else stated
    crs = "epsg:3857" if crs in {"epsg:900913", "epsg:3785"} else crs
    try:
        projection = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise LayoutError(where, f"PROJ does not know {stated[:80]!r}", "Name another tile matrix set.") from error
    if not projection.is_projected:
        raise LayoutError(where, f"{stated[:80]} counts degrees", "Name a tile matrix set of a projection in metres.")
    north_first = projection.axis_info[0].direction == "north"
    unit_m = projection.axis_info[0].unit_conversion_factor
    levels = sorted((_matrix(entry, where) for entry in _children(matrix_set, "TileMatrix")), key=lambda m: -m[1])
    (_, coarse, corner, tile_px, _), first = levels[0], 0
    matrices = []
    for name, scale, place, pixels, _ in levels:
        step = math.log2(coarse / scale)
        apart = max(abs(a - b) for a, b in zip(place, corner, strict=True))
        if abs(step - round(step)) > 1e-4 or pixels != tile_px or apart > _LOOSE * max(1.0, *map(abs, corner)):
            raise LayoutError(where, f"level {name} does not fit the level {levels[0][0]}: scales must double, and all levels "
                              "begin at one corner with tiles of one size",
                              "Name another tile matrix set, or build a map from rasters.")
        matrices.append((round(step), name))
    if len({level for level, _ in matrices}) != len(matrices):
        raise LayoutError(where, "two levels have the same scale", "Name another tile matrix set.")
    world = web_layout(0, 30)
    tile = coarse * PIXEL_M / unit_m * tile_px
    if crs == "epsg:3857":
        depth = math.log2(world.tile_shape_crs[0] / tile)
        if abs(depth - round(depth)) < 1e-4 and max(abs(abs(c) - world.size_crs[0] / 2) for c in corner) < 1.0:  # type: ignore[index]
            first = round(depth)
            named = tuple((level + first, name) for level, name in matrices)
            return web_layout(first, max(level for level, _ in named), tile_px), named
    columns, rows = levels[0][4]
    size = (rows * tile, columns * tile) if north_first else (columns * tile, rows * tile)
    origin = (corner[0] - size[0], corner[1]) if north_first else (corner[0], corner[1] - size[1])
    layout = TileLayout(crs=crs, tile_shape_px=(tile_px, tile_px), tile_shape_crs=(tile, tile), origin_crs=origin,
                        size_crs=size, tile_axes=("east", "south"), min_zoom=0, max_zoom=max(level for level, _ in matrices))
    return layout, tuple(matrices)


def _matrix(entry: ElementTree.Element, where: str) -> tuple[str, float, tuple[float, float], int, tuple[int, int]]:
    """A level: name, scale denominator, top left corner in the projection's axis order, tile size, tiles across and down."""
    name = _text(entry, "Identifier")
    try:
        scale = float(_text(entry, "ScaleDenominator"))
        first, second = (float(part) for part in _text(entry, "TopLeftCorner").split())
        width, height, columns, rows = (int(_text(entry, key))
                                        for key in ("TileWidth", "TileHeight", "MatrixWidth", "MatrixHeight"))
    except ValueError as error:
        raise LayoutError(f"{where}: level {name}", "its numbers cannot be read", "Name another tile matrix set.") from error
    sound = math.isfinite(scale) and 0 < scale < 1e12 and all(math.isfinite(v) and abs(v) < 1e10 for v in (first, second))
    if not sound or width != height or not 0 < width <= 4096 or not (0 < columns < 2**40 and 0 < rows < 2**40):
        raise LayoutError(f"{where}: level {name}", "its tiles are no squares, or its numbers make no sense",
                          "Name another tile matrix set.")
    return name, scale, (first, second), width, (columns, rows)


def _template(root: ElementTree.Element, layer: ElementTree.Element, matrix_set: str, where: str) -> str:
    """The address template of a layer: that of its resources, or one of requests with keys and values."""
    formats = [form for form in _FORMATS if form in {(e.text or "").strip().lower() for e in _children(layer, "Format")}]
    styles = _children(layer, "Style")
    default = next((s for s in styles if s.get("isDefault", "").lower() == "true"), styles[0] if styles else None)
    style = _text(default, "Identifier") if default is not None else ""
    values = {"tilematrixset": matrix_set, "style": style, "layer": _text(layer, "Identifier")}
    values.update({_text(entry, "Identifier").lower(): _text(entry, "Default") for entry in _children(layer, "Dimension")})
    tiles = [e for e in _children(layer, "ResourceURL") if e.get("resourceType") == "tile" and e.get("template")]
    tiles = [e for e in tiles if e.get("format", "").lower() in _FORMATS]
    if tiles:
        best = min(tiles, key=lambda e: _FORMATS.index(e.get("format", "").lower()))
        return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1].lower(), m[0]), best.get("template", ""))
    address = _get_tile(root)
    if address is None or not formats:
        raise LayoutError(where, "the layer has no address of jpeg, png or webp tiles", "Name another layer.")
    query = urlencode({"SERVICE": "WMTS", "REQUEST": "GetTile", "VERSION": "1.0.0", "LAYER": values["layer"], "STYLE": style,
                       "FORMAT": formats[0], "TILEMATRIXSET": matrix_set}, safe="/:")
    join = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{join}{query}&TILEMATRIX={{TileMatrix}}&TILEROW={{TileRow}}&TILECOL={{TileCol}}"


def _get_tile(root: ElementTree.Element) -> str | None:
    for operation in _all(root, "Operation"):
        if operation.get("name") == "GetTile":
            for get in _all(operation, "Get"):
                allowed = [(value.text or "").strip().upper() for value in _all(get, "Value")]
                if not allowed or "KVP" in allowed:
                    return get.get("{http://www.w3.org/1999/xlink}href")
    return None


def _provider(root: ElementTree.Element) -> str:
    """Whom the document names: its provider."""
    provider = _one(root, "ServiceProvider")
    return " ".join(_text(provider, "ProviderName").split())[:500] if provider is not None else ""


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [child for child in element if _tag(child) == tag]


def _one(element: ElementTree.Element, tag: str) -> ElementTree.Element | None:
    return next(iter(_children(element, tag)), None)


def _all(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    return (child for child in element.iter() if _tag(child) == tag)


def _text(element: ElementTree.Element, tag: str) -> str:
    child = _one(element, tag)
    return (child.text or "").strip() if child is not None else ""
