"""The tiles of web maps: numbers, zoom levels, and positions of their pixels (EPSG:3857, square of the world, y growing south).

A smooth function of the position, such as another projection, is computed at a few nodes of a tile, and a polynomial gives its
values at all pixels. Where tiles are too large for this, or the function has no value at a node, it is computed at each pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import EARTH_RADIUS_M

TILE_PX = 256
MAX_ZOOM = 30
Floats = npt.NDArray[np.float64]
Smooth = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""A function of latitudes (N,) and longitudes (N,) in degrees with two values (N,) each, not finite where it has none."""
_NODES = 7
_SMOOTH_ZOOM = 7
"""Tiles of coarser zoom levels are larger than 300 km: functions are computed at each of their pixels."""


def check_tile(z: int, x: int, y: int) -> None:
    """Check that there is such a tile.

    Raises:
        GeometryError: If there is none.
    """
    if not (0 <= z <= MAX_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z):
        raise GeometryError(f"tile {z}/{x}/{y}", "web maps have no such tile",
                            f"Give z from 0 to {MAX_ZOOM}, and x and y from 0 to 2 ** z - 1.")


def world_of(lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the places of positions in the square of the world: x from the west and y from the north, both 0 to 1 inside."""
    lat, lon = np.radians(np.asarray(lat, np.float64)), np.asarray(lon, np.float64)
    return lon / 360.0 + 0.5, 0.5 - np.arctanh(np.sin(lat)) / (2.0 * np.pi)


def position_of(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return latitudes and longitudes in degrees of places in the square of the world: the inverse of `world_of`."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * y)))), (x - 0.5) * 360.0


def metres_per_pixel(zoom: int, lat: float) -> float:
    """Return the ground resolution of a zoom level at a latitude, in metres on the sphere."""
    return 2.0 * math.pi * EARTH_RADIUS_M * math.cos(math.radians(lat)) / (TILE_PX * 2.0**zoom)


def zoom_for(metres: float, lat: float) -> float:
    """Return the zoom level, fractional, at which a pixel has a ground resolution in metres at a latitude."""
    return math.log2(metres_per_pixel(0, lat) / metres)


def over_tile(function: Smooth, z: int, x: int, y: int, pixels: int) -> tuple[Floats, Floats]:
    """Return both values of a smooth function at the middles of a tile's pixels, two arrays (pixels, pixels).

    Args:
        function: The function.
        z: Zoom level of the tile.
        x: Its column from the west.
        y: Its row from the north.
        pixels: Its edge in pixels.
    """
    if z >= _SMOOTH_ZOOM:
        first, second = function(*_positions(z, x, y, _nodes()))
        if np.isfinite(first).all() and np.isfinite(second).all():
            weights = _weights(pixels)
            return (weights @ first.reshape(_NODES, _NODES) @ weights.T, weights @ second.reshape(_NODES, _NODES) @ weights.T)
    first, second = function(*_positions(z, x, y, (np.arange(pixels) + 0.5) / pixels))
    return first.reshape(pixels, pixels), second.reshape(pixels, pixels)


def _positions(z: int, x: int, y: int, steps: Floats) -> tuple[Floats, Floats]:
    """Return latitudes and longitudes (N * N,) of a raster of places in a tile: steps (N,) from 0 to 1, rows first."""
    lat, lon = position_of((x + steps) / 2.0**z, (y + steps) / 2.0**z)
    return np.repeat(lat, len(steps)), np.tile(lon, len(steps))


@cache
def _nodes() -> Floats:
    """Return the places of the nodes between 0 and 1: those of Chebyshev, which never are on a tile's border."""
    return (1.0 - np.cos((np.arange(_NODES) + 0.5) * np.pi / _NODES)) / 2.0


@cache
def _weights(pixels: int) -> Floats:
    """Return the weights (pixels, nodes) of the nodes at the middles of pixels. Source: interpolation of Lagrange."""
    nodes, at = _nodes(), (np.arange(pixels) + 0.5) / pixels
    weights = np.ones((pixels, _NODES))
    for node in range(_NODES):
        for other in range(_NODES):
            if other != node:
                weights[:, node] *= (at - nodes[other]) / (nodes[node] - nodes[other])
    return weights
