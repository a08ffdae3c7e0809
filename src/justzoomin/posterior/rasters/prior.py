"""A georeferenced raster as a prior: its values are the weights of places."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid, from_local
from justzoomin.imagery import close_files, open_raster, unwrapped
from justzoomin.posterior import Weights, lattice

_SAMPLES = 4
_MAX_SIDE = 8192


def weights_from_raster(path: Path, grid: ZoomGrid) -> Weights:
    """Return the weights of terminal cells: means of a raster's first band at 4 x 4 points of each cell.

    Places without data or outside the raster have the weight 0. If pixels are much smaller than a cell, the raster is read
    at a smaller size.

    Raises:
        TileError: If it is not a readable raster.
        ConfigError: If it does not overlap the region, or a value is negative or not finite.
        MissingExtraError: If rasterio is not installed.
    """
    from pyproj import Transformer

    raster = open_raster(path)
    cells = lattice(grid)
    steps = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5) * cells.cell_m
    a, b, c, d, e, f = raster.transform
    to_crs = Transformer.from_crs("epsg:4326", raster.crs, always_xy=True)
    middle = a * raster.width / 2 + b * raster.height / 2 + c
    points = []
    for east in steps:
        for north in steps:
            lat, lon = from_local(cells.lat, cells.lon, east, north)
            x, y = to_crs.transform(lon, lat)
            x, y = unwrapped(raster.crs, x, middle) - c, np.asarray(y) - f
            points.append(np.stack([(e * x - b * y), (a * y - d * x)]) / (a * e - b * d))  # columns and rows
    where = np.nan_to_num(np.stack(points), nan=-1.0, posinf=-1.0, neginf=-1.0)                # (16, 2, N)
    size = np.array([raster.width, raster.height])[None, :, None]
    inside = ((where >= 0) & (where < size)).all(1)                                            # (16, N)
    if not inside.any():
        raise ConfigError(path, "the raster does not overlap the region", "Give a raster of the region that is searched.")
    columns, rows = where[:, 0][inside], where[:, 1][inside]
    left, top = int(columns.min()), int(rows.min())
    width, height = int(columns.max()) + 1 - left, int(rows.max()) + 1 - top
    side = min(_MAX_SIDE, max(cells.side * 2 * _SAMPLES, 64))
    shape = min(height, side), min(width, side)
    values, there = raster.values(left, top, width, height, shape)
    close_files()
    band = values[0].astype(np.float64)
    if (there & ~(np.isfinite(band) & (band >= 0))).any():
        raise ConfigError(path, "a weight is negative or not finite", "Give weights of at least 0.")
    band[~there] = 0.0
    row = np.minimum(((rows - top) * shape[0] / height).astype(np.int64), shape[0] - 1)
    column = np.minimum(((columns - left) * shape[1] / width).astype(np.int64), shape[1] - 1)
    sampled = np.zeros(inside.shape)
    sampled[inside] = band[row, column]
    return Weights(grid, sampled.mean(0), str(path))
