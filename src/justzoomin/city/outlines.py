"""Geometry of the outlines of blocks."""

from __future__ import annotations

import numpy as np

from justzoomin.city.arrays import Array
from justzoomin.city.streets import Block


def shrunk(block: Block, shrink: float) -> Array:
    """Return the outline of a block, shrunk towards its centre by a share."""
    inner: Array = block.centre + (block.polygon - block.centre) * shrink
    return inner


def inside(point: Array, polygon: Array) -> bool:
    """Return whether a point (2,) is inside a polygon (n, 2), by crossings; trained models depend on every bit of it."""
    x, y = point
    a, b = polygon, np.concatenate([polygon[1:], polygon[:1]])
    hit = (a[:, 1] > y) != (b[:, 1] > y)
    across = a[hit, 0] + (y - a[hit, 1]) / (b[hit, 1] - a[hit, 1]) * (b[hit, 0] - a[hit, 0])
    return bool((across > x).sum() % 2)
