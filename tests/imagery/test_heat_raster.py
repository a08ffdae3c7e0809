"""Heat maps as rasters: the density of every place in any projection, and what they say when read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from justzoomin.errors import ConfigError
from justzoomin.geometry import Region, ZoomGrid, from_local, to_local
from justzoomin.posterior import Posterior, lattice
from justzoomin.posterior.rasters import weights_from_raster, write_heat_raster

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)
SOUTH = ZoomGrid(Region(-34.0, 151.2, (0.0, 3000.0), (0.0, 3000.0)), 3, 3)


def some_posterior(grid: ZoomGrid) -> Posterior:
    return Posterior.of(grid, np.random.default_rng(0).normal(0, 2, grid.actions**grid.depth))


@pytest.mark.parametrize(("grid", "crs"), [
    (TOWN, "epsg:32631"), (TOWN, "epsg:3857"), (TOWN, "epsg:4326"), (SOUTH, "epsg:32756"), (SOUTH, "epsg:3577")])
def test_places_have_the_density_of_their_cells(grid: ZoomGrid, crs: str, tmp_path: Path) -> None:
    """Places in cells, a tenth of a cell or more from their borders; also in projections that turn and stretch them."""
    found, rng = some_posterior(grid), np.random.default_rng(1)
    path = write_heat_raster(found, crs, tmp_path / "new" / "heat.tif")
    cells = lattice(grid)
    margin = 0.4 - 2 * grid.sliver_m / cells.cell_m
    some = rng.integers(0, len(cells), 2000)
    lat, lon = from_local(cells.lat[some], cells.lon[some], *(rng.uniform(-margin, margin, (2, 2000)) * cells.cell_m))
    x, y = Transformer.from_crs("epsg:4326", crs, always_xy=True).transform(lon, lat)
    with rasterio.open(path) as file:
        assert (file.count, file.dtypes[0], file.crs.to_string().lower()) == (1, "float32", crs)
        assert file.descriptions == ("probability per square metre",)
        values = np.array([v[0] for v in file.sample(np.stack([x, y], 1))])
        whole = file.read(1)
        outside = next(file.sample([(file.bounds.left - 1, file.bounds.top + 1)]))
    assert values == pytest.approx(found.probs[some] / cells.cell_m**2, rel=1e-6)
    assert np.isnan(outside[0]) or outside[0] == 0
    if crs in {"epsg:32631", "epsg:32756"}:  # metres of nearly the ground's size
        pixel = np.prod([abs(v) for v in (file.transform.a, file.transform.e)])
        assert np.nansum(whole.astype(np.float64)) * pixel == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("grid", "crs"), [
    (TOWN, "epsg:32631"), (TOWN, "epsg:3857"), (SOUTH, "epsg:32756"), (SOUTH, "epsg:3857")])
def test_a_hot_cell_lands_where_it_is(grid: ZoomGrid, crs: str, tmp_path: Path) -> None:
    """The middle is right to a tenth of a cell, and no pixel is more than half a pixel outside its cell."""
    cells = lattice(grid)
    for cell in np.random.default_rng(2).integers(0, len(cells), 4).tolist():
        scores = np.full(len(cells), -np.inf)
        scores[cell] = 0.0
        path = write_heat_raster(Posterior.of(grid, scores), crs, tmp_path / f"{cell}.tif")
        with rasterio.open(path) as file:
            values, place = file.read(1).astype(np.float64), file.transform
        rows, cols = np.nonzero(np.nan_to_num(values))
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])                               # column, row
        x, y = place @ (cols[:, None] + corners[:, 0], rows[:, None] + corners[:, 1])          # (P, 3)
        lon, lat = Transformer.from_crs(crs, "epsg:4326", always_xy=True).transform(x, y)
        east, north = to_local(cells.lat[cell], cells.lon[cell], lat, lon)
        (e0, e1, e2), (n0, n1, n2) = east.T, north.T
        area = np.abs((e1 - e0) * (n2 - n0) - (e2 - e0) * (n1 - n0))
        middle = np.array([((e1 + e2) / 2 * area).sum(), ((n1 + n2) / 2 * area).sum()]) / area.sum()
        assert np.hypot(*middle) < 0.1 * cells.cell_m
        assert np.abs(np.r_[(e1 + e2) / 2, (n1 + n2) / 2]).max() < 0.5 * cells.cell_m + grid.sliver_m
        assert (values[rows, cols] * area).sum() == pytest.approx(1.0, abs=0.13)               # a row of pixels more or less


@pytest.mark.parametrize(("grid", "crs"), [
    (TOWN, "epsg:32631"), (TOWN, "epsg:3857"), (SOUTH, "epsg:32756"), (SOUTH, "epsg:3577")])
def test_all_mass_is_one(grid: ZoomGrid, crs: str, tmp_path: Path) -> None:
    """Density times ground, the ground of each pixel measured."""
    with rasterio.open(write_heat_raster(some_posterior(grid), crs, tmp_path / "heat.tif")) as file:
        values, place = file.read(1).astype(np.float64), file.transform
    cols, rows = np.meshgrid(np.arange(values.shape[1] + 1), np.arange(values.shape[0] + 1))
    lon, lat = Transformer.from_crs(crs, "epsg:4326", always_xy=True).transform(*(place @ (cols.ravel(), rows.ravel())))
    east, north = (v.reshape(cols.shape) for v in to_local(*grid.region.centre, lat, lon))
    area = np.abs((east[:-1, 1:] - east[:-1, :-1]) * (north[1:, :-1] - north[:-1, :-1])
                  - (east[1:, :-1] - east[:-1, :-1]) * (north[:-1, 1:] - north[:-1, :-1]))
    assert np.nansum(values * area) == pytest.approx(1.0, abs=0.01)


def test_read_back_as_a_prior_it_is_the_posterior(tmp_path: Path) -> None:
    found = some_posterior(TOWN)
    weights = weights_from_raster(write_heat_raster(found, "epsg:32631", tmp_path / "heat.tif"), TOWN).values
    assert np.abs(weights / weights.sum() - found.probs).sum() < 0.1
    assert weights.argmax() == found.probs.argmax()


def test_a_large_lattice_has_a_bounded_raster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("justzoomin.posterior.rasters.heat.MAX_SIDE", 100)
    with rasterio.open(write_heat_raster(some_posterior(TOWN), "epsg:32631", tmp_path / "heat.tif")) as file:
        assert max(file.shape) <= 100
        assert file.bounds.right - file.bounds.left == pytest.approx(320, abs=12)


def test_it_is_a_cog_with_overviews_and_a_credit(tmp_path: Path) -> None:
    cogeo = pytest.importorskip("rio_cogeo")
    found = some_posterior(TOWN)
    path = write_heat_raster(found, "epsg:32631", tmp_path / "heat.tif", "Survey of \u00c5s \udce9")
    valid, errors, remarks = cogeo.cog_validate(path, strict=True, quiet=True)
    assert (valid, errors, remarks) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.tags()["TIFFTAG_COPYRIGHT"] == "Survey of \u00c5s \\xe9"
        assert file.overviews(1) == [2]
        whole, area = file.read(1).astype(np.float64), np.prod(np.abs([file.transform.a, file.transform.e]))
    with rasterio.open(path, overview_level=0) as file:
        half, double = file.read(1).astype(np.float64), np.prod(np.abs([file.transform.a, file.transform.e]))
    assert np.abs(2 * np.array(half.shape) - whole.shape).max() <= 1
    assert np.nansum(half) * double == pytest.approx(np.nansum(whole) * area, rel=0.02)  # means keep the mass


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PROJ does not know"):
        write_heat_raster(some_posterior(TOWN), "epsg:1", tmp_path / "heat.tif")
    assert not list(tmp_path.iterdir())
