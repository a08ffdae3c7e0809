"""The coarse colours of a region, which show whether two maps are of the same place, whatever their bytes are."""

from __future__ import annotations

from PIL import Image

from justzoomin.maps.gridviews import GridViews

_PARTS = 4
_ALIKE = 3
"""Grey levels by which colours of one place may differ, because of compression or the processor's rounding."""


def region_look(views: GridViews) -> str:
    """Return the mean colours of the 4 x 4 parts of a region: 48 bytes as hex digits, first the north-western part's red.

    Raises:
        TileError: If the view of the region cannot be drawn.
    """
    return Image.fromarray(views.get(())).resize((_PARTS, _PARTS), Image.Resampling.BOX).tobytes().hex()


def look_alike(first: str, second: object) -> bool:
    """Return whether two results of `region_look` may be of one place; False if one is not such a result."""
    try:
        pairs = zip(bytes.fromhex(first), bytes.fromhex(str(second)), strict=True)
        return bool(first) and all(abs(a - b) <= _ALIKE for a, b in pairs)
    except ValueError:
        return False
