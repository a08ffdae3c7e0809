"""Where photos were taken in relation to a map: on it, outside its region, or where it has no tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid, from_local, haversine_m, to_local
from justzoomin.maps import Map
from justzoomin.photos.readers import PhotoRecord, Skipped
from justzoomin.tiles import TileProjection

_POINTS = 5
"""Points along each side of a terminal cell that are looked up."""
_CHUNK = 20_000


@dataclass(frozen=True)
class Placed:
    """Photos by where they were taken.

    Attributes:
        inside: Indexes of those on the map, ascending.
        skipped: The others, with their distance from the region.
        summary: The others in one sentence; empty if there are none.
        swapped: How many of the others would be in the region with latitude and longitude swapped.
    """

    inside: tuple[int, ...]
    skipped: tuple[Skipped, ...]
    summary: str
    swapped: int


def place_photos(records: Sequence[PhotoRecord], source: Map, grid: ZoomGrid, view_pixels: int) -> Placed:
    """Sort photos into those on the map and those off it.

    A photo is off the map if it is outside the region, or if its terminal cell has no tile on the level that the finest views
    are drawn from (the finest level with tiles, if that level has none).

    Args:
        records: The photos, with valid positions.
        source: The map.
        grid: Its zoom grid.
        view_pixels: Edge of the views in pixels.

    Raises:
        TileError: If the map's tiles cannot be listed.
    """
    lat, lon = np.array([r.lat for r in records], np.float64), np.array([r.lon for r in records], np.float64)
    sequences, inside = grid.encode_masked(lat, lon)
    skipped: dict[int, Skipped] = {}
    away_m = _distance_m(grid, lat, lon)
    flipped = (np.abs(lon) <= 90.0) & ~inside
    swapped = np.zeros(len(records), np.bool_)
    swapped[flipped] = grid.encode_masked(lon[flipped], lat[flipped])[1]
    for index in np.flatnonzero(~inside).tolist():
        hint = "; latitude and longitude may be swapped" if swapped[index] else ""
        skipped[index] = Skipped(records[index].image_id, "off_map", f"{lat[index]:.6f}, {lon[index]:.6f} is "
                                 f"{distance(away_m[index])} outside the region{hint}")
    bare = np.zeros(len(records), np.bool_)
    level = _finest_level(source, grid, view_pixels)
    if level is not None and inside.any():
        bare[inside] = ~_has_tiles(source, grid, level, sequences[inside])
    for index in np.flatnonzero(bare).tolist():
        skipped[index] = Skipped(records[index].image_id, "off_map", f"{lat[index]:.6f}, {lon[index]:.6f}: the map has no tile "
                                 f"of level {level} there")
    parts = []
    if not inside.all():
        parts.append(f"{int((~inside).sum()):,} are outside the region, the nearest {distance(float(away_m[~inside].min()))} "
                     "away from it")
    if bare.any():
        parts.append(f"{int(bare.sum()):,} are where the map has no tile of level {level}")
    return Placed(tuple(np.flatnonzero(inside & ~bare).tolist()), tuple(skipped[k] for k in sorted(skipped)),
                  " and ".join(parts), int(swapped.sum()))


def distance(metres: float) -> str:
    """Return a distance as text: 12 m, 3.4 km, 7,401 km."""
    if metres < 1000:
        return f"{max(metres, 1):.0f} m"
    return f"{metres / 1000:.1f} km" if metres < 100_000 else f"{metres / 1000:,.0f} km"


def _distance_m(grid: ZoomGrid, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return metres from the region, 0 inside; (N,)."""
    centre, half = grid.region.centre, grid.region.size_m / 2.0
    straight = haversine_m(centre.lat, centre.lon, lat, lon)
    with np.errstate(invalid="ignore"):
        east, north = to_local(centre.lat, centre.lon, lat, lon)
        near = np.hypot(np.maximum(np.abs(east) - half, 0.0), np.maximum(np.abs(north) - half, 0.0))
    # Far away the chart of the region is useless; use the distance to its centre.
    far = ~np.isfinite(near) | (straight > 20.0 * half)
    return np.where(far, np.maximum(straight - half, 0.0), near)


def _finest_level(source: Map, grid: ZoomGrid, view_pixels: int) -> int | None:
    """Return the level that the finest views are drawn from, or the finest with tiles; None if tiles cannot be listed."""
    if not source.listed:
        return None
    centre = grid.region.centre
    wanted = grid.cell_size_m(grid.depth - 1) / view_pixels
    level, _ = TileProjection(source.layout, str(source.root)).choose_level(centre.lat, centre.lon, wanted)
    if source.source.has_level(level):
        return level
    levels = source.source.levels()
    return levels[-1] if levels else None


def _has_tiles(source: Map, grid: ZoomGrid, level: int, sequences: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return whether any tile of a level is in the terminal cells of sequences (N, depth): (N,)."""
    projection = TileProjection(source.layout, str(source.root))
    tiles = {(x, y) for x, y in source.source.tiles(level)}
    cells, back = np.unique(grid.flatten(sequences), return_inverse=True)
    steps = ((np.arange(_POINTS) + 0.5) / _POINTS - 0.5) * grid.cell_size_m(grid.depth)
    east, north = (a.ravel() for a in np.meshgrid(steps, steps))
    found = np.zeros(len(cells), np.bool_)
    for start in range(0, len(cells), _CHUNK):
        part = slice(start, start + _CHUNK)
        lat0, lon0 = grid.centres(grid.unflatten(cells[part], grid.depth))
        lat, lon = from_local(lat0[:, None], lon0[:, None], east, north)
        numbers = projection.position_to_tile(lat, lon, level)
        known = np.isfinite(numbers[..., 0]) & np.isfinite(numbers[..., 1])
        whole = np.floor(np.where(known[..., None], numbers, 0.0)).astype(np.int64).tolist()
        found[part] = [any(k and (x, y) in tiles for (x, y), k in zip(points, ks, strict=True))
                       for points, ks in zip(whole, known.tolist(), strict=True)]
    return found[back]
