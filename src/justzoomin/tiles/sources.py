"""Where tiles come from: an extracted folder, or TAR shards in place, behind one small protocol."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from justzoomin.archives import TarShards
from justzoomin.errors import TileError
from justzoomin.tiles.layout import TileLayout

SHARD_PATTERN = re.compile(r"satellite_level_(m?)(\d+)_(\d+)\.tar")
"""Names of the card's tile shards: level -5 is `satellite_level_m5_000.tar`."""
SHARD_PREFIX = "satellite/"
"""What stands before the layout's path in a shard's member names."""
_NUMBER = "-?(?:0|[1-9][0-9]{0,17})"


class TileId(NamedTuple):
    """A tile's number: its level and its x and y along the layout's tile axes."""

    level: int
    x: int
    y: int


@dataclass(frozen=True)
class TileTable:
    """All tiles of one level, sorted by x, then y.

    Args:
        level: The level.
        tiles: Tile numbers (x, y). (N, 2) int64
        sizes: Bytes of each tile's file. (N,) int64
    """

    level: int
    tiles: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tiles)

    def numbers(self) -> list[tuple[int, int]]:
        """The tiles as pairs (x, y)."""
        return [(x, y) for x, y in self.tiles.tolist()]


class NoTiles(dict[TileId, str]):
    """Tiles of a server or package that were asked for and turned out to hold no data, and why."""

    def describe(self) -> str:
        """How many they are, and why, for people; empty where there are none."""
        reasons = ", ".join(f"{count:,} {why}" for why, count in Counter(self.values()).most_common())
        return f"tiles without data: {len(self):,} ({reasons})" if self else ""


class TileSource(Protocol):
    """What the renderer needs of a place that holds tiles."""

    def levels(self) -> tuple[int, ...]:
        """Levels with at least one tile, coarsest first."""

    def has_level(self, level: int) -> bool:
        """Whether the level has at least one tile."""

    def read(self, tile: TileId) -> bytes | None:
        """A tile's file, or None where there is no such tile."""

    def describe(self, tile: TileId) -> str:
        """The file, or the shard and member, of a tile: for messages."""

    def table(self, level: int) -> TileTable:
        """All tiles of a level; empty where it has none."""

    def tiles(self, level: int) -> list[tuple[int, int]]:
        """All tiles of a level as (x, y), sorted."""


def tile_path(layout: TileLayout, tile: TileId) -> str:
    """A tile's path below the layout's folder."""
    path = layout.path.replace("{zoom}", str(tile.level)).replace("{z}", str(tile.level))
    return path.replace("{x}", str(tile.x)).replace("{y}", str(tile.y))


def tile_pattern(layout: TileLayout, level: int) -> re.Pattern[str]:
    """A pattern that matches the paths of a level's tiles and gives x and y."""
    text = re.escape(layout.path.replace("{zoom}", str(level)).replace("{z}", str(level)))
    text = text.replace(r"\{x\}", f"(?P<x>{_NUMBER})").replace(r"\{y\}", f"(?P<y>{_NUMBER})")
    return re.compile(text)


def _table(level: int, rows: list[tuple[int, int, int]]) -> TileTable:
    values = np.array(sorted(rows), np.int64).reshape(-1, 3)
    return TileTable(level, values[:, :2].copy(), values[:, 2].copy())


class FolderSource:
    """Tiles as files below a folder, at the layout's path.

    Args:
        folder: The folder that the layout's path starts from.
        layout: The layout.
    """

    def __init__(self, folder: Path, layout: TileLayout) -> None:
        self.folder = Path(folder)
        self.layout = layout
        self._start = os.path.join(self.folder, "")  # noqa: PTH118 (paths of tiles are put together often)

    def levels(self) -> tuple[int, ...]:
        """Levels with at least one tile, coarsest first."""
        return tuple(v for v in range(self.layout.min_zoom, self.layout.max_zoom + 1) if self.has_level(v))

    def has_level(self, level: int) -> bool:
        """Whether the level has at least one tile."""
        return next(self._walk(level), None) is not None

    def read(self, tile: TileId) -> bytes | None:
        """A tile's file, or None where there is no such file.

        Raises:
            TileError: If the file is there but cannot be read.
        """
        try:
            with open(f"{self._start}{tile_path(self.layout, tile)}", "rb", buffering=0) as file:  # noqa: PTH123 (hot)
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TileError(self.describe(tile), f"the tile cannot be read ({error.strerror})",
                            "Check the file and its permissions.") from error

    def describe(self, tile: TileId) -> str:
        """The file of a tile."""
        return str(self.folder / tile_path(self.layout, tile))

    def table(self, level: int) -> TileTable:
        """All tiles of a level; empty where it has none.

        Raises:
            TileError: If a folder cannot be listed.
        """
        return _table(level, list(self._walk(level)))

    def tiles(self, level: int) -> list[tuple[int, int]]:
        """All tiles of a level as (x, y), sorted."""
        return self.table(level).numbers()

    def files(self, level: int) -> list[tuple[str, os.stat_result]]:
        """Number and state of each file of a level, sorted.

        Raises:
            TileError: If a folder cannot be listed.
        """
        return [(f"{level}/{x}/{y}", status) for x, y, status in sorted(self._states(level), key=lambda row: row[:2])]

    def _walk(self, level: int) -> Iterator[tuple[int, int, int]]:
        """Tiles of a level as (x, y, bytes), in no order."""
        return ((x, y, status.st_size) for x, y, status in self._states(level))

    def _states(self, level: int) -> Iterator[tuple[int, int, os.stat_result]]:
        """Tiles of a level as (x, y, state of the file), in no order."""
        pattern = tile_pattern(self.layout, level)
        fixed: list[str] = []
        for part in PurePosixPath(tile_path(self.layout, TileId(level, 0, 0)).rpartition("/")[0]).parts:
            template = PurePosixPath(self.layout.path).parts[len(fixed)]
            if "{x}" in template or "{y}" in template:
                break
            fixed.append(part)
        yield from self._scan(self.folder.joinpath(*fixed), "".join(f"{part}/" for part in fixed), pattern)

    def _scan(self, folder: Path, prefix: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int, os.stat_result]]:
        depth = self.layout.path.count("/")
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if name.count("/") < depth:
                        if entry.is_dir():
                            yield from self._scan(folder / entry.name, f"{name}/", pattern)
                    elif (match := pattern.fullmatch(name)) and entry.is_file():
                        yield int(match["x"]), int(match["y"]), entry.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise TileError(folder, f"the folder cannot be listed ({error.strerror})",
                            "Check the folder and its permissions.") from error


class ShardSource:
    """Tiles inside the card's TAR shards, `satellite_level_*.tar`, read in place.

    A level's shards are indexed when the level is first needed, so that work which never touches
    level 0 never reads its shards. Shards of levels beyond the layout's are left alone.

    Args:
        archives: The folder of the shards.
        layout: The layout.
        cache_dir: A folder for the indexes instead of `.jzi-index/` beside the shards.
    """

    def __init__(self, archives: Path, layout: TileLayout, cache_dir: Path | None = None) -> None:
        self.archives = Path(archives)
        self.layout = layout
        self._cache_dir = cache_dir
        levels = range(layout.min_zoom, layout.max_zoom + 1)
        self._paths = {level: paths for level, paths in find_shards(self.archives).items() if level in levels}
        self._open: dict[int, TarShards] = {}
        self._tables: dict[int, TileTable] = {}

    def levels(self) -> tuple[int, ...]:
        """Levels with at least one tile, coarsest first; indexes every level's shards."""
        return tuple(level for level in sorted(self._paths) if self.has_level(level))

    def has_level(self, level: int) -> bool:
        """Whether the level has at least one tile."""
        return level in self._paths and len(self.shards(level)) > 0

    def read(self, tile: TileId) -> bytes | None:
        """A tile's file, or None where no shard holds it.

        Raises:
            TileError: If a shard is missing, broken, changed or truncated.
        """
        shards = self.shards(tile.level)
        name = SHARD_PREFIX + tile_path(self.layout, tile)
        return shards.read(name) if name in shards else None

    def describe(self, tile: TileId) -> str:
        """The shard and member of a tile."""
        shards, name = self.shards(tile.level), SHARD_PREFIX + tile_path(self.layout, tile)
        return f"{shards.shard_of(name) if name in shards else self.archives}!{name}"

    def table(self, level: int) -> TileTable:
        """All tiles of a level; empty where it has none.

        Raises:
            TileError: If a shard of the level is broken or holds members that are no tiles of this level.
        """
        self.shards(level)
        return self._tables[level]

    def tiles(self, level: int) -> list[tuple[int, int]]:
        """All tiles of a level as (x, y), sorted."""
        return self.table(level).numbers()

    def _read_table(self, level: int, shards: TarShards) -> TileTable:
        pattern, rows = tile_pattern(self.layout, level), []
        for name, size in zip(shards.names(), shards.size_array().tolist(), strict=True):
            match = pattern.fullmatch(name.removeprefix(SHARD_PREFIX)) if name.startswith(SHARD_PREFIX) else None
            if match is None:
                raise TileError(f"{shards.shard_of(name)}!{name}", f"the member is no tile of level {level}",
                                f"Tiles of it are named {SHARD_PREFIX}{self.layout.path}.")
            rows.append((int(match["x"]), int(match["y"]), size))
        return _table(level, rows)

    def afresh(self) -> ShardSource:
        """The same shards, looked for and opened again."""
        return ShardSource(self.archives, self.layout, self._cache_dir)

    def paths(self, level: int) -> tuple[Path, ...]:
        """The shard files of a level, sorted."""
        return self._paths.get(level, ())

    def shards(self, level: int) -> TarShards:
        """The shards of a level (none where there is no shard of it), indexed when first asked for."""
        shards = self._open.get(level)
        if shards is None:
            shards = TarShards(self._paths.get(level, ()), self._cache_dir)
            self._tables[level] = self._read_table(level, shards)  # finds a shard of another level at once
            self._open[level] = shards
        return shards


def find_shards(archives: Path) -> dict[int, tuple[Path, ...]]:
    """The tile shards in a folder, by level; empty where there are none or no such folder."""
    found: dict[int, list[Path]] = {}
    if archives.is_dir():
        for path in sorted(archives.iterdir()):
            match = SHARD_PATTERN.fullmatch(path.name)
            if match:
                found.setdefault(-int(match[2]) if match[1] else int(match[2]), []).append(path)
    return {level: tuple(paths) for level, paths in found.items()}
