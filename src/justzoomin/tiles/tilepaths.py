"""Names of tiles' files in a layout: from a tile's number to its path, and back."""

from __future__ import annotations

import re

from justzoomin.tiles.layout import TileLayout
from justzoomin.tiles.source import TileId

_NUMBER = "-?(?:0|[1-9][0-9]{0,17})"


def tile_path(layout: TileLayout, tile: TileId) -> str:
    """Return a tile's path in the layout's folder."""
    path = layout.path.replace("{zoom}", str(tile.level)).replace("{z}", str(tile.level))
    return path.replace("{x}", str(tile.x)).replace("{y}", str(tile.y))


def tile_pattern(layout: TileLayout, level: int) -> re.Pattern[str]:
    """Return a pattern that matches the paths of a level's tiles, with groups x and y."""
    text = re.escape(layout.path.replace("{zoom}", str(level)).replace("{z}", str(level)))
    text = text.replace(r"\{x\}", f"(?P<x>{_NUMBER})").replace(r"\{y\}", f"(?P<y>{_NUMBER})")
    return re.compile(text)
