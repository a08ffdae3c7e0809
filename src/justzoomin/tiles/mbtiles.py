"""MBTiles: tiles in one SQLite file, read without unpacking.

Source: MBTiles specification 1.3: tables (or views) `metadata(name, value)` and
`tiles(zoom_level, tile_column, tile_row, tile_data)`, web mercator, rows counted from the south.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from justzoomin.errors import TileError
from justzoomin.tiles.notiles import first_picture, no_tile
from justzoomin.tiles.packagesource import MAX_LISTED, PackageSource, package_layout, plain_text, table_of
from justzoomin.tiles.source import NoTiles, TileId, TileTable
from justzoomin.tiles.tileheader import MAX_TILE_BYTES, check_size

MAX_ZOOM = 30
_STEP = 100_000
_READ_STEPS = 500  # times _STEP operations of SQLite's virtual machine: a second or two
_LIST_STEPS = 40_000
_RASTER = {"png", "jpg", "jpeg", "webp"}


class MBTilesSource(PackageSource):
    """Tiles of an MBTiles file. Each thread and process opens the file itself, also after forks and pickling.

    Args:
        path: The file.

    Raises:
        TileError: If it is not an MBTiles file of pictures, or holds no tile.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._local = threading.local()
        self._tables: dict[int, TileTable] = {}
        values = self._metadata()
        kind = values.get("format", "").lower()
        if kind and kind not in _RASTER:
            words = "vector tiles" if kind in {"pbf", "mvt"} else f"tiles of format {kind[:20]!r}"
            raise TileError(self.path, f"it holds {words}, not pictures", "Give a package of png, jpg or webp tiles.")
        crs = values.get("crs", "").lower()
        if crs and not any(number in crs for number in ("3857", "900913", "3785")):
            raise TileError(self.path, f"it is in the projection {crs[:40]}", "MBTiles must be in web mercator (epsg:3857).")
        self._levels = tuple(level for level in range(MAX_ZOOM + 1) if self._row(
            "SELECT 1 FROM tiles WHERE zoom_level = ? LIMIT 1", (level,)))
        if not self._levels:
            raise TileError(self.path, "it holds no tile", "Give a package with tiles.")
        with self._query("SELECT tile_data FROM tiles WHERE zoom_level = ? LIMIT 1000", (self._levels[-1],),
                         _READ_STEPS) as cursor:
            first = first_picture(row[0] for row in cursor)
        self.layout = package_layout(self.path, first, self._levels)
        self.attribution = plain_text(values.get("attribution", ""))
        self.no_tiles: NoTiles = NoTiles()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in {"_local", "_tables"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _local=threading.local(), _tables={})

    def levels(self) -> tuple[int, ...]:
        """Return the levels with at least one tile, coarsest first."""
        return self._levels

    def has_level(self, level: int) -> bool:
        """Return whether the level has at least one tile."""
        return level in self._levels

    def read(self, tile: TileId) -> bytes | None:
        """Return a tile's file, or None if there is no such tile.

        Raises:
            TileError: If the package is broken, or the tile is not a picture of the same size as the others.
        """
        top = 2**tile.level - 1 if 0 <= tile.level <= MAX_ZOOM else -1
        if not (0 <= tile.x <= top and 0 <= tile.y <= top):
            return None
        row = self._row("SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ? LIMIT 1",
                        (tile.level, tile.x, top - tile.y))
        if row is None or row[0] is None:
            return None
        if not isinstance(row[0], bytes):
            raise TileError(self.describe(tile), "the tile is a text or a number, not a blob", "Build the package again.")
        if none := no_tile(row[0]):
            self.no_tiles[tile] = none
            return None
        check_size(row[0], self.describe(tile), self.layout.tile_px)
        return row[0]

    def table(self, level: int) -> TileTable:
        """Return all tiles of a level; empty if it has none.

        Raises:
            TileError: If the package is broken.
        """
        if level not in self._tables:
            rows = []
            with self._query("SELECT tile_column, tile_row, length(tile_data) FROM tiles WHERE zoom_level = ? "
                             "AND ifnull(length(tile_data), -1) <> 0", (level,), _LIST_STEPS) as cursor:
                for row in cursor:
                    if not all(type(v) is int for v in row):
                        raise TileError(f"{self.path}: level {level}", f"a tile is listed as {row!r}"[:200],
                                        "Build the package again.")
                    rows.append(row)
                    if len(rows) > MAX_LISTED:
                        raise TileError(f"{self.path}: level {level}", f"it has more than {MAX_LISTED} tiles",
                                        "Make a package of only the area that you need.")
            numbers = np.array(rows, np.int64).reshape(-1, 3)
            numbers[:, 1] = 2 ** max(level, 0) - 1 - numbers[:, 1]
            self._tables[level] = table_of(f"{self.path}: level {level}", level, numbers)
        return self._tables[level]

    def _metadata(self) -> dict[str, str]:
        with self._query("SELECT name, value FROM metadata LIMIT 1000", (), _READ_STEPS) as cursor:
            return {str(name): str(value) for name, value in cursor}

    def _row(self, statement: str, values: tuple[int, ...]) -> tuple[Any, ...] | None:
        with self._query(statement, values, _READ_STEPS) as cursor:
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    @contextlib.contextmanager
    def _query(self, statement: str, values: tuple[int, ...], steps: int) -> Iterator[sqlite3.Cursor]:
        """Run a query with at most `steps` steps of SQLite's virtual machine, because a view in the file can be anything.

        Raises:
            TileError: If the file is not a database, lacks the tables, is broken, or the query takes too long.
        """
        left = steps

        def out_of_steps() -> int:
            nonlocal left
            left -= 1
            return int(left < 0)

        try:
            connection = self._connection()
            connection.set_progress_handler(out_of_steps, _STEP)
            with contextlib.closing(connection.execute(statement, values)) as cursor:
                yield cursor
        except (sqlite3.Error, OverflowError, MemoryError, UnicodeError) as error:
            what, remedy = f"it cannot be read as MBTiles ({error})", "Give a complete file with the tables metadata and tiles."
            if left < 0:
                what, remedy = "finding a tile takes too long", "Build the package again with an index on its table of tiles."
            raise TileError(self.path, what, remedy) from error

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection in this process. A connection inherited by a fork is never used."""
        known: dict[int, sqlite3.Connection] = self._local.__dict__.setdefault("connections", {})
        if os.getpid() not in known:
            if not self.path.is_file():
                raise TileError(self.path, "there is no such file", "Give the path of a package.")
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4 * MAX_TILE_BYTES)
            for pragma in ("trusted_schema = OFF", "query_only = ON", "mmap_size = 0"):
                connection.execute(f"PRAGMA {pragma}")
            known[os.getpid()] = connection
        return known[os.getpid()]
