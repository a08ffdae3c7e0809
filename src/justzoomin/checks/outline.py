"""The places where a map has imagery, to fit a region: a level's tiles without the white areas inside them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from justzoomin.checks.cellcover import has_tile
from justzoomin.errors import ConfigError, TileError
from justzoomin.maps import Map
from justzoomin.tiles import TileProjection, TileTable

MAX_DECODED = 1500
"""Levels of up to this many tiles are decoded; with more tiles, single ones hardly change the outline."""
_ENOUGH_TILES, _MAX_TILES = 64, 200_000
_SHRINKS = 0.6
_BLOCKS = 16
_WHITE, _PURE, _SOME = 252, 0.995, 0.02

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def outline_table(source: Map, level: int | None) -> TileTable | None:
    """Return the tiles of a level that shows the map's outline well: the finest that only sharpens the outline.

    None if the tiles come from a server, which does not list them.

    Raises:
        ConfigError: If the wanted level has no tile.
    """
    if not source.listed:
        return None
    if level is not None:
        table = source.source.table(level) if source.layout.min_zoom <= level <= source.layout.max_zoom else None
        if table is None or not len(table):
            have = ", ".join(map(str, source.source.levels()))
            raise ConfigError("--level", f"the map has no tile of level {level}", f"Levels with tiles: {have}.")
        return table
    best: TileTable | None = None
    for candidate in source.source.levels():
        table = source.source.table(candidate)
        if not len(table):
            continue
        area = len(table) * 4.0**-candidate
        shrunk = best is not None and len(best) >= _ENOUGH_TILES and area < _SHRINKS * len(best) * 4.0**-best.level
        if best is not None and (shrunk or len(table) > _MAX_TILES):
            break
        best = table
    return best


class Outline:
    """The places where a level of a map has imagery.

    Args:
        source: The map.
        table: The tiles of the level.
        projection: Projection of the map's layout.
    """

    def __init__(self, source: Map, table: TileTable, projection: TileProjection) -> None:
        self.table, self.projection = table, projection
        self._blank: npt.NDArray[np.bool_] | None = None
        if len(table) <= MAX_DECODED:
            self._blank = np.stack([_blank_blocks(source, table.level, x, y) for x, y in table.numbers()])

    @property
    def decoded(self) -> bool:
        """Whether the tiles were decoded."""
        return self._blank is not None

    def covers(self, lat: Floats, lon: Floats) -> Mask:
        """Return whether positions (N,) lie in a tile but not in a white part of it, as (N,) bool."""
        found = has_tile(self.projection, self.table, lat, lon)
        if self._blank is None or not found.any():
            return found
        place = self.projection.position_to_tile(lat[found], lon[found], self.table.level)
        numbers = np.floor(place).astype(np.int64)
        index = np.searchsorted(_keys(self.table.tiles), _keys(numbers))  # the table is sorted by x, then y
        pixel = self.projection.tile_to_pixel(place) / self.projection.layout.tile_px % 1.0
        blocks = self._blank.shape[1]
        row, column = np.minimum((pixel * blocks).astype(np.int64), blocks - 1).T
        found[found] = ~self._blank[index, row, column]
        return found


def _keys(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return ((numbers[:, 0] + 2**30) << 31) + numbers[:, 1] + 2**30


def _blank_blocks(source: Map, level: int, x: int, y: int) -> Mask:
    """Return which of 16 x 16 blocks of a tile are completely white; none if it is broken or has hardly any white."""
    import cv2

    blocks = min(_BLOCKS, source.layout.tile_px)
    try:
        pixels = source.tile(level, x, y)
    except TileError:  # the map check reports it
        pixels = None
    if pixels is None:
        return np.zeros((blocks, blocks), np.bool_)
    white = cv2.inRange(pixels, (_WHITE,) * 3, (255,) * 3).astype(np.float32) / 255
    if white.mean() < _SOME:
        return np.zeros((blocks, blocks), np.bool_)
    return np.asarray(cv2.resize(white, (blocks, blocks), interpolation=cv2.INTER_AREA) >= _PURE, np.bool_)
