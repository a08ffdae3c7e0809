"""What a region looks like from afar: tells whether two maps show the same place, whatever their bytes are."""

from __future__ import annotations

from PIL import Image

from justzoomin.maps.gridviews import GridViews

_PARTS = 4
_ALIKE = 3
"""Grey levels that colours of one place may differ by: other compression, other rounding of another processor."""


def region_look(views: GridViews) -> str:
    """Mean colours of the 4 x 4 parts of a region: 48 bytes as hex digits, the north-western part's red first.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    return Image.fromarray(views.get(())).resize((_PARTS, _PARTS), Image.Resampling.BOX).tobytes().hex()


def look_alike(first: str, second: object) -> bool:
    """Whether two looks are of one place, as far as their colours tell; what is no look is like none."""
    try:
        pairs = zip(bytes.fromhex(first), bytes.fromhex(str(second)), strict=True)
        return bool(first) and all(abs(a - b) <= _ALIKE for a, b in pairs)
    except ValueError:
        return False
