"""The tiles of one map and its grid, with what describes them: zoom levels, bounds, addresses, versions."""

from __future__ import annotations

import html
import math
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from justzoomin.apps.server.tile_answers import empty_tile, entity_tag
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import Map, TileFile, TileFormat, WebTiles, encode_picture, media_type_of, zoom_for
from justzoomin.service import FINEST_PX, GRID_VERSION, grid_tile
from justzoomin.untrusted import printable

TileKey = tuple[object, ...]
_MEMORY_BYTES = 64 << 20
_WAITING = 16
_MOST_ZOOM = 29
_WIDE_CELL_PX = 256


@dataclass(frozen=True)
class TileLayer:
    """A set of tiles, as TileJSON and WMTS describe it.

    Attributes:
        key: Its name in addresses: `map`, or `grid/3`.
        title: Its title for people.
        min_zoom: Coarsest zoom level with content.
        max_zoom: Finest zoom level.
        bounds: West, south, east and north in degrees.
        formats: Endings of its files and their media types.
        version: Changes with the content.
    """

    key: str
    title: str
    min_zoom: int
    max_zoom: int
    bounds: tuple[float, float, float, float]
    formats: tuple[tuple[str, str], ...]
    version: str

    def address(self, base: str, z: str = "{z}", x: str = "{x}", y: str = "{y}", ending: str = "") -> str:
        """Return the address of a tile below an address of the service, or the template of addresses."""
        return f"{base}/tiles/{self.key}/{z}/{x}/{y}{ending}?v={self.version}"


class TileService:
    """All tiles of one map and its grid. It can be used by threads.

    Args:
        source: The map.
        grid: The grid whose cells are drawn.
        name: Name of the map for people.

    Raises:
        GeometryError: If the map's projection fails at the centre of its region.
    """

    def __init__(self, source: Map, grid: ZoomGrid, name: str = "map") -> None:
        self.source, self.grid, self.name = source, grid, printable(name, 200)
        self.tiles = WebTiles(source)
        self.attribution = printable(source.attribution, 2000) if source.attribution else None
        self._kept: OrderedDict[TileKey, TileFile | None] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        # More at once would not be quicker, but each takes memory. Tiles of a server are waited for, not computed.
        self._drawing = threading.BoundedSemaphore((os.cpu_count() or 1) if source.listed else _WAITING)

    @cached_property
    def map_tag(self) -> str | None:
        """A text that changes with the pixels of the map's tiles; None for a tile server, whose content is not known."""
        return self.tiles.fingerprint() if self.source.listed else None

    @cached_property
    def map_layer(self) -> TileLayer:
        """The map."""
        version = entity_tag(self.tiles.fingerprint())[1:13]
        return TileLayer("map", self.name, self.tiles.min_zoom, self.tiles.max_zoom, self.tiles.bounds,
                         ((".png", "image/png"), (".jpg", "image/jpeg"), (".webp", "image/webp")), version)

    def grid_layer(self, level: int) -> TileLayer:
        """Return the layer of the cells of a level; level 0 is the border of the region."""
        lat, size = self.grid.region.centre.lat, self.grid.cell_size_m(level)
        finest = max(self.tiles.max_zoom, math.ceil(zoom_for(self.grid.cell_size_m(self.grid.depth) / _WIDE_CELL_PX, lat)))
        coarsest = max(0, math.ceil(zoom_for(size / FINEST_PX, lat)))
        lats, lons = zip(*self.grid.cell(()).corners, strict=True)
        bounds = (min(lons), min(lats), max(lons), max(lats))
        if bounds[2] - bounds[0] > 180.0:  # across the antimeridian
            bounds = (-180.0, bounds[1], 180.0, bounds[3])
        finest = min(_MOST_ZOOM, finest)
        return TileLayer(f"grid/{level}", f"{self.name}: cells of {size:g} m, level {level}", min(coarsest, finest), finest,
                         bounds, ((".png", "image/png"),), entity_tag(self.grid, GRID_VERSION)[1:13])

    @property
    def layers(self) -> list[TileLayer]:
        """All layers: the map, then the levels of the grid."""
        return [self.map_layer, *(self.grid_layer(level) for level in range(self.grid.depth + 1))]

    def map_tile(self, z: int, x: int, y: int, pixels: int, form: TileFormat) -> TileFile | None:
        """Return a tile of the map; None for a JPEG of a tile without content.

        Raises:
            GeometryError: If web maps have no such tile.
            TileError: If a tile of the map is broken.
        """
        key = (z, x, y, pixels, form)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        file = self._map_file(z, x, y, pixels, form)
        if self.source.listed:
            self._keep(key, file)
        return file

    def _map_file(self, z: int, x: int, y: int, pixels: int, form: TileFormat) -> TileFile | None:
        with self._drawing:
            picture = self.tiles.draw(z, x, y, pixels)
            own = None if picture is None else self.tiles.passed(z, x, y, pixels)
        if picture is None:
            return None if form == "jpg" else empty_tile(pixels)
        kind = None if own is None else media_type_of(own)
        if own is not None and kind is not None and form in {"mixed", {"image/jpeg": "jpg"}.get(kind)}:
            return TileFile(own, kind)
        return encode_picture(picture, form)

    def _keep(self, key: TileKey, file: TileFile | None) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = file
            self._bytes += _size(file)
            while self._bytes > _MEMORY_BYTES:
                self._bytes -= _size(self._kept.popitem(last=False)[1])

    def grid_tile(self, level: int, z: int, x: int, y: int, pixels: int) -> TileFile:
        """Return a tile of the cells of a level.

        Raises:
            GeometryError: If the grid has no such level, or web maps no such tile.
        """
        content = grid_tile(self.grid, level, z, x, y, pixels)
        return empty_tile(pixels) if content is None else TileFile(content, "image/png")

    def tilejson(self, layer: TileLayer, base: str) -> dict[str, Any]:
        """Return the description of a layer. Source: TileJSON 3.0.0.

        Args:
            layer: The layer.
            base: Address of the service, without a slash at the end.
        """
        centre = self.grid.region.centre
        ending = layer.formats[0][0] if len(layer.formats) == 1 else ""
        found = {"tilejson": "3.0.0", "name": layer.title, "scheme": "xyz", "version": "1.0.0",
                 "tiles": [layer.address(base, ending=ending)],
                 "minzoom": layer.min_zoom, "maxzoom": layer.max_zoom, "bounds": [round(v, 7) for v in layer.bounds],
                 "center": [round(centre.lon, 7), round(centre.lat, 7), min(layer.max_zoom, self.tiles.min_zoom + 1)]}
        return found if self.attribution is None else {**found, "attribution": html.escape(self.attribution)}


def _size(file: TileFile | None) -> int:
    return 200 + (0 if file is None else len(file.content))
