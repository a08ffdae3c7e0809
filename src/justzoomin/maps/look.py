"""What a region looks like from afar: tells whether two maps show the same place, whatever their bytes are."""

from __future__ import annotations

import numpy as np

from justzoomin.geometry import ZoomGrid
from justzoomin.maps.map import Map

_PARTS, _PIXELS = 4, 64
_ALIKE = 3
"""Grey levels that colours of one place may differ by: other compression, other rounding of another processor."""


def region_look(source: Map, grid: ZoomGrid) -> str:
    """Mean colours of the 4 x 4 parts of a region: 48 bytes as hex digits, the north-western part's red first.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    region = grid.region
    picture = source.view(*region.centre, region.size_m, _PIXELS).pixels.astype(np.float64)
    parts = picture.reshape(_PARTS, _PIXELS // _PARTS, _PARTS, _PIXELS // _PARTS, 3).mean((1, 3))
    return bytes(round(value) for value in parts.ravel().tolist()).hex()


def look_alike(first: str, second: object) -> bool:
    """Whether two looks are of one place, as far as their colours tell; what is no look is like none."""
    try:
        pairs = zip(bytes.fromhex(first), bytes.fromhex(str(second)), strict=True)
        return bool(first) and all(abs(a - b) <= _ALIKE for a, b in pairs)
    except ValueError:
        return False
