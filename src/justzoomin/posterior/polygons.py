"""A prior from GeoJSON polygons.

Rings are clipped here and not by shapely, because rings that cross themselves are valid input.
"""

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
from justzoomin.posterior.coverage import Edges, polygon_coverage
from justzoomin.posterior.lattices import Floats, lattice
from justzoomin.posterior.priors import Prior, log
from justzoomin.untrusted import printable, read_limited

MAX_BYTES = 32 << 20
MAX_CORNERS = 200_000
_REMEDY = "Give GeoJSON of Polygons or MultiPolygons in degrees, longitude first (RFC 7946)."
_PIECES = 16
"""Edges near a region are cut into pieces of at most its size over this: a straight line in degrees bends in metres."""

Ring = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Polygons:
    """A prior for the inside of polygons, without their holes.

    The weight of a cell is the share of its area that is inside.

    Args:
        polygons: The rings (K, 2) of each polygon in lon, lat in degrees, the outline first, then holes.
        name: What they are, for error texts.
    """

    polygons: tuple[tuple[Ring, ...], ...]
    name: str = "polygon"

    def log_weights(self, grid: ZoomGrid) -> Floats:
        """Return the log (N,) of the share inside.

        Raises:
            ConfigError: If the polygons are so many and so large that it would take minutes.
        """
        cells = lattice(grid)
        # Region and polygons may be on different sides of the antimeridian.
        parts = [_near(self.polygons, grid, turn) for turn in (-360.0, 0.0, 360.0)]
        image = sum((polygon_coverage(cells.side, edges, self.name) for edges in parts if edges is not None),
                    np.zeros((cells.side, cells.side)))
        return log(cells.from_image(np.minimum(image, 1.0)))

    def exchanged(self) -> Prior | None:
        """Return the polygons with latitude and longitude swapped; None if a longitude cannot be a latitude."""
        if any(np.abs(ring[:, 0]).max() > 90 for rings in self.polygons for ring in rings):
            return None
        return Polygons(tuple(tuple(ring[:, ::-1] for ring in rings) for rings in self.polygons), self.name)

    def __str__(self) -> str:
        return f"within the polygons of {self.name}"


def _near(polygons: tuple[tuple[Ring, ...], ...], grid: ZoomGrid, turn: float) -> Edges | None:
    """Return edges of the parts of polygons near a region, in squares of its lattice; None if there are none."""
    centre, size = grid.region.centre, grid.region.size_m
    high = np.degrees(0.6 * size / 6_300_000.0)
    wide = min(high / max(math.cos(math.radians(min(abs(centre.lat) + high, 89.9))), 1e-3), 80.0)
    limit = np.array([wide, high])
    every = [(number, hole > 0, ring[:-1]) for number, rings in enumerate(polygons) for hole, ring in enumerate(rings)]
    shifted = np.concatenate([ring for _, _, ring in every]) - [centre.lon - turn, centre.lat]
    starts = np.cumsum([0, *(len(ring) for _, _, ring in every)])
    low, top = (fold.reduceat(shifted, starts[:-1]) for fold in (np.minimum, np.maximum))
    meets = np.all((low <= limit) & (top >= -limit), axis=1)
    whole: npt.NDArray[np.bool_] = np.all((low >= -limit) & (top <= limit), axis=1)
    kept = [(number, shifted[starts[number]:starts[number + 1]]) for number in np.flatnonzero(meets).tolist()]
    rings = [(number, ring if whole[number] else _clip_to(ring, limit)) for number, ring in kept]
    rings = [(number, ring) for number, ring in rings if len(ring) >= 3]
    if not rings:
        return None
    corners, ring_of = _pieces([ring for _, ring in rings], limit)
    east, north = to_local(centre.lat, centre.lon, corners[:, 1] + centre.lat, corners[:, 0] + centre.lon)
    at = np.stack([east + size / 2, size / 2 - north], 1) / grid.cell_size_m(grid.depth)
    end = at[_following(ring_of)]
    signed = np.bincount(ring_of, at[:, 0] * end[:, 1] - end[:, 0] * at[:, 1])
    numbers = [number for number, _ in rings]
    outline = np.array([not every[number][1] for number in numbers])
    sign = np.where((signed > 0) == outline, 1.0, -1.0)  # outlines one way round, holes the other
    return Edges(at, end, sign[ring_of], np.array([every[number][0] for number in numbers])[ring_of])


def _pieces(rings: list[Ring], limit: npt.NDArray[np.float64]) -> tuple[Ring, npt.NDArray[np.int64]]:
    """Return corners of rings with points between them (K, 2), and the number (K,) of each one's ring."""
    corners = np.concatenate(rings)
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    way = corners[_following(ring_of)] - corners
    count = np.maximum(1, np.ceil(_PIECES * np.abs(way / limit).max(1))).astype(np.int64)
    edge = np.repeat(np.arange(len(corners)), count)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    return corners[edge] + (step / count[edge])[:, None] * way[edge], ring_of[edge]


def _following(ring_of: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number (K,) of the next corner in the ring for each corner."""
    starts = np.flatnonzero(np.diff(ring_of, prepend=-1))
    following = np.arange(1, len(ring_of) + 1)
    following[np.append(starts[1:], len(ring_of)) - 1] = starts
    return following


def _clip_to(corners: Ring, limit: npt.NDArray[np.float64]) -> Ring:
    """Clip a polygon to a rectangle of +-`limit` around the origin. Source: Sutherland and Hodgman, CACM 17 (1974)."""
    for axis in (0, 1):
        for sign in (1.0, -1.0):
            inside = sign * corners[:, axis] <= limit[axis]
            before, was = np.roll(corners, 1, 0), np.roll(inside, 1)
            with np.errstate(divide="ignore", invalid="ignore"):
                t = (sign * limit[axis] - before[:, axis]) / (corners - before)[:, axis]
                cut = before + t[:, None] * (corners - before)
            corners = np.stack([cut, corners], 1)[np.stack([inside != was, inside], 1)]
    return corners


def read_polygons(path: Path) -> Polygons:
    """Read the polygons of a GeoJSON file: geometries, features and collections of them.

    Raises:
        ConfigError: If it cannot be read, is too large, is not GeoJSON, or holds no polygon.
    """
    try:
        text = read_limited(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError(path, f"it cannot be read ({error.strerror})", f"Give a readable file of up to {MAX_BYTES} bytes."
                          ) from error
    return polygons_from_geojson(text, path)


def polygons_from_geojson(text: bytes, where: str | Path) -> Polygons:
    """Return the polygons of a GeoJSON text; see `read_polygons`.

    Args:
        text: The text in UTF-8.
        where: Where it comes from, for errors and as the name of the polygons.

    Raises:
        ConfigError: If it is too large, is not GeoJSON, or holds no polygon.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(where, f"it has more than {MAX_BYTES} bytes", _REMEDY)
    try:
        value = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, f"it is not valid JSON ({printable(error, 100)})", _REMEDY) from error
    found: list[tuple[Ring, ...]] = []
    room = MAX_CORNERS
    for polygon in _polygons(value, where, 0):
        rings = []
        for ring in polygon:
            if not isinstance(ring, list) or len(ring) > room:
                raise ConfigError(where, f"it has more than {MAX_CORNERS:,} corners" if isinstance(ring, list)
                                  else "a ring is not a list", _REMEDY)
            room -= len(ring)
            rings.append(_ring(ring, where))
        found.append(tuple(rings))
    if not found:
        raise ConfigError(where, "it holds no polygon", _REMEDY)
    return Polygons(tuple(found), str(where))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _polygons(value: Any, where: str | Path, depth: int) -> Iterator[list[Any]]:
    """Yield the coordinates of the polygons in a GeoJSON object."""
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
            raise ConfigError(where, f"its {kind} has no list of parts, or is nested too deeply", _REMEDY)
        for part in inner:
            yield from _polygons(part, where, depth + 1)
        return
    coordinates = value.get("coordinates") if kind in {"Polygon", "MultiPolygon"} else None
    if not isinstance(coordinates, list):
        raise ConfigError(where, f"it holds {printable(kind, 40)}, which is not a polygon", _REMEDY)
    for polygon in coordinates if kind == "MultiPolygon" else [coordinates]:
        if not isinstance(polygon, list) or not polygon:
            raise ConfigError(where, "a polygon has no rings", _REMEDY)
        yield polygon


def _ring(ring: list[Any], where: str | Path) -> Ring:
    """Check a closed ring and return it as an array (K, 2)."""
    corners = []
    for corner in ring:
        pair = corner[:2] if isinstance(corner, list) else []
        if len(pair) < 2 or not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= 360 for v in pair) \
                or abs(pair[1]) > 90:
            raise ConfigError(where, f"{printable(corner, 60)} is not a position in degrees", _REMEDY)
        corners.append((float(pair[0]), float(pair[1])))
    if len(corners) < 4 or corners[0] != corners[-1]:
        raise ConfigError(where, "a ring is not closed or has fewer than three corners", _REMEDY)
    return np.array(corners)
