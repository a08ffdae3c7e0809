"""Finds out with a few requests whether a tile server has a level, before thousands of requests are made in vain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.tiles.fetch import UnreachableError
from justzoomin.tiles.projection import TileProjection
from justzoomin.tiles.source import TileId

_ACROSS = 3
"""Places along a side of the area that are tried first."""
_MAX_ASKED = 200
"""Most tiles requested in the search for one of the wanted level."""


class LevelProbe:
    """A search for any tile of a level in an area: at some places, then from existing coarser tiles down to their parts.

    Args:
        name: The server, for messages.
        read: Returns a tile's content, or None if there is no such tile.
        projection: The places of tiles.
        levels: Levels that the server states, coarsest first.
        extent: The area in the projection: west, south, east, north.
        around: Returns the number of columns of a level after which the same tiles repeat; 0 if they never do.
    """

    def __init__(self, name: str, read: Callable[[TileId], bytes | None], projection: TileProjection, levels: Sequence[int],
                 extent: tuple[float, float, float, float], around: Callable[[int], int]) -> None:
        self._name, self._read, self._projection = name, read, projection
        self._levels, self._extent, self._around = levels, extent, around
        self._asked: dict[TileId, bool] = {}
        self._refusal: TileError | None = None

    def require(self, level: int) -> None:
        """Find a tile of a level.

        Raises:
            TileError: If there is none; it names the finest level with a tile, or what the server says instead.
        """
        west, south, east, north = self._extent
        steps = (np.arange(_ACROSS) + 0.5) / _ACROSS
        x, y = (part.ravel() for part in np.meshgrid(west + steps * (east - west), south + steps * (north - south)))
        middle_first = np.argsort(np.hypot(x - (west + east) / 2, y - (south + north) / 2), kind="stable")
        tried = [known for known in reversed(self._levels) if known <= level]
        there: list[TileId] = []
        for number in tried:
            tiles = self._tiles(x[middle_first], y[middle_first], number)
            if number == level and any(map(self._is_there, tiles)):
                return
            if there := [tile for tile in tiles if self._is_there(tile)]:
                break
        if not there:
            raise self._refusal or TileError(
                self._name, f"it has no tile of levels {tried[-1]} to {tried[0]} at {_ACROSS**2} places of the area",
                "Check the address, the area, and whether it counts tile y from the south (--tms).")
        deepest = self._descend(there, level)
        if deepest < level:
            missing = [known for known in reversed(tried) if known > deepest]
            span = f"level {missing[0]}" if len(missing) == 1 else f"levels {missing[0]} to {missing[-1]}"
            counted = sum(tile.level > deepest for tile in self._asked)
            raise TileError(
                self._name, f"its finest level in the area is {deepest}; it has none of {counted} requested tiles of {span}",
                f"Add --max-zoom {deepest}. If it has finer tiles in a part of the area, give that part as --area.")

    def _descend(self, there: list[TileId], level: int) -> int:
        """Return the finest level, up to `level`, with a tile inside the tiles that are there."""
        west, south, east, north = self._extent
        deepest, waiting = there[0].level, there[::-1]
        while waiting and deepest < level and len(self._asked) < _MAX_ASKED:
            tile = waiting.pop()
            finer = next(known for known in self._levels if known > tile.level)
            quarters = np.array(tile[1:]) + np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
            x, y = self._projection.east_north(self._projection.tile_to_crs(quarters, tile.level))
            for part in self._tiles(np.clip(x, west, east), np.clip(y, south, north), finer):
                if deepest < level and self._is_there(part):
                    deepest = max(deepest, finer)
                    waiting += [part] if finer < level else []
        return deepest

    def _tiles(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], level: int) -> list[TileId]:
        """Return the tiles of a level at some places, in order and without repeats."""
        numbers = np.floor(self._projection.crs_to_tile(self._projection.from_east_north(x, y), level)).astype(np.int64)
        if around := self._around(level):
            numbers[:, 0] %= around
        return list(dict.fromkeys(TileId(level, *number) for number in numbers.tolist()))

    def _is_there(self, tile: TileId) -> bool:
        """Return whether the server has a tile. A refusal (400, 403) is kept: it may be the answer beyond its levels."""
        if tile not in self._asked:
            try:
                self._asked[tile] = self._read(tile) is not None
            except UnreachableError:
                raise
            except TileError as error:
                self._asked[tile], self._refusal = False, self._refusal or error
        return self._asked[tile]
