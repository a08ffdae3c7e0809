"""PMTiles (version 3): tiles in one file with a directory, read without unpacking through the library `pmtiles`.

The library trusts the sizes that a file states; here every size and offset is checked before it is used.
"""

from __future__ import annotations

import gzip
import json
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import MissingExtraError, TileError
from justzoomin.tiles.notiles import first_picture, no_tile
from justzoomin.tiles.packagesource import MAX_LISTED, PackageSource, package_layout, plain_text, table_of
from justzoomin.tiles.source import NoTiles, TileId, TileTable
from justzoomin.tiles.tileheader import MAX_TILE_BYTES, check_size

MAX_ZOOM = 26
_HEADER_BYTES = 127
_MAX_DIRECTORY = 8 << 20
_MAX_METADATA = 4 << 20
_DEPTH = 4
"""Most levels of directories; the library and its writers use at most three."""
_KEPT_DIRECTORIES = 64
_BUILD = "Build the package again."


class PMTilesSource(PackageSource):
    """Tiles of a PMTiles file. It can be used by threads, after forks and after pickling.

    Args:
        path: The file.

    Raises:
        TileError: If it is not a PMTiles file of pictures, or holds no tile.
        MissingExtraError: If the library is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._forget()
        self._header = self._read_header()
        if next(self._entries(), None) is None:
            raise TileError(self.path, "it holds no tile", "Give a package with tiles.")
        self._levels = self._find_levels()
        first = first_picture(self._content(entry) for entry in islice(self._entries(), 1000))
        self.attribution = self._stated_attribution()
        self.layout = package_layout(self.path, first, self._levels)
        self.no_tiles: NoTiles = NoTiles()

    def _forget(self) -> None:
        self._directories: OrderedDict[int, list[Any]] = OrderedDict()
        self._tables: dict[int, TileTable] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in {"_directories", "_tables", "_lock"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def levels(self) -> tuple[int, ...]:
        """Return the levels with at least one tile, coarsest first."""
        return self._levels

    def has_level(self, level: int) -> bool:
        """Return whether the level has at least one tile."""
        return level in self._levels

    def _find_levels(self) -> tuple[int, ...]:
        """Return the levels with tiles, from the directory: many writers set those of the header wrongly or not at all."""
        try:
            found = [level for level in range(MAX_ZOOM + 1) if next(self._entries(*_level_ids(level)), None) is not None]
        except TileError:  # a part cannot be read: the error names it when it is needed
            return tuple(range(self._header["min_zoom"], self._header["max_zoom"] + 1))
        if not found:
            raise self._broken(f"its tiles are finer than level {MAX_ZOOM}")
        return tuple(found)

    def read(self, tile: TileId) -> bytes | None:
        """Return a tile's file, or None if there is no such tile.

        Raises:
            TileError: If the package is broken, or the tile is not a picture of the same size as the others.
        """
        from pmtiles.tile import find_tile, zxy_to_tileid

        if not self.layout.min_zoom <= tile.level <= self.layout.max_zoom or not (
                0 <= tile.x < 2**tile.level and 0 <= tile.y < 2**tile.level):
            return None
        number = zxy_to_tileid(tile.level, tile.x, tile.y)
        offset, length = self._header["root_offset"], self._header["root_length"]
        for _ in range(_DEPTH):
            entry = find_tile(self._directory(offset, length), number)
            if entry is None:
                return None
            if entry.run_length:
                content = self._content(entry)
                if none := no_tile(content):
                    self.no_tiles[tile] = none
                    return None
                check_size(content, self.describe(tile), self.layout.tile_px)
                return content
            offset, length = self._header["leaf_directory_offset"] + entry.offset, entry.length
        raise self._broken(f"its directories are more than {_DEPTH} levels deep")

    def table(self, level: int) -> TileTable:
        """Return all tiles of a level; empty if it has none.

        Raises:
            TileError: If the package is broken.
        """
        if level not in self._tables:
            first, last = _level_ids(max(level, 0))
            runs: list[tuple[int, int, int]] = []
            total = 0
            for entry in self._entries(first, last) if self.has_level(level) else ():
                begin, end = max(entry.tile_id, first), min(entry.tile_id + entry.run_length, last)
                runs.append((begin, end - begin, entry.length))
                total += end - begin
                if total > MAX_LISTED:
                    raise self._broken(f"level {level} has more than {MAX_LISTED} tiles")
            begins, counts, sizes = np.array(runs, np.int64).reshape(-1, 3).T
            starts = np.repeat(begins - first - np.cumsum(counts) + counts, counts)
            rows = np.column_stack([_places(starts + np.arange(total), level), np.repeat(sizes, counts)])
            self._tables[level] = table_of(f"{self.path}: level {level}", level, rows)
        return self._tables[level]

    def _entries(self, first: int = 0, last: int = 2**63) -> Iterator[Any]:
        """Return the entries that hold tile numbers in [first, last), in order."""
        seen: set[int] = set()

        def walk(offset: int, length: int, depth: int) -> Iterator[Any]:
            if depth >= _DEPTH or offset in seen:
                raise self._broken("its directories are too deep or refer to each other in a circle")
            seen.add(offset)
            entries = self._directory(offset, length)
            for index, entry in enumerate(entries):
                if entry.tile_id >= last:
                    return
                if entry.run_length and entry.tile_id + entry.run_length > first:
                    yield entry
                elif not entry.run_length and (index + 1 == len(entries) or entries[index + 1].tile_id > first):
                    yield from walk(self._header["leaf_directory_offset"] + entry.offset, entry.length, depth + 1)

        yield from walk(self._header["root_offset"], self._header["root_length"], 0)

    def _directory(self, offset: int, length: int) -> list[Any]:
        """Return a checked directory: it is complete, in order and not too large."""
        from pmtiles.tile import deserialize_directory

        with self._lock:
            if offset in self._directories:
                self._directories.move_to_end(offset)
                return self._directories[offset]
        plain = self._plain(self._bytes(offset, length, _MAX_DIRECTORY), _MAX_DIRECTORY)
        if _first_number(plain) * 4 > len(plain):
            raise self._broken("a directory claims more entries than it holds")
        try:
            entries: list[Any] = deserialize_directory(gzip.compress(plain, 1))
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise self._broken("a directory is truncated or broken") from error
        end = -1
        for entry in entries:
            if entry.tile_id < end or entry.tile_id > 2**62 or entry.offset < 0 or entry.run_length > 2**62:
                raise self._broken("a directory is out of order")
            end = entry.tile_id + max(1, entry.run_length)
        with self._lock:
            self._directories[offset] = entries
            while len(self._directories) > _KEPT_DIRECTORIES:
                self._directories.popitem(last=False)
        return entries

    def _content(self, entry: Any) -> bytes:
        return self._bytes(self._header["tile_data_offset"] + entry.offset, entry.length, MAX_TILE_BYTES)

    def _read_header(self) -> dict[str, Any]:
        try:
            from pmtiles.tile import Compression, MagicNumberNotFound, SpecVersionUnsupported, TileType, deserialize_header
        except ModuleNotFoundError as error:
            raise MissingExtraError("pmtiles", "own") from error
        raw = self._bytes(0, _HEADER_BYTES, _HEADER_BYTES)
        try:
            header: dict[str, Any] = dict(deserialize_header(raw))
        except (MagicNumberNotFound, SpecVersionUnsupported, ValueError, IndexError) as error:
            raise TileError(self.path, "it is not a PMTiles file of version 3",
                            "Give a complete file. Convert an older version with: pmtiles convert.") from error
        if header["tile_type"] not in {TileType.PNG, TileType.JPEG, TileType.WEBP}:
            kind = header["tile_type"].name
            raise TileError(self.path, f"it holds {'vector' if kind in {'MVT', 'MLT'} else kind} tiles, not pictures",
                            "Give a package of png, jpg or webp tiles.")
        for name, allowed in (("tile_compression", {Compression.NONE, Compression.UNKNOWN}),
                              ("internal_compression", {Compression.NONE, Compression.GZIP})):
            if header[name] not in allowed:
                raise TileError(self.path, f"its {name} is {header[name].name.lower()}",
                                "Build it again without compression, or with gzip for its directories.")
        if not 0 <= header["min_zoom"] <= header["max_zoom"] <= MAX_ZOOM:
            raise self._broken(f"its levels are {header['min_zoom']} to {header['max_zoom']}")
        self._gzipped = header["internal_compression"] is Compression.GZIP
        return {key: value for key, value in header.items() if isinstance(value, int)}

    def _stated_attribution(self) -> str:
        length = self._header["metadata_length"]
        if not length:
            return ""
        try:
            values = json.loads(self._plain(self._bytes(self._header["metadata_offset"], length, _MAX_METADATA), _MAX_METADATA))
        except (ValueError, RecursionError) as error:
            raise self._broken("its metadata is not JSON") from error
        stated = values.get("attribution", "") if isinstance(values, dict) else ""
        return plain_text(stated) if isinstance(stated, str) else ""

    def _plain(self, content: bytes, most: int) -> bytes:
        """Return the unpacked content, at most `most` bytes."""
        if not self._gzipped:
            return content
        try:
            unpacker = zlib.decompressobj(wbits=31)
            plain = unpacker.decompress(content, most + 1)
        except zlib.error as error:
            raise self._broken("a compressed part is broken") from error
        if len(plain) > most or not unpacker.eof:
            raise self._broken("a compressed part is truncated or too large")
        return plain

    def _bytes(self, offset: int, length: int, most: int) -> bytes:
        """Return some bytes of the file.

        Raises:
            TileError: If they are too many or missing.
        """
        if length > most:
            raise self._broken(f"a part of it has {length} bytes; at most {most} are allowed")
        try:
            with self.path.open("rb") as file:
                content = os.pread(file.fileno(), length, offset) if offset < 2**62 else b""
        except OSError as error:
            raise TileError(self.path, f"it cannot be read ({error.strerror})", "Give the path of a package.") from error
        if len(content) != length:
            raise self._broken("it ends too early")
        return content

    def _broken(self, what: str) -> TileError:
        return TileError(self.path, what, _BUILD)


def _first_number(content: bytes) -> int:
    """Return the first number of a directory, its number of entries."""
    number = 0
    for index, byte in enumerate(content[:10]):
        number |= (byte & 127) << 7 * index
        if byte < 128:
            return number
    return 2**63


def _level_ids(level: int) -> tuple[int, int]:
    """Return the numbers of a level's tiles as a half-open range; all coarser levels come before it."""
    return (4**level - 1) // 3, (4**(level + 1) - 1) // 3


def _places(steps: npt.NDArray[np.int64], level: int) -> npt.NDArray[np.int64]:
    """Return the tiles (x, y) (N, 2) at steps (N,) along a level's Hilbert curve.

    Source: the inverse of the mapping in the PMTiles specification, version 3, for whole arrays.
    """
    x, y, rest = np.zeros_like(steps), np.zeros_like(steps), steps.copy()
    for k in range(level):
        edge = 1 << k
        right = rest >> 1 & 1
        down = (rest ^ right) & 1
        turn, flip = down == 0, (down == 0) & (right == 1)
        x, y = np.where(flip, edge - 1 - x, x), np.where(flip, edge - 1 - y, y)
        x, y = np.where(turn, y, x), np.where(turn, x, y)
        x, y = x + right * edge, y + down * edge
        rest >>= 2
    return np.stack([x, y], 1)
