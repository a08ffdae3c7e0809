"""The parts of a grid's cells that have tiles: points of the cells are looked up in a level's table of tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid, from_local
from justzoomin.maps import contains
from justzoomin.tiles import TileProjection, TileTable

MAX_CELLS = 16_384
"""In levels with more cells, this many are checked, spread evenly."""
PICTURE = 64
"""Edge of the picture of a level's coverage."""
_POINTS = 1 << 18
_MIN_SIDE, _MAX_SIDE = 8, 96

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CellCover:
    """The tiles of a map level for the cells of a grid level.

    Args:
        cells: Numbers of the checked cells. (N,)
        share: Share of each cell that has tiles. (N,)
        needed: Tiles that the cells touch, (x, y). (M, 2)
        there: Which of them exist. (M,)
        picture: Share with tiles over the whole region, row 0 in the north; nan where there is no point. (64, 64)
    """

    cells: Ints
    share: Floats
    needed: Ints
    there: npt.NDArray[np.bool_]
    picture: Floats


def cell_cover(grid: ZoomGrid, level: int, table: TileTable, projection: TileProjection, seed: int = 0) -> CellCover:
    """Check cells of a grid level at 8 x 8 to 96 x 96 points each, about a quarter of a million in all.

    Args:
        grid: The zoom grid.
        level: Level of its cells.
        table: The tiles of the map level that they are drawn from.
        projection: Projection of the map's layout.
        seed: Seed of the choice if there are more than `MAX_CELLS` cells.
    """
    count = grid.actions**level
    cells = np.arange(count, dtype=np.int64)
    if count > MAX_CELLS:  # one from each of `MAX_CELLS` equal stretches
        edges = np.linspace(0, count, MAX_CELLS + 1)
        cells = np.floor(edges[:-1] + np.random.default_rng(seed).random(MAX_CELLS) * np.diff(edges)).astype(np.int64)
    side = int(np.clip(math.isqrt(_POINTS // len(cells)), _MIN_SIDE, _MAX_SIDE))
    steps = ((np.arange(side) + 0.5) / side - 0.5) * grid.cell_size_m(level)
    east, north = (a.ravel() for a in np.meshgrid(steps, steps))
    lat0, lon0 = grid.centres(grid.unflatten(cells, level).reshape(len(cells), level))
    lat, lon = from_local(lat0[:, None], lon0[:, None], east, north)
    needed, which, known = _tiles_of(projection, lat.ravel(), lon.ravel(), table.level)
    there = _there(table, needed)
    hit = np.zeros(len(known), np.bool_)
    hit[known] = there[which]
    shares = hit.reshape(len(cells), -1)
    return CellCover(cells, shares.mean(1), needed, there, _picture(grid, level, cells, shares, side))


def cell_places(grid: ZoomGrid, level: int, cells: Ints) -> Ints:
    """Return row and column (N, 2) of cells (N,) of a level, counted from the region's north-west corner."""
    sequences = grid.unflatten(cells, level)
    places = np.zeros((len(cells), 2), np.int64)
    for step in range(level):
        places = places * grid.grid + np.stack(np.divmod(sequences[:, step], grid.grid), 1)
    return places


def _picture(grid: ZoomGrid, level: int, cells: Ints, shares: npt.NDArray[np.bool_], side: int) -> Floats:
    """Return the points of cells (N, side * side), southernmost row first, as mean values on a raster of the region."""
    inside = (np.arange(side) + 0.5) / side
    east, south = (a.ravel() for a in np.meshgrid(inside, 1 - inside))
    places = cell_places(grid, level, cells)
    across = grid.grid**level
    rows, columns = ((((places[:, axis, None] + offset) / across) * PICTURE).astype(np.int64)
                     for axis, offset in ((0, south), (1, east)))
    bins = (rows * PICTURE + columns).ravel()
    points = np.bincount(bins, minlength=PICTURE**2)
    hits = np.bincount(bins, weights=shares.ravel(), minlength=PICTURE**2)
    with np.errstate(invalid="ignore"):
        return (hits / points).reshape(PICTURE, PICTURE)


def has_tile(projection: TileProjection, table: TileTable, lat: Floats, lon: Floats) -> npt.NDArray[np.bool_]:
    """Return whether positions (N,) lie in a tile of a level, as (N,) bool."""
    tiles, which, known = _tiles_of(projection, lat, lon, table.level)
    found = np.zeros(len(lat), np.bool_)
    found[known] = _there(table, tiles)[which]
    return found


def _there(table: TileTable, tiles: Ints) -> npt.NDArray[np.bool_]:
    return contains(table.tiles, tiles) if len(table) and len(tiles) else np.zeros(len(tiles), np.bool_)


def _tiles_of(projection: TileProjection, lat: Floats, lon: Floats, level: int) -> tuple[Ints, Ints,
                                                                                         npt.NDArray[np.bool_]]:
    """Return the distinct tiles (M, 2) of positions (N,), the tile of each known position, and the mask of those (N,)."""
    places = projection.position_to_tile(lat, lon, level)
    known = np.isfinite(places).all(1) & (np.abs(places) < 2**30).all(1)
    numbers = np.floor(places[known]).astype(np.int64)
    keys, which = np.unique(((numbers[:, 0] + 2**30) << 31) + numbers[:, 1] + 2**30, return_inverse=True)
    known = np.asarray(known, np.bool_)
    return np.stack([(keys >> 31) - 2**30, (keys & (2**31 - 1)) - 2**30], 1), which, known
