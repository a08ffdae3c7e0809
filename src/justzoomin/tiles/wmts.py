"""WMTS: from a server's capabilities to its address template and layout.

Nothing in the document is expanded: its words are inserted into the address, and environment variables are refused.

Source: OGC 07-057r7, OpenGIS Web Map Tile Service Implementation Standard, version 1.0.0.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from justzoomin.errors import ConfigError, JustZoomInError, LayoutError
from justzoomin.tiles.layout import TileLayout
from justzoomin.tiles.server import Matrix, TileServer
from justzoomin.tiles.wmtsgrid import OTHER_SET, PIXEL_M, Rectangle, read_limits, set_layout
from justzoomin.tiles.xmltree import children, everywhere, one, parse, tag, text
from justzoomin.untrusted import printable

__all__ = ["MAX_BYTES", "PIXEL_M", "read_capabilities"]
MAX_BYTES = 32 << 20
_FORMATS = ("image/jpeg", "image/jpg", "image/png", "image/webp")
_SHOWN = 20


def read_capabilities(content: Path | bytes, where: str | None = None, *, layer: str | None = None,
                      matrix_set: str | None = None, **settings: Any) -> TileServer:
    """Return the tile server that a WMTSCapabilities.xml describes.

    Args:
        content: The file, or its bytes.
        where: Its name for messages.
        layer: Identifier of the layer; not needed if there is only one.
        matrix_set: Identifier of the tile matrix set; default: web mercator, else the layer's first usable one.
        **settings: Further settings of the `TileServer`, such as its attribution.

    Raises:
        LayoutError: If it is not such a file, or the layer lacks square tiles or levels that double.
        ConfigError: If the address that it states is not valid, or names environment variables.
    """
    where = where or (str(content) if isinstance(content, Path) else "WMTS capabilities")
    root = parse(content, where, MAX_BYTES, "Give a WMTSCapabilities.xml.")
    if tag(root) != "Capabilities":
        raise LayoutError(where, f"it is not a WMTS description but <{printable(tag(root), 40)}>",
                          "Give a WMTSCapabilities.xml.")
    chosen = _choose(root, layer, where)
    described = (entry for entry in everywhere(root, "TileMatrixSet") if one(entry, "TileMatrix") is not None)
    sets = {text(entry, "Identifier"): entry for entry in described}
    offered = {name: link for link in children(chosen, "TileMatrixSetLink") if (name := text(link, "TileMatrixSet")) in sets}
    if matrix_set is not None and matrix_set not in offered:
        raise LayoutError(where, f"the layer has no tile matrix set {matrix_set!r}", f"Sets: {_names(offered)}.")
    refusals = []
    found: list[tuple[str, TileLayout, tuple[Matrix, ...]]] = []
    for name, link in offered.items():
        if matrix_set in (None, name):
            at = f"{where}: tile matrix set {printable(name, 60)}"
            try:
                found.append((name, *set_layout(sets[name], at, read_limits(link, at), _area(chosen))))
            except JustZoomInError as error:
                refusals.append(error)
    if not found:
        if refusals:
            first = refusals[0]
            remedy = f"{first.remedy} The layer has: {_names(offered)}." if first.remedy == OTHER_SET else first.remedy
            raise LayoutError(first.where, first.what, remedy) from first
        raise LayoutError(where, "the layer names no tile matrix set of this file", "Name another layer with --layer.")
    name, layout, matrices = min(found, key=lambda entry: entry[1].crs != "epsg:3857")
    settings["attribution"] = settings.get("attribution") or _provider(root)
    template = _template(root, chosen, name, where)
    try:
        return TileServer(template, layout=layout, matrices=matrices, variables="none", **settings)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.where}", error.what, error.remedy) from error


def _choose(root: ElementTree.Element, layer: str | None, where: str) -> ElementTree.Element:
    contents = one(root, "Contents")
    layers = {text(entry, "Identifier"): entry for entry in (children(contents, "Layer") if contents is not None else ())}
    if layer is None and len(layers) != 1:
        raise LayoutError(where, f"it has {len(layers)} layers", f"Name one of them with --layer: {_names(layers)}.")
    if layer is not None and layer not in layers:
        raise LayoutError(where, f"it has no layer {layer!r}", f"Layers: {_names(layers)}.")
    return layers[layer if layer is not None else next(iter(layers))]


def _names(entries: dict[str, ElementTree.Element]) -> str:
    """Return the names as a text for messages."""
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return ", ".join(printable(name, 60) for name in list(entries)[:_SHOWN]) + more or "none"


def _area(layer: ElementTree.Element) -> Rectangle | None:
    """Return the area that a layer states, in degrees; None if it states none, or one that is not valid."""
    box = one(layer, "WGS84BoundingBox")
    try:
        west, south = (float(part) for part in text(box, "LowerCorner").split()) if box is not None else (0.0, 0.0)
        east, north = (float(part) for part in text(box, "UpperCorner").split()) if box is not None else (0.0, 0.0)
    except ValueError:
        return None
    return (west, south, east, north) if -180 <= west < east <= 180 and -90 <= south < north <= 90 else None


def _template(root: ElementTree.Element, layer: ElementTree.Element, matrix_set: str, where: str) -> str:
    """Return the address template of a layer: that of its resources, or a query with keys and values."""
    formats = [form for form in _FORMATS if form in {(e.text or "").strip().lower() for e in children(layer, "Format")}]
    styles = children(layer, "Style")
    default = next((s for s in styles if s.get("isDefault", "").lower() == "true"), styles[0] if styles else None)
    style = text(default, "Identifier") if default is not None else ""
    values = {text(entry, "Identifier").lower(): text(entry, "Default") for entry in children(layer, "Dimension")}
    values = {**values, "tilematrixset": matrix_set, "style": style, "layer": text(layer, "Identifier")}
    tiles = [e for e in children(layer, "ResourceURL") if e.get("resourceType") == "tile" and e.get("template")]
    tiles = [e for e in tiles if e.get("format", "").lower() in _FORMATS]
    if tiles:
        best = min(tiles, key=lambda e: _FORMATS.index(e.get("format", "").lower()))
        # Quoted, because a name with braces or a dollar sign must not become a placeholder.
        quoted = {key: quote(value, safe="/:,;@") for key, value in values.items()}
        return re.sub(r"(?<!\$)\{(\w+)\}", lambda m: quoted.get(m[1].lower(), m[0]), best.get("template", ""))
    address = _get_tile(root)
    if address is None or not formats:
        raise LayoutError(where, "the layer has no address for jpeg, png or webp tiles", "Name another layer with --layer.")
    query = urlencode({"SERVICE": "WMTS", "REQUEST": "GetTile", "VERSION": "1.0.0", "LAYER": values["layer"], "STYLE": style,
                       "FORMAT": formats[0], "TILEMATRIXSET": matrix_set}, safe="/:")
    join = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{join}{query}&TILEMATRIX={{TileMatrix}}&TILEROW={{TileRow}}&TILECOL={{TileCol}}"


def _get_tile(root: ElementTree.Element) -> str | None:
    for operation in everywhere(root, "Operation"):
        if operation.get("name") == "GetTile":
            for get in everywhere(operation, "Get"):
                allowed = [(value.text or "").strip().upper() for value in everywhere(get, "Value")]
                if not allowed or "KVP" in allowed:
                    return get.get("{http://www.w3.org/1999/xlink}href")
    return None


def _provider(root: ElementTree.Element) -> str:
    """Return the provider that the document names."""
    provider = one(root, "ServiceProvider")
    return printable(text(provider, "ProviderName"), 500) if provider is not None else ""
