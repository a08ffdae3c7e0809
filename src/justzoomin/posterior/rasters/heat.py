"""A posterior as a georeferenced raster: probability per square metre, in any projection.

Source: GDAL's driver COG, for the layout; OGC 21-026, Cloud Optimized GeoTIFF.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.files import write_bytes
from justzoomin.geometry import from_local
from justzoomin.imagery import gdal, unwrapped
from justzoomin.posterior import Posterior
from justzoomin.spelling import spelled

PIXELS_PER_CELL = 8
"""A cell's border is wrong by at most half a pixel, a sixteenth of a cell."""
MAX_SIDE = 8192
_BORDER = 257
_ROWS = 256
_BLOCK = 256


def write_heat_raster(posterior: Posterior, crs: str, path: Path, attribution: str | None = None) -> Path:
    """Write a cloud optimized GeoTIFF (float32, one band) of probabilities per square metre of ground; return its path.

    Every pixel has the density of the cell that holds its middle, found by the grid. So the raster is correct in any
    projection, although cells are not straight in any. Outside the region there is no data. A raster of more than
    256 pixels a side has overviews, each half as wide, whose pixels are means.

    Args:
        posterior: The posterior.
        crs: The raster's projection, as PROJ knows it; with the map's, the raster fits its tiles.
        path: File to write.
        attribution: Whom to credit for the map, for the tag Copyright.

    Raises:
        ConfigError: If PROJ does not know the projection, or cannot show the region in it.
        MissingExtraError: If rasterio is not installed.
        OSError: If it cannot be written.
    """
    rasterio = gdal()
    from pyproj import Transformer
    from pyproj.exceptions import CRSError

    grid, centre = posterior.grid, posterior.grid.region.centre
    cell, half = grid.cell_size_m(grid.depth), grid.region.size_m / 2
    try:
        to_crs = Transformer.from_crs("epsg:4326", crs, always_xy=True)
    except CRSError as error:
        raise ConfigError("heat map", f"PROJ does not know the projection {crs[:80]!r}",
                          "Name a projection such as epsg:32633.") from error
    along, side = np.linspace(-half, half, _BORDER), np.full(_BORDER, half)
    lat, lon = from_local(*centre, np.concatenate([along, along, side, -side]), np.concatenate([side, -side, along, along]))
    x, y = to_crs.transform(lon, lat)
    lat, lon = from_local(*centre, np.array([0.0, cell, 0.0]), np.array([0.0, 0.0, cell]))
    here = np.array(to_crs.transform(lon, lat))                                                # (2, 3)
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(here).all()):
        raise ConfigError("heat map", f"the projection {crs[:80]!r} does not show the whole region",
                          "Give the map's projection.")
    x, here[0] = unwrapped(crs, x, here[0, 0]), unwrapped(crs, here[0], here[0, 0])
    pixel = np.abs(here[:, 1:] - here[:, :1]).max(1) / PIXELS_PER_CELL                         # of x and of y
    extent = np.array([np.max(x) - np.min(x), np.max(y) - np.min(y)])
    pixel = np.maximum(pixel, extent / (MAX_SIDE - 1))
    width, height = np.ceil(extent / pixel).astype(int).tolist()
    values = np.full((height, width), np.nan, np.float32)
    density = posterior.probs / cell**2
    for top in range(0, height, _ROWS):
        rows = np.arange(top, min(top + _ROWS, height))
        east, north = np.meshgrid(np.min(x) + (np.arange(width) + 0.5) * pixel[0], np.max(y) - (rows + 0.5) * pixel[1])
        lon, lat = to_crs.transform(east.ravel(), north.ravel(), direction="INVERSE")
        known = np.isfinite(lat) & np.isfinite(lon)
        sequences, inside = grid.encode_masked(np.where(known, lat, 0.0), np.where(known, lon, 0.0))
        inside &= known
        part = np.full(len(inside), np.nan, np.float32)
        part[inside] = density[grid.flatten(sequences[inside])]
        values[rows] = part.reshape(len(rows), width)
    profile = {"driver": "COG", "width": width, "height": height, "count": 1, "dtype": "float32", "crs": crs,
               "nodata": np.nan, "transform": rasterio.Affine(pixel[0], 0.0, np.min(x), 0.0, -pixel[1], np.max(y)),
               "compress": "deflate", "predictor": "floating_point", "blocksize": _BLOCK, "overview_resampling": "average"}
    with warnings.catch_warnings(), rasterio.MemoryFile() as memory:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with memory.open(**profile) as file:
            file.write(values, 1)
            file.set_band_description(1, "probability per square metre")
            file.update_tags(TIFFTAG_SOFTWARE="justzoomin", **({} if attribution is None else {
                "TIFFTAG_COPYRIGHT": spelled(attribution)}))
        return write_bytes(path, memory.read())
