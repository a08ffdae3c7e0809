"""Where tiles come from: what a map asks of any source, whatever holds the tiles."""

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
        """The tiles as pairs (x, y)."""
        return [(x, y) for x, y in self.tiles.tolist()]


class NoTiles(dict[TileId, str]):
    """Tiles of a server or package that were asked for and turned out to hold no data, and why."""

    def describe(self) -> str:
        """How many they are, and why, for people; empty where there are none."""
        reasons = ", ".join(f"{count:,} {why}" for why, count in Counter(self.values()).most_common())
        return f"tiles without data: {len(self):,} ({reasons})" if self else ""


class TileSource(ABC):
    """Where the tiles of a map come from.

    A new kind of source writes the four abstract methods. Everything else has a default, to be replaced where it is not true of
    the source. A map and its source are pickled for worker processes: open files when they are needed, and leave open files and
    locks out of the pickled state.

    Attributes:
        kind: A word for what it is, as `jzi map info` shows it.
        folder: Where things made from the map are kept, `.jzi-views` among them; None for the folder of what was opened.
        listed: Whether its tiles can be listed. Where not, `levels` names the levels that it is said to have, `table` raises
            TileError, and `identity_hash` must say which map it is.
        requests_per_second: How many tiles may be asked for in a second; None where they are read from a disk.
        no_tiles: Tiles that were read and turned out to hold no data; None where these are not counted.
    """

    kind: str = "other"
    folder: Path | None = None
    listed: bool = True
    requests_per_second: float | None = None
    no_tiles: NoTiles | None = None

    @abstractmethod
    def levels(self) -> tuple[int, ...]:
        """Levels with at least one tile, coarsest first."""

    @abstractmethod
    def table(self, level: int) -> TileTable:
        """All tiles of a level; empty where it has none.

        Raises:
            TileError: If they cannot be listed.
        """

    @abstractmethod
    def read(self, tile: TileId) -> bytes | None:
        """A tile's file, or None where there is no such tile.

        Raises:
            TileError: If there is one and it cannot be read.
        """

    @abstractmethod
    def describe(self, tile: TileId) -> str:
        """The file, the shard and member, or the address of a tile, for messages.

        Names that end in `.jpg` or `.jpeg` must be JPEGs; the content of all others says what they are.
        """

    def has_level(self, level: int) -> bool:
        """Whether the level has at least one tile."""
        return level in self.levels()

    def tiles(self, level: int) -> list[tuple[int, int]]:
        """All tiles of a level as (x, y), sorted.

        Raises:
            TileError: If they cannot be listed.
        """
        return self.table(level).numbers()

    def identity_hash(self) -> str | None:
        """What stands in for a hash of the tiles where they cannot be listed; None where they can."""
        return None

    def files(self, levels: Sequence[int]) -> Iterable[tuple[str, os.stat_result]]:
        """Name and state of every file that tiles of some levels lie in, in a stable order.

        View caches and indexes are bound to the map by these: a change of a tile must show in one of them.

        Raises:
            TileError: If the files are not known, as by default, or one of them cannot be looked at.
        """
        raise TileError(self.describe(TileId(levels[0] if levels else 0, 0, 0)),
                        "the files that its tiles lie in are not known, so nothing made from them can be kept",
                        "Build the map first: jzi map build.")

    def afresh(self) -> TileSource:
        """The source opened again. Replace it where anything read from the files is kept in memory, such as a list of tiles."""
        return self

    def dataset_files(self) -> Iterable[tuple[Path, str]] | None:
        """The files of all tiles, each with its name in a dataset's folder; None where no dataset can hold them."""
        return None

    def require_level(self, level: int, extent: tuple[float, float, float, float]) -> None:
        """Make sure that there is any tile of a level in an area. A server asks for some; else `has_level` is believed.

        Args:
            level: The level.
            extent: The area in the projection: west, south, east, north.

        Raises:
            TileError: If there is none.
        """
        if not self.has_level(level):
            raise TileError(self.describe(TileId(level, 0, 0)), f"level {level} has no tile", "Ask for another level.")


def file_states(paths: Iterable[Path]) -> Iterator[tuple[str, os.stat_result]]:
    """Name and state of files, as `TileSource.files` gives them.

    Raises:
        TileError: If one cannot be looked at.
    """
    for path in paths:
        try:
            yield path.name, path.stat()
        except OSError as error:
            raise TileError(path, f"it cannot be looked at ({error.strerror})", "Open the map again.") from error
