"""Small tables of predictions, seeded, that the tests of scores are made on."""

from __future__ import annotations

import numpy as np

from justzoomin.geometry import Region, ZoomGrid, from_local, grid_to_dict
from justzoomin.scoring import PredictionInfo, PredictionTable, Tabulator

GRID = ZoomGrid(Region(54.5, 3.0, (-200, 200), (-200, 200)), 4, 2)  # 256 terminal cells of 25 m


def places(count: int, seed: int = 0, grid: ZoomGrid = GRID) -> np.ndarray:
    """Positions (N, 2) all over the region; every second one a few metres from the one before."""
    rng = np.random.default_rng(seed)
    half = 0.49 * grid.region.size_m
    east, north = rng.uniform(-half, half, (2, count))
    east[1::2], north[1::2] = east[:count // 2 * 2:2] * 0.99, north[:count // 2 * 2:2] * 0.99
    return np.stack(from_local(*grid.region.centre, east, north), 1)


def scores(positions: np.ndarray, sharp: float = 1.0, seed: int = 0, grid: ZoomGrid = GRID) -> np.ndarray:
    """Scores (N, cells) that fall with the distance from somewhere near the true place, with noise and ties."""
    rng = np.random.default_rng(seed)
    lat, lon = grid.centres(grid.unflatten(np.arange(grid.actions**grid.depth), grid.depth))
    near = positions + rng.normal(0, 2e-4, positions.shape)
    apart = np.hypot(lat - near[:, :1], (lon - near[:, 1:]) * 0.58) / 1e-4
    return np.round(-sharp * apart + rng.normal(0, 0.3, apart.shape), 1)


def info(method: str = "posterior", **values: object) -> PredictionInfo:
    """What holds for all rows."""
    return PredictionInfo(**{"method": method, "split": "val", "grid": grid_to_dict(GRID), "search": "posterior", "seed": 1,
                             "confidence": "cell", "hashes": {"model": "m", "map": None}, "crs": "epsg:32631",
                             "cost": {"index_bytes": 12345.0}, **values})


def table(count: int = 40, method: str = "posterior", *, listed: int | None = 64, sharp: float = 1.0, seed: int = 0,
          drives: int | None = None, **values: object) -> PredictionTable:
    """Predictions of photos, whose places depend on the count alone."""
    where = places(count)
    true = GRID.flatten(GRID.encode(*where.T))
    ids = [f"photo {k:03d}" for k in range(count)]
    made = Tabulator(info(method, listed=listed, **values), ids, where, true,
                     None if drives is None else [f"drive {k % drives}" for k in range(count)])
    every = scores(where, sharp, seed)
    for start in range(0, count, 16):
        made.add(every[start:start + 16], views=17, ms=2.5 + start)
    return made.table()
