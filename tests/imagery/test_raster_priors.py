"""Rasters as priors: values are weights of places, in any projection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from orthophotos import LAT, LON, transform_at

from justzoomin.errors import ConfigError, JustZoomInError
from justzoomin.geometry import Region, ZoomGrid, to_local
from justzoomin.posterior import lattice
from justzoomin.posterior.rasters import weights_from_raster

GRID = ZoomGrid(Region(LAT, LON, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)
CELLS = lattice(GRID)


def written(path: Path, values: np.ndarray, crs: str, pixel: float, **more: object) -> Path:
    height, width = values.shape
    with rasterio.open(path, "w", driver="GTiff", width=width, height=height, count=1, dtype=values.dtype, crs=crs,
                       transform=transform_at(crs, pixel, width, height), **more) as file:
        file.write(values, 1)
    return path


def places(crs: str, pixel: float, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """East and north metres of a raster's pixels from the region's centre."""
    from pyproj import Transformer

    t = transform_at(crs, pixel, width, height)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    lon, lat = Transformer.from_crs(crs, "epsg:4326", always_xy=True).transform(
        t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f)
    return to_local(*GRID.region.centre, np.asarray(lat), np.asarray(lon))


@pytest.mark.parametrize(("crs", "pixel", "width"), [
    ("epsg:32633", 2.0, 200), ("epsg:32633", 0.5, 800), ("epsg:4326", 3e-5, 200), ("epsg:3857", 3.0, 300)])
def test_weights_are_where_the_raster_says(tmp_path: Path, crs: str, pixel: float, width: int) -> None:
    east, north = places(crs, pixel, width, width)
    values = (np.hypot(east - 40, north + 60) <= 50).astype(np.float32)
    weights = weights_from_raster(written(tmp_path / "w.tif", values, crs, pixel), GRID).values
    distance = np.hypot(CELLS.east_m - 40, CELLS.north_m + 60)
    assert (weights[distance < 43] == 1).all() and (weights[distance > 57] == 0).all()


def test_places_without_data_and_outside_are_ruled_out(tmp_path: Path) -> None:
    values = np.full((50, 50), 3.0, np.float32)  # 100 m wide
    values[:, :25] = -9999.0
    weights = weights_from_raster(written(tmp_path / "w.tif", values, "epsg:32633", 2.0, nodata=-9999.0), GRID).values
    assert set(np.unique(weights[np.abs(CELLS.east_m) > 60])) == {0.0}
    assert (weights[(CELLS.east_m > 6) & (CELLS.east_m < 40) & (np.abs(CELLS.north_m) < 40)] == 3.0).all()
    assert (weights[CELLS.east_m < -6] == 0).all()


def test_rasters_that_are_none(tmp_path: Path) -> None:
    good = np.ones((10, 10), np.float32)
    with pytest.raises(ConfigError, match="negative"):
        weights_from_raster(written(tmp_path / "a.tif", -good, "epsg:32633", 60.0), GRID)
    with pytest.raises(ConfigError, match="does not overlap"):
        weights_from_raster(written(tmp_path / "b.tif", good, "epsg:32633", 60.0),
                            ZoomGrid(Region(LAT + 1, LON, (-160.0, 160.0), (-160.0, 160.0)), 4, 3))
    (tmp_path / "c.tif").write_text("no raster")
    with pytest.raises(JustZoomInError, match=r"c\.tif"):
        weights_from_raster(tmp_path / "c.tif", GRID)
