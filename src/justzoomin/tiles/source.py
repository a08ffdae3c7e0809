"""Where tiles come from: what a map needs from any source of tiles."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError


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

    @classmethod
    def from_rows(cls, level: int, rows: Iterable[tuple[int, int, int]]) -> TileTable:
        """Make a table from rows of x, y and bytes, in any order."""
        values = np.array(sorted(rows), np.int64).reshape(-1, 3)
        return cls(level, values[:, :2].copy(), values[:, 2].copy())

    def numbers(self) -> list[tuple[int, int]]:
        """Return the tiles as pairs (x, y)."""
        return [(x, y) for x, y in self.tiles.tolist()]


class NoTiles(dict[TileId, str]):
    """Tiles of a server or package that were read and hold no data, with the reason."""

    def describe(self) -> str:
        """Return their number and reasons as a text; empty if there are none."""
        reasons = ", ".join(f"{count:,} {why}" for why, count in Counter(self.values()).most_common())
        return f"tiles without data: {len(self):,} ({reasons})" if self else ""


class TileSource(ABC):
    """Where the tiles of a map come from.

    A new kind of source implements the four abstract methods. Everything else has a default, which a source replaces if it does
    not fit. A map and its source are pickled for worker processes: open files when they are needed, and leave open files and
    locks out of the pickled state.

    Attributes:
        kind: A word for the kind of source, shown by `jzi map info`.
        folder: Folder for files made from the map, such as `.jzi-views`; None for the folder of the opened path.
        listed: Whether its tiles can be listed. If not, `levels` names the levels that it states, `table` raises TileError, and
            `identity_hash` must identify the map.
        requests_per_second: How many tiles may be requested in a second; None if they are read from a disk.
        no_tiles: Tiles that were read and hold no data; None if these are not counted.
    """

    kind: str = "other"
    folder: Path | None = None
    listed: bool = True
    requests_per_second: float | None = None
    no_tiles: NoTiles | None = None

    @abstractmethod
    def levels(self) -> tuple[int, ...]:
        """Return the levels with at least one tile, coarsest first."""

    @abstractmethod
    def table(self, level: int) -> TileTable:
        """Return all tiles of a level; empty if it has none.

        Raises:
            TileError: If they cannot be listed.
        """

    @abstractmethod
    def read(self, tile: TileId) -> bytes | None:
        """Return a tile's file, or None if there is no such tile.

        Raises:
            TileError: If the tile exists but cannot be read.
        """

    @abstractmethod
    def describe(self, tile: TileId) -> str:
        """Return the file, the shard and member, or the address of a tile, for messages.

        Tiles with names that end in `.jpg` or `.jpeg` must be JPEGs; the format of all others is read from their content.
        """

    def has_level(self, level: int) -> bool:
        """Return whether the level has at least one tile."""
        return level in self.levels()

    def tiles(self, level: int) -> list[tuple[int, int]]:
        """Return all tiles of a level as (x, y), sorted.

        Raises:
            TileError: If they cannot be listed.
        """
        return self.table(level).numbers()

    def identity_hash(self) -> str | None:
        """Return what identifies the map if its tiles cannot be listed and hashed; None if they can."""
        return None

    def files(self, levels: Sequence[int]) -> Iterable[tuple[str, os.stat_result]]:
        """Return name and state of every file that holds tiles of some levels, in a stable order.

        View caches and indexes check with these that the map is the same: a changed tile must change one of them.

        Raises:
            TileError: If the files are not known, as by default, or the state of one cannot be read.
        """
        raise TileError(self.describe(TileId(levels[0] if levels else 0, 0, 0)),
                        "the files that hold its tiles are not known, so nothing made from them can be kept",
                        "Build the map first: jzi map build.")

    def afresh(self) -> TileSource:
        """Open the source again. Replace this if anything read from the files is kept in memory, such as a list of tiles."""
        return self

    def dataset_files(self) -> Iterable[tuple[Path, str]] | None:
        """Return the files of all tiles, each with its name in a dataset's folder; None if a dataset cannot hold them."""
        return None

    def require_level(self, level: int, extent: tuple[float, float, float, float]) -> None:
        """Make sure that there is any tile of a level in an area. A server source requests some; others use `has_level`.

        Args:
            level: The level.
            extent: The area in the projection: west, south, east, north.

        Raises:
            TileError: If there is none.
        """
        if not self.has_level(level):
            raise TileError(self.describe(TileId(level, 0, 0)), f"level {level} has no tile", "Choose another level.")


def file_states(paths: Iterable[Path]) -> Iterator[tuple[str, os.stat_result]]:
    """Return name and state of files, for `TileSource.files`.

    Raises:
        TileError: If the state of a file cannot be read.
    """
    for path in paths:
        try:
            yield path.name, path.stat()
        except OSError as error:
            raise TileError(path, f"the state of the file cannot be read ({error.strerror})", "Open the map again.") from error
