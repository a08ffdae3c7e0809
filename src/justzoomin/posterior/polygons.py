"""A prior from GeoJSON polygons."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid, to_local
from justzoomin.posterior.coverage import polygon_coverage
from justzoomin.posterior.lattice import Floats, lattice
from justzoomin.posterior.priors import log
from justzoomin.untrusted import printable, read_limited

MAX_BYTES = 32 << 20
MAX_CORNERS = 200_000
_REMEDY = "Give GeoJSON of Polygons or MultiPolygons in degrees, longitude first (RFC 7946)."
_PIECES = 16
"""Edges near a region are cut into pieces of at most its size over this: a straight line in degrees bends in metres."""

Ring = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Polygons:
    """Inside at least one of some polygons, and in none of its holes.

    The weight of a cell is the share of its area inside.

    Args:
        polygons: For each polygon its rings (K, 2) of lon, lat in degrees, the outline first, then holes.
        name: What they are, for error texts.
    """

    polygons: tuple[tuple[Ring, ...], ...]
    name: str = "polygon"

    def log_weights(self, grid: ZoomGrid) -> Floats:
        """Log of the share inside (N,)."""
        cells = lattice(grid)
        image = np.zeros((cells.side, cells.side))
        for rings in self.polygons:
            for turn in (-360.0, 0.0, 360.0):  # regions and polygons may lie on two sides of the antimeridian
                near = [_oriented(ring, hole) for hole, ring in enumerate(_near(ring, grid, turn) for ring in rings)
                        if len(ring)]
                image += polygon_coverage(cells.side, near)
        return log(cells.from_image(np.minimum(image, 1.0)).astype(np.float64))

    def __str__(self) -> str:
        return f"within the polygons of {self.name}"


def _oriented(ring: Ring, hole: int) -> Ring:
    """The ring, outlines turned one way and holes the other."""
    x, y = ring[:-1].T
    signed = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    return ring[::-1] if (signed > 0) == (hole > 0) else ring


def _near(ring: Ring, grid: ZoomGrid, turn: float) -> Ring:
    """The part of a ring about a region, in squares of its lattice from the north-west corner; empty where there is none."""
    centre, size = grid.region.centre, grid.region.size_m
    high = np.degrees(0.6 * size / 6_300_000.0)
    wide = min(high / max(math.cos(math.radians(min(abs(centre.lat) + high, 89.9))), 1e-3), 80.0)
    corners = [(lon - centre.lon + turn, lat - centre.lat) for lon, lat in ring[:-1].tolist()]
    for axis, limit in ((0, wide), (1, high)):
        for sign in (1.0, -1.0):
            corners = _clip(corners, axis, sign, limit)
    if len(corners) < 3:
        return np.empty((0, 2))
    closed = np.array([*corners, corners[0]])
    lengths = np.abs(np.diff(closed, axis=0) / [wide, high]).max(1)
    pieces = [np.linspace(a, b, max(1, math.ceil(_PIECES * length)), endpoint=False)
              for a, b, length in zip(closed[:-1], closed[1:], lengths.tolist(), strict=True)]
    lon, lat = np.concatenate([*pieces, closed[-1:]]).T
    east, north = to_local(centre.lat, centre.lon, lat + centre.lat, lon + centre.lon)
    cell = grid.cell_size_m(grid.depth)
    return np.stack([(east + size / 2) / cell, (size / 2 - north) / cell], 1)


def _clip(corners: list[tuple[float, float]], axis: int, sign: float, limit: float) -> list[tuple[float, float]]:
    """The part of a polygon where sign * coordinate <= limit. Source: Sutherland and Hodgman, CACM 17 (1974)."""
    kept: list[tuple[float, float]] = []
    for before, corner in zip([corners[-1], *corners[:-1]] if corners else [], corners, strict=True):
        inside, was = sign * corner[axis] <= limit, sign * before[axis] <= limit
        if inside != was:
            t = (sign * limit - before[axis]) / (corner[axis] - before[axis])
            kept.append((before[0] + t * (corner[0] - before[0]), before[1] + t * (corner[1] - before[1])))
        if inside:
            kept.append(corner)
    return kept


def read_polygons(path: Path) -> Polygons:
    """Polygons of a GeoJSON file: geometries, features and collections of them.

    Raises:
        ConfigError: If it cannot be read, is too large, is no GeoJSON, or holds no polygon.
    """
    try:
        text = read_limited(path, MAX_BYTES).decode("utf-8-sig")
        value = json.loads(text, parse_constant=_refuse)
    except OSError as error:
        raise ConfigError(path, f"it cannot be read ({error.strerror})", f"Give a readable file of up to {MAX_BYTES} bytes."
                          ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(path, f"it is no JSON ({printable(error, 100)})", _REMEDY) from error
    found: list[tuple[Ring, ...]] = []
    room = MAX_CORNERS
    for polygon in _polygons(value, path, 0):
        rings = []
        for ring in polygon:
            if not isinstance(ring, list) or len(ring) > room:
                raise ConfigError(path, f"it has more than {MAX_CORNERS:,} corners" if isinstance(ring, list)
                                  else "a ring is no list", _REMEDY)
            room -= len(ring)
            rings.append(_ring(ring, path))
        found.append(tuple(rings))
    if not found:
        raise ConfigError(path, "it holds no polygon", _REMEDY)
    return Polygons(tuple(found), str(path))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _polygons(value: Any, path: Path, depth: int) -> Iterator[list[Any]]:
    """Coordinates of the polygons in a GeoJSON object."""
    kind = value.get("type") if isinstance(value, dict) else None
    inner: Any = None
    if kind == "FeatureCollection":
        inner = value.get("features")
    elif kind == "GeometryCollection":
        inner = value.get("geometries")
    elif kind == "Feature":
        inner = [value.get("geometry")]
    if kind in {"FeatureCollection", "GeometryCollection", "Feature"}:
        if not isinstance(inner, list) or depth > 3:
            raise ConfigError(path, f"its {kind} holds no list of them, or is nested too deeply", _REMEDY)
        for part in inner:
            yield from _polygons(part, path, depth + 1)
        return
    coordinates = value.get("coordinates") if kind in {"Polygon", "MultiPolygon"} else None
    if not isinstance(coordinates, list):
        raise ConfigError(path, f"it holds {printable(kind, 40)}, no polygon", _REMEDY)
    for polygon in coordinates if kind == "MultiPolygon" else [coordinates]:
        if not isinstance(polygon, list) or not polygon:
            raise ConfigError(path, "a polygon has no rings", _REMEDY)
        yield polygon


def _ring(ring: list[Any], path: Path) -> Ring:
    """A closed ring (K, 2), checked."""
    corners = []
    for corner in ring:
        pair = corner[:2] if isinstance(corner, list) else []
        if len(pair) < 2 or not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= 360 for v in pair) \
                or abs(pair[1]) > 90:
            raise ConfigError(path, f"{printable(corner, 60)} is no position", _REMEDY)
        corners.append((float(pair[0]), float(pair[1])))
    if len(corners) < 4 or corners[0] != corners[-1]:
        raise ConfigError(path, "a ring is not closed, or has fewer than three corners", _REMEDY)
    return np.array(corners)
