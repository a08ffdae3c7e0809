"""Tiles of a server, fetched when a view needs them, and kept."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from justzoomin.errors import TileError
from justzoomin.tiles.fetch import Fetcher, NoTileError, Pace, UnreachableError
from justzoomin.tiles.kept import KeptTile, KeptTiles
from justzoomin.tiles.layout import is_web_square
from justzoomin.tiles.levelprobe import LevelProbe
from justzoomin.tiles.notiles import no_tile
from justzoomin.tiles.projection import TileProjection
from justzoomin.tiles.server import TileServer
from justzoomin.tiles.source import NoTiles, TileId, TileSource, TileTable
from justzoomin.tiles.tileheader import check_whole

_DAY_S = 86_400.0
_HOUR_S = 3_600.0


class ServerSource(TileSource):
    """Tiles of a server, fetched when they are read, and kept on disk. It cannot list its tiles.

    Opening it fetches nothing. It can be used by threads, after forks and after pickling.

    Args:
        server: The server.
        pace: A pace instead of the process's own, for tests.
    """

    kind = "server, not listed"
    listed = False

    def __init__(self, server: TileServer, pace: Pace | None = None) -> None:
        self.server = server
        self.layout = server.tile_layout()
        self.requests_per_second = server.requests_per_second
        self._template = server.template
        self._matrices = {matrix.level: matrix for matrix in server.matrices}
        self._fetcher = Fetcher(server.rules(), pace)
        identity = [server.url, server.scheme, server.subdomains, server.tile_px, self._place(), server.matrices]
        about = {"server": server.name, "attribution": server.attribution, "tile_px": self.layout.tile_px}
        self._kept = KeptTiles(json.dumps(identity), about)
        self._fetched = 0
        self._began: float | None = None
        self.no_tiles: NoTiles = NoTiles()
        self._locks: dict[int, list[threading.Lock]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"server": self.server, "pace": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["server"], state["pace"])  # type: ignore[misc]

    def levels(self) -> tuple[int, ...]:
        """Return the levels that the server states, coarsest first."""
        return tuple(level for level in range(self.layout.min_zoom, self.layout.max_zoom + 1) if self.has_level(level))

    def has_level(self, level: int) -> bool:
        """Return whether the server states that it has a level."""
        return self.layout.min_zoom <= level <= self.layout.max_zoom and (not self._matrices or level in self._matrices)

    def read(self, tile: TileId) -> bytes | None:
        """Return a tile's file, kept or fetched; None if the server has none, or it is outside the tiled area.

        Raises:
            UnreachableError: If it is not kept and no complete answer came.
            TileError: If the server refuses, or its answer is not a tile.
            ConfigError: If a key is missing in the environment.
        """
        if not self.has_level(tile.level) or not self._inside(tile):
            return None
        with self._lock(tile):  # so that two threads do not fetch the same tile twice
            kept = self._kept.read(tile)
            if kept is None or not self._serves(tile, kept):
                return self._fetch(tile, kept)
            none = "known from an earlier run" if kept.content is None else no_tile(kept.content)
            if none:
                self.no_tiles.setdefault(tile, none)
            return None if none else kept.content

    def describe(self, tile: TileId) -> str:
        """Return the address of a tile, without secrets."""
        return self._template.shown(tile, self._matrix_name(tile.level))

    def require_level(self, level: int, extent: tuple[float, float, float, float]) -> None:
        """Make sure with a few requests that there is any tile of a level in an area.

        Args:
            level: The level.
            extent: The area in the projection: west, south, east, north.

        Raises:
            TileError: If there is none; it names the finest level that has one.
        """
        web = is_web_square(self.layout)
        LevelProbe(self.server.name, self.read, self._projection, self.levels(), extent,
                   lambda known: 2**known if web else 0).require(level)

    def table(self, level: int) -> TileTable:
        """Raise an error: a server does not list its tiles.

        Raises:
            TileError: Always.
        """
        raise TileError(f"{self.server.name}: level {level}", "a tile server does not list its tiles",
                        "Build a map of the area that you need from it first: jzi map build.")

    def identity_hash(self) -> str:
        """Return a hash of address, layout and attribution, because the tiles cannot be listed and hashed."""
        text = json.dumps([self.server.name, self._place(), self.server.scheme, self.server.attribution])
        return "server-" + hashlib.sha256(text.encode()).hexdigest()

    def _matrix_name(self, level: int) -> str | None:
        return self._matrices[level].name if level in self._matrices else None

    def _lock(self, tile: TileId) -> threading.Lock:
        """Return a lock of this process: a lock held by another thread at a fork would never open in the child."""
        locks = self._locks.get(os.getpid()) or self._locks.setdefault(os.getpid(), [threading.Lock() for _ in range(64)])
        return locks[hash(tile) % len(locks)]

    def _place(self) -> dict[str, Any]:
        place = {key: value for key, value in self.layout.to_mapping().items() if key not in {"path", "url"}}
        return {**place, "shifts": self.layout.shifts} if self.layout.shifts else place

    def _inside(self, tile: TileId) -> bool:
        """Return whether a tile is in the tiled area; others need not be requested."""
        if tile.level in self._matrices:
            _, _, columns, rows = self._matrices[tile.level]
            return columns[0] <= tile.x <= columns[1] and rows[0] <= tile.y <= rows[1]
        if self.layout.size_crs is None:
            return True
        corner = np.array(self.layout.origin_crs)
        ends = [self._projection.crs_to_tile(place, tile.level) for place in (corner, corner + self.layout.size_crs)]
        number = np.array([tile.x, tile.y])
        return bool(((number + 1e-6 >= np.minimum(*ends)) & (number + 1e-6 < np.maximum(*ends))).all())

    def _serves(self, tile: TileId, kept: KeptTile) -> bool:
        host = urlsplit(self.describe(tile)).netloc
        return kept.age_s <= self.server.keep_days * _DAY_S or self._fetcher.pace.is_down(host)

    @cached_property
    def _projection(self) -> TileProjection:
        return TileProjection(self.layout, self.server.name)

    def _fetch(self, tile: TileId, kept: KeptTile | None) -> bytes | None:
        where, tile_px = self.describe(tile), self.layout.tile_px

        def check(content: bytes) -> None:
            none = no_tile(content)
            if none:
                raise NoTileError(none)
            check_whole(content, where, tile_px)

        if self._fetched >= self.server.max_tiles:
            raise TileError(self.server.name, f"{self._fetched} tiles were fetched, and no more are allowed",
                            "If the server's terms allow it, raise --max-tiles (max_tiles). Fetched tiles are kept.")
        self._require_time()
        self._fetched += 1
        try:
            content, none = self._fetcher.get(self._template.url(tile, self._matrix_name(tile.level)), where, check)
        except UnreachableError:
            if kept is not None:
                return kept.content
            raise
        if none:
            self.no_tiles[tile] = none
        self._kept.write(tile, content)
        return content

    def _require_time(self) -> None:
        """Note when fetching began, and check the limit.

        Raises:
            TileError: If the time for it is over.
        """
        now, limit = self._fetcher.pace.clock(), self.server.run_limit_s
        if self._began is None:
            self._began = now
        if limit is not None and now - self._began > limit:
            raise TileError(self.server.name, f"fetching takes longer than {limit / _HOUR_S:g} hours, the limit of a run",
                            "Run it again: fetched tiles are kept. To allow more time, raise --max-hours (run_limit_s).")
