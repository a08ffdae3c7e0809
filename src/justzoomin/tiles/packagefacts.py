"""What tile packages have in common: web mercator, tiles of one size, an attribution."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.tiles.layout import TileLayout
from justzoomin.tiles.server import web_layout
from justzoomin.tiles.sources import TileTable
from justzoomin.tiles.tileheader import tile_size

MAX_LISTED = 20_000_000
"""Tiles of one level that are listed at most."""
_SIZES = (256, 512)


@dataclass(frozen=True)
class PackageFacts:
    """What a package says of itself.

    Args:
        layout: How its tiles lie.
        attribution: Whom to name; empty where it does not say.
    """

    layout: TileLayout
    attribution: str


def read_facts(path: Path, first: object, levels: tuple[int, ...], attribution: str) -> PackageFacts:
    """Facts of a package from its first tile and its levels; the first tile says the size of all.

    Raises:
        TileError: If the first tile is no picture, or no square of 256 or 512 px.
    """
    width, height = tile_size(first if isinstance(first, bytes) else b"", f"{path}: first tile")
    if width != height or width not in _SIZES:
        raise TileError(f"{path}: first tile", f"it is {width} x {height} px", "Tiles of packages are 256 or 512 px a side.")
    return PackageFacts(web_layout(levels[0], levels[-1], width), attribution)


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
