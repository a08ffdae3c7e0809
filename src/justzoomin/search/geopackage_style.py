"""Default styles of a GeoPackage's layers, in the table from which QGIS takes them when it opens a layer.

Source: QGIS 3.22, tables `layer_styles` of its provider for OGR, and the elements of its QML files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from xml.etree import ElementTree

_TABLE = """
CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN,
    description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')));
"""
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_NONE, _BLUE = "0,0,0,0", "31,120,180,255"


class _Symbol(NamedTuple):
    """How features are drawn: the kind of symbol, its class in QGIS, and its properties."""

    kind: str
    drawer: str
    properties: Mapping[str, str]


def _fill(colour: str, outline: str, width_mm: str = "0.2") -> _Symbol:
    return _Symbol("fill", "SimpleFill", {
        "style": "no" if colour == _NONE else "solid", "color": colour, "outline_color": outline,
        "outline_style": "no" if outline == _NONE else "solid", "outline_width": width_mm, "outline_width_unit": "MM"})


_SINGLE = {
    "answers": _Symbol("marker", "SimpleMarker", {
        "name": "circle", "color": _BLUE, "outline_color": "255,255,255,255", "outline_style": "solid", "outline_width": "0.4",
        "outline_width_unit": "MM", "size": "2.6", "size_unit": "MM"}),
    "cells": _fill(_NONE, _BLUE, "0.4"),
    "headings": _fill("230,97,1,110", _NONE),
    "track": _Symbol("line", "SimpleLine", {"line_color": _BLUE, "line_style": "solid", "line_width": "0.6",
                                            "line_width_unit": "MM", "joinstyle": "round", "capstyle": "round"})}
_BY_PERCENT = {"50": _fill("31,120,180,120", _NONE), "90": _fill("31,120,180,70", _NONE), "95": _fill("31,120,180,40", _BLUE)}


def add_styles(connection: sqlite3.Connection, layers: Iterable[str]) -> None:
    """Write the table of styles with a default style for each layer.

    Args:
        connection: A GeoPackage with the table `gpkg_contents`.
        layers: Names of the layers. Their column of geometries is `geom`.
    """
    connection.executescript(_TABLE)
    connection.execute("INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
                       "VALUES ('layer_styles', 'attributes', 'layer_styles', '', 0)")
    connection.executemany(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, "
        "useAsDefault, description, owner) VALUES ('', '', ?, 'geom', ?, ?, 1, 'Default style', '')",
        [(name, name, style_of(name)) for name in layers])


def style_of(layer: str) -> str:
    """Return the default style of a layer as QML."""
    root = ElementTree.Element("qgis", {"version": "3.22", "styleCategories": "Symbology"})
    common = {"symbollevels": "0", "enableorderby": "0", "forceraster": "0"}
    if layer == "regions":
        renderer = ElementTree.SubElement(root, "renderer-v2", {"type": "categorizedSymbol", "attr": "percent", **common})
        categories = ElementTree.SubElement(renderer, "categories")
        for number, percent in enumerate(_BY_PERCENT):
            ElementTree.SubElement(categories, "category", {"symbol": str(number), "value": percent, "type": "long",
                                                            "label": f"{percent} %", "render": "true"})
        symbols = list(_BY_PERCENT.values())
    else:
        renderer = ElementTree.SubElement(root, "renderer-v2", {"type": "singleSymbol", **common})
        symbols = [_SINGLE[layer]]
    drawn = ElementTree.SubElement(renderer, "symbols")
    for number, symbol in enumerate(symbols):
        whole = ElementTree.SubElement(drawn, "symbol", {"type": symbol.kind, "name": str(number), "alpha": "1",
                                                         "clip_to_extent": "1", "force_rhr": "0"})
        part = ElementTree.SubElement(whole, "layer", {"class": symbol.drawer, "enabled": "1", "pass": "0", "locked": "0"})
        values = ElementTree.SubElement(part, "Option", {"type": "Map"})
        for name, value in symbol.properties.items():
            ElementTree.SubElement(values, "Option", {"type": "QString", "name": name, "value": value})
    return _DOCTYPE + ElementTree.tostring(root, "unicode")
