"""Tiles as files in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from justzoomin.errors import TileError
from justzoomin.tiles.layout import TileLayout
from justzoomin.tiles.source import TileId, TileSource, TileTable
from justzoomin.tiles.tilepaths import tile_path, tile_pattern


class FolderSource(TileSource):
    """Tiles as files in a folder, at the layout's path.

    Args:
        folder: The folder that the layout's path starts from.
        layout: The layout.
    """

    kind = "folder"

    def __init__(self, folder: Path, layout: TileLayout) -> None:
        self.folder: Path = Path(folder)
        self.layout = layout
        self._start = os.path.join(self.folder, "")  # noqa: PTH118 (paths of tiles are put together often)

    def levels(self) -> tuple[int, ...]:
        """Return the levels with at least one tile, coarsest first."""
        return tuple(v for v in range(self.layout.min_zoom, self.layout.max_zoom + 1) if self.has_level(v))

    def has_level(self, level: int) -> bool:
        """Return whether the level has at least one tile."""
        return next(self._walk(level), None) is not None

    def read(self, tile: TileId) -> bytes | None:
        """Return a tile's file, or None if there is no such file.

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
        """Return the path of a tile's file."""
        return str(self.folder / tile_path(self.layout, tile))

    def table(self, level: int) -> TileTable:
        """Return all tiles of a level; empty if it has none.

        Raises:
            TileError: If a folder cannot be listed.
        """
        return TileTable.from_rows(level, self._walk(level))

    def files(self, levels: Sequence[int]) -> Iterator[tuple[str, os.stat_result]]:
        """Return the number and state of each file of some levels, sorted within a level.

        Raises:
            TileError: If a folder cannot be listed.
        """
        for level in levels:
            for x, y, status in sorted(self._states(level), key=lambda row: row[:2]):
                yield f"{level}/{x}/{y}", status

    def dataset_files(self) -> Iterator[tuple[Path, str]]:
        """Return every tile's file, and its name in a dataset's folder."""
        for level in self.levels():
            for x, y in self.tiles(level):
                name = tile_path(self.layout, TileId(level, x, y))
                yield self.folder / name, f"satellite/{name}"

    def _walk(self, level: int) -> Iterator[tuple[int, int, int]]:
        """Return the tiles of a level as (x, y, bytes), unsorted."""
        return ((x, y, status.st_size) for x, y, status in self._states(level))

    def _states(self, level: int) -> Iterator[tuple[int, int, os.stat_result]]:
        """Return the tiles of a level as (x, y, state of the file), unsorted."""
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
