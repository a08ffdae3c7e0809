"""Tiles inside the published dataset's TAR shards, read without unpacking."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from justzoomin.archives import TarShards
from justzoomin.errors import TileError
from justzoomin.tiles.layout import TileLayout
from justzoomin.tiles.source import TileId, TileSource, TileTable, file_states
from justzoomin.tiles.tilepaths import tile_path, tile_pattern

SHARD_PATTERN = re.compile(r"satellite_level_(m?)(\d+)_(\d+)\.tar")
"""Names of the card's tile shards: level -5 is `satellite_level_m5_000.tar`."""
SHARD_PREFIX = "satellite/"
"""The prefix of the layout's path in a shard's member names."""


class ShardSource(TileSource):
    """Tiles inside the card's TAR shards, `satellite_level_*.tar`, read without unpacking.

    A level's shards are indexed when the level is first needed, so that work that never uses level 0 never reads its shards.
    Shards of levels beyond the layout's are ignored.

    Args:
        archives: The folder of the shards.
        layout: The layout.
        cache_dir: A folder for the indexes instead of `.jzi-index/` beside the shards.
    """

    kind = "shards"

    def __init__(self, archives: Path, layout: TileLayout, cache_dir: Path | None = None) -> None:
        self.archives = Path(archives)
        self.folder = self.archives.parent
        self.layout = layout
        self._cache_dir = cache_dir
        levels = range(layout.min_zoom, layout.max_zoom + 1)
        self._paths = {level: paths for level, paths in find_shards(self.archives).items() if level in levels}
        self._open: dict[int, TarShards] = {}
        self._tables: dict[int, TileTable] = {}

    def levels(self) -> tuple[int, ...]:
        """Return the levels with at least one tile, coarsest first; this indexes every level's shards."""
        return tuple(level for level in sorted(self._paths) if self.has_level(level))

    def has_level(self, level: int) -> bool:
        """Return whether the level has at least one tile."""
        return level in self._paths and len(self.shards(level)) > 0

    def read(self, tile: TileId) -> bytes | None:
        """Return a tile's file, or None if no shard holds it.

        Raises:
            TileError: If a shard is missing, broken, changed or truncated.
        """
        shards = self.shards(tile.level)
        name = SHARD_PREFIX + tile_path(self.layout, tile)
        return shards.read(name) if name in shards else None

    def describe(self, tile: TileId) -> str:
        """Return the shard and member of a tile."""
        shards, name = self.shards(tile.level), SHARD_PREFIX + tile_path(self.layout, tile)
        return f"{shards.shard_of(name) if name in shards else self.archives}!{name}"

    def table(self, level: int) -> TileTable:
        """Return all tiles of a level; empty if it has none.

        Raises:
            TileError: If a shard of the level is broken or holds members that are not tiles of this level.
        """
        self.shards(level)
        return self._tables[level]

    def _read_table(self, level: int, shards: TarShards) -> TileTable:
        pattern, rows = tile_pattern(self.layout, level), []
        for name, size in zip(shards.names(), shards.size_array().tolist(), strict=True):
            match = pattern.fullmatch(name.removeprefix(SHARD_PREFIX)) if name.startswith(SHARD_PREFIX) else None
            if match is None:
                raise TileError(f"{shards.shard_of(name)}!{name}", f"the member is not a tile of level {level}",
                                f"Name its tiles {SHARD_PREFIX}{self.layout.path}.")
            rows.append((int(match["x"]), int(match["y"]), size))
        return TileTable.from_rows(level, rows)

    def afresh(self) -> ShardSource:
        """Find and open the same shards again."""
        return ShardSource(self.archives, self.layout, self._cache_dir)

    def files(self, levels: Sequence[int]) -> Iterator[tuple[str, os.stat_result]]:
        """Return name and state of the shards of some levels.

        Raises:
            TileError: If the state of a file cannot be read.
        """
        return file_states(path for level in levels for path in self._paths.get(level, ()))

    def dataset_files(self) -> Iterator[tuple[Path, str]]:
        """Return every shard of tiles, also of levels beyond the layout's, and its name in a dataset's folder."""
        for path in sorted(self.archives.iterdir()):
            if SHARD_PATTERN.fullmatch(path.name):
                yield path, f"archives/{path.name}"

    def shards(self, level: int) -> TarShards:
        """Return the shards of a level, indexed when first needed; empty if the level has no shard."""
        shards = self._open.get(level)
        if shards is None:
            shards = TarShards(self._paths.get(level, ()), self._cache_dir)
            self._tables[level] = self._read_table(level, shards)  # finds a shard of a wrong level at once
            self._open[level] = shards
        return shards


def find_shards(archives: Path) -> dict[int, tuple[Path, ...]]:
    """Return the tile shards in a folder, by level; empty if there are none, or no such folder."""
    found: dict[int, list[Path]] = {}
    if archives.is_dir():
        for path in sorted(archives.iterdir()):
            match = SHARD_PATTERN.fullmatch(path.name)
            if match:
                found.setdefault(-int(match[2]) if match[1] else int(match[2]), []).append(path)
    return {level: tuple(paths) for level, paths in found.items()}
