"""What tile packages have in common: one file, tiles of one size in web mercator, an attribution."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.tiles.layout import TileLayout, web_layout
from justzoomin.tiles.source import TileId, TileSource, TileTable, file_states
from justzoomin.tiles.tileheader import tile_size

MAX_LISTED = 20_000_000
"""Tiles of one level that are listed at most."""
_SIZES = (256, 512)


class PackageSource(TileSource):
    """Tiles in one file, a package: what all kinds of packages have in common.

    A subclass sets `layout`, and `attribution` where the package states it. How it is found by its ending: `packages.py`.

    Args:
        path: The file.

    Attributes:
        layout: How its tiles lie.
        attribution: Whom to name; empty where the package does not say.
    """

    layout: TileLayout
    attribution: str = ""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.folder = self.path.parent
        self.kind = self.path.suffix.lower()[1:]

    def describe(self, tile: TileId) -> str:
        """The package and the number of a tile."""
        return f"{self.path}!{tile.level}/{tile.x}/{tile.y}"

    def files(self, levels: Sequence[int]) -> Iterator[tuple[str, os.stat_result]]:
        """Name and state of the package, and of a database's last changes, which lie beside it until they are written into it.

        Raises:
            TileError: If it cannot be looked at.
        """
        return file_states([self.path, *(path for path in (Path(f"{self.path}-wal"),) if path.exists())])

    def afresh(self) -> TileSource:
        """The package opened again: one that is in use goes on with the tables it has read."""
        return type(self)(self.path)


def package_layout(path: Path, first: object, levels: tuple[int, ...]) -> TileLayout:
    """Layout of a package in web mercator, from its first tile and its levels; the first tile says the size of all.

    Raises:
        TileError: If the first tile is no picture, or no square of 256 or 512 px.
    """
    width, height = tile_size(first if isinstance(first, bytes) else b"", f"{path}: first tile")
    if width != height or width not in _SIZES:
        raise TileError(f"{path}: first tile", f"it is {width} x {height} px", "Tiles of packages are 256 or 512 px a side.")
    return web_layout(levels[0], levels[-1], width)


def plain_text(text: str) -> str:
    """A text that may be HTML, as plain text of at most 1000 letters: attributions often are links."""
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", "", text[:5000])).split())[:1000]


def table_of(where: str, level: int, rows: npt.NDArray[np.int64]) -> TileTable:
    """A table of tiles from rows (N, 3) of x, y and bytes, in any order.

    Raises:
        TileError: If a number lies outside the level, or stands there twice.
    """
    top = 2 ** max(level, 0)
    if len(rows) and (rows.min() < 0 or rows[:, :2].max() >= top):
        raise TileError(where, "it lists tiles outside the web mercator square", "Build the package again.")
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    doubled = np.flatnonzero((np.diff(rows[:, :2], axis=0) == 0).all(1))
    if len(doubled):
        x, y = rows[doubled[0], :2].tolist()
        raise TileError(where, f"tile {x}/{y} stands there twice", "Build the package again.")
    return TileTable(level, rows[:, :2].copy(), rows[:, 2].copy())
