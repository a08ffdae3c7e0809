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
"""Most tiles of one level that are listed."""
_SIZES = (256, 512)


class PackageSource(TileSource):
    """Tiles in one file, a package: the base of all kinds of packages.

    A subclass sets `layout`, and `attribution` if the package states it. `packages.py` finds it by its file extension.

    Args:
        path: The file.

    Attributes:
        layout: Its tile layout.
        attribution: Whom to name; empty if the package does not say.
    """

    layout: TileLayout
    attribution: str = ""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.folder = self.path.parent
        self.kind = self.path.suffix.lower()[1:]

    def describe(self, tile: TileId) -> str:
        """Return the package and the number of a tile."""
        return f"{self.path}!{tile.level}/{tile.x}/{tile.y}"

    def files(self, levels: Sequence[int]) -> Iterator[tuple[str, os.stat_result]]:
        """Return name and state of the package, and of the file beside it with a database's last changes.

        Raises:
            TileError: If the state cannot be read.
        """
        return file_states([self.path, *(path for path in (Path(f"{self.path}-wal"),) if path.exists())])

    def afresh(self) -> TileSource:
        """Open the package again: an open one keeps the tables that it has read."""
        return type(self)(self.path)


def package_layout(path: Path, first: object, levels: tuple[int, ...]) -> TileLayout:
    """Return the layout of a package in web mercator; the size of all tiles is that of the first.

    Raises:
        TileError: If the first tile is not a picture, or not a square of 256 or 512 px.
    """
    width, height = tile_size(first if isinstance(first, bytes) else b"", f"{path}: first tile")
    if width != height or width not in _SIZES:
        raise TileError(f"{path}: first tile", f"it is {width} x {height} px", "Tiles of packages are 256 or 512 px a side.")
    return web_layout(levels[0], levels[-1], width)


def plain_text(text: str) -> str:
    """Return a text that may be HTML as plain text of at most 1000 letters: attributions are often links."""
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", "", text[:5000])).split())[:1000]


def table_of(where: str, level: int, rows: npt.NDArray[np.int64]) -> TileTable:
    """Return a table of tiles from rows (N, 3) of x, y and bytes, in any order.

    Raises:
        TileError: If a number is outside the level, or listed twice.
    """
    top = 2 ** max(level, 0)
    if len(rows) and (rows.min() < 0 or rows[:, :2].max() >= top):
        raise TileError(where, "it lists tiles outside the web mercator square", "Build the package again.")
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    doubled = np.flatnonzero((np.diff(rows[:, :2], axis=0) == 0).all(1))
    if len(doubled):
        x, y = rows[doubled[0], :2].tolist()
        raise TileError(where, f"tile {x}/{y} is listed twice", "Build the package again.")
    return TileTable(level, rows[:, :2].copy(), rows[:, 2].copy())
