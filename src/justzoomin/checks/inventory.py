"""List every piece of a map for verification, so that a broken piece does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from justzoomin.archives import TarShards
from justzoomin.errors import JustZoomInError, TileError
from justzoomin.tiles import SHARD_PREFIX, FolderSource, TileId, TileLayout, decode_tile, find_shards, tile_pattern


class TilePiece(NamedTuple):
    """One tile to examine: its name, and a function that decodes it.

    The function returns whether the tile is entirely white, and raises TileError if the tile is unusable.
    """

    item: str
    look: Callable[[], bool]


class TileInventory:
    """The tiles of a map's levels, from shards or files, listed piece by piece.

    Args:
        folder: The folder of layout.yaml.
        layout: The layout.
        broken: Shards that must not be opened.

    Attributes:
        problems: Shards and folders whose tiles cannot be listed, or are in two shards: where and what.
        foreign: Shards of levels that the layout does not have.
        packed: Whether the map is read from shards.
    """

    def __init__(self, folder: Path, layout: TileLayout, broken: Collection[Path] = ()) -> None:
        self._layout, self._folder = layout, FolderSource(folder, layout)
        self.problems: list[JustZoomInError] = []
        levels = range(layout.min_zoom, layout.max_zoom + 1)
        found = next((f for f in map(find_shards, _archives(folder)) if f), {})
        self.packed = bool(found)
        self.foreign = [path for level, paths in sorted(found.items()) if level not in levels for path in paths]
        self._shards: list[tuple[int, TarShards]] = []
        for level, paths in sorted(found.items()):
            whole = [p for p in paths if p not in broken] if level in levels else []
            try:
                TarShards(whole)  # finds names that are in two of them
            except JustZoomInError as error:
                self.problems.append(error)
            self._shards += [(level, shards) for shards in (self._opened(path) for path in whole) if shards is not None]
        self._tables = [] if self.packed else [(level, self._numbers(level)) for level in levels]

    def __len__(self) -> int:
        return sum(len(s) for _, s in self._shards) + sum(len(numbers) for _, numbers in self._tables)

    def __iter__(self) -> Iterator[TilePiece]:
        for level, shards in self._shards:
            pattern = tile_pattern(self._layout, level)
            for name in shards.names():
                fits = name.startswith(SHARD_PREFIX) and pattern.fullmatch(name.removeprefix(SHARD_PREFIX))
                yield self._member(shards, name) if fits else self._foreign_member(shards, name, level)
        for level, numbers in self._tables:
            for x, y in numbers:
                yield self._file(TileId(level, x, y))

    def _opened(self, path: Path) -> TarShards | None:
        try:
            return TarShards([path])
        except JustZoomInError as error:
            self.problems.append(error)
            return None

    def _numbers(self, level: int) -> list[tuple[int, int]]:
        try:
            return self._folder.tiles(level)
        except JustZoomInError as error:
            self.problems.append(error)
            return []

    def _member(self, shards: TarShards, name: str) -> TilePiece:
        where = f"{shards.paths[0]}!{name}"
        return TilePiece(name.removeprefix(SHARD_PREFIX), lambda: self._decoded(shards.read(name), where))

    def _file(self, tile: TileId) -> TilePiece:
        def look() -> bool:
            content = self._folder.read(tile)
            return content is not None and self._decoded(content, self._folder.describe(tile))

        return TilePiece("/".join(map(str, tile)), look)

    def _foreign_member(self, shards: TarShards, name: str, level: int) -> TilePiece:
        def look() -> bool:
            raise TileError(f"{shards.paths[0]}!{name}", f"the member is not a tile of level {level}",
                            f"Its tiles are named {SHARD_PREFIX}{self._layout.path}.")

        return TilePiece(name, look)

    def _decoded(self, content: bytes, where: str) -> bool:
        return int(decode_tile(content, where, self._layout.tile_px).min()) == 255


def _archives(folder: Path) -> list[Path]:
    """Return where shards of a map may be stored: in its folder, or beside it if it is called satellite."""
    return [folder / "archives", *([folder.parent / "archives"] if folder.name == "satellite" else [])]
