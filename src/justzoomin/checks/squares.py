"""The largest squares that a map's imagery covers, for several shares without data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.checks.outline import Outline
from justzoomin.errors import GeometryError
from justzoomin.geometry import LatLon, from_local
from justzoomin.tiles import TileProjection, TileTable

OFFERED_NO_DATA = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5)
"""Shares without data; the largest square for each is listed beside the proposal."""
_RASTER = 384


@dataclass(frozen=True)
class FitSquare:
    """The largest square with at most a given share without imagery.

    Args:
        no_data: The allowed share.
        size_m: Edge in metres; 0 if there is no such square.
        centre: Its centre.
        coverage: Share of it that has imagery.
    """

    no_data: float
    size_m: float
    centre: LatLon
    coverage: float


def tile_edge_m(table: TileTable, projection: TileProjection) -> float:
    """Return the edge of a tile in metres, in the middle of the tiles."""
    middle = projection.to_latlon(projection.tile_to_crs(table.tiles.mean(0) + 0.5, table.level))
    scale = projection.pixels_per_metre(float(middle[0]), float(middle[1]))[table.level - projection.layout.min_zoom]
    return float(projection.layout.tile_px / scale.mean())


def fit_squares(outline: Outline, no_data: float, centre: LatLon | None, size_m: float | None) -> tuple[FitSquare, ...]:
    """Return the largest squares for several bounds; the one for the wanted bound is refined.

    Args:
        outline: The places where the map has imagery.
        no_data: The wanted bound.
        centre: Centre of the squares; default: where they are largest.
        size_m: Edge of the square, which is placed where it has most imagery; default: the largest.

    Raises:
        GeometryError: If the projection fails at the corners of the tiles.
    """
    table, projection = outline.table, outline.projection
    low, high = table.tiles.min(0), table.tiles.max(0) + 1
    corners = projection.to_latlon(projection.tile_to_crs(np.array([low, high, [low[0], high[1]], [high[0], low[1]]]),
                                                          table.level))
    middle = projection.to_latlon(projection.tile_to_crs((low + high) / 2, table.level))
    if not (np.isfinite(corners).all() and np.isfinite(middle).all()):
        raise GeometryError(f"level {table.level}", "the projection fails at the corners of its tiles",
                            "Give --centre and --size-m.")
    at = centre or LatLon(float(middle[0]), float(middle[1]))
    span = tile_edge_m(table, projection) * float((high - low).max()) * 1.05
    if centre is not None:
        span *= 2.0  # the tiles may be on one side of it
    bounds = sorted({*OFFERED_NO_DATA, no_data} if size_m is None else {no_data})
    found = _largest(outline, at, span, bounds, centre is not None, size_m)
    best = found[no_data]
    for _ in range(2):  # refine the wanted one with points that are closer together
        if 0 < best.size_m < 0.7 * span:
            near = _largest(outline, best.centre, 1.3 * best.size_m, [no_data], centre is not None, size_m)[no_data]
            best = near if near.size_m > 0 else best
    return tuple(best if bound == no_data else found[bound] for bound in bounds)


def _largest(outline: Outline, at: LatLon, span_m: float, bounds: list[float], centred: bool,
             size_m: float | None) -> dict[float, FitSquare]:
    """Return the largest square, or the best of a given size, in a window for each bound, on a raster of points."""
    step = span_m / _RASTER
    offsets = (np.arange(_RASTER) + 0.5) * step - span_m / 2
    lat, lon = from_local(at.lat, at.lon, np.tile(offsets, _RASTER), np.repeat(offsets, _RASTER))
    covered = outline.covers(lat, lon).reshape(_RASTER, _RASTER)  # rows grow north
    sums = np.zeros((_RASTER + 1, _RASTER + 1), np.int64)
    sums[1:, 1:] = covered.cumsum(0).cumsum(1)
    found = {bound: FitSquare(bound, 0.0, at, 0.0) for bound in bounds}
    open_bounds = sorted(bounds)
    sides = range(_RASTER, 0, -1) if size_m is None else [min(_RASTER, max(1, round(size_m / step)))]
    for side in sides:
        if centred and (_RASTER - side) % 2:
            continue
        filled = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        if centred:
            middle = (_RASTER - side) // 2
            filled = filled[middle:middle + 1, middle:middle + 1]
        share = float(filled.max()) / side**2
        while open_bounds and (size_m is not None or share >= 1 - open_bounds[-1]):
            bound = open_bounds.pop()  # the loosest first: its square is the largest
            row, column = (0, 0) if centred else _middle_of_best(filled)
            east, north = ((v + side / 2) * step - span_m / 2 for v in (column, row))
            place = from_local(at.lat, at.lon, east, north)
            centre = at if centred else LatLon(float(place[0]), float(place[1]))
            found[bound] = FitSquare(bound, side * step if size_m is None else size_m, centre, share)
        if not open_bounds:
            break
    return found


def _middle_of_best(filled: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Return the best position nearest to the middle of all best ones, so that a square is not in a corner of a full map."""
    places = np.argwhere(filled == filled.max())
    row, column = places[np.argmin(((places - places.mean(0)) ** 2).sum(1))].tolist()
    return row, column
