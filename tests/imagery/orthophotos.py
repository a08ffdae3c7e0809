"""Generated orthophotos whose colours are known at every position on the earth."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS

from justzoomin.geometry import Region, ZoomGrid
from justzoomin.maps import Map
from justzoomin.tiles import TileProjection

LAT, LON = 52.2, 15.3
WAVE_M = (61.0, 83.0, 47.0)


def colours(lat, lon) -> np.ndarray:
    """Smooth colours (..., 3) as floats: waves along three directions in metres about the reference point."""
    north = (np.asarray(lat) - LAT) * 111_200.0
    east = (np.asarray(lon) - LON) * 111_200.0 * np.cos(np.radians(LAT))
    along = (east, north, 0.7 * east + 0.7 * north)
    return np.stack([128.0 + 90.0 * np.sin(2 * np.pi * d / w) for d, w in zip(along, WAVE_M, strict=True)], -1)


def transform_at(crs: str, pixel: float, width: int, height: int, turn_deg: float = 0.0, lat: float = LAT,
                 lon: float = LON) -> Affine:
    """From pixels to a projection, the raster's centre near the reference point, on a round pixel grid."""
    x, y = Transformer.from_crs("epsg:4326", crs, always_xy=True).transform(lon, lat)
    x, y = round(x / pixel) * pixel, round(y / pixel) * pixel
    return Affine.translation(x, y) @ Affine.rotation(turn_deg) @ Affine.scale(pixel, -pixel) \
        @ Affine.translation(-(width // 2), -(height // 2))


def painted(crs: str, transform: Affine, width: int, height: int) -> np.ndarray:
    """The known colours on a raster, uint8 (height, width, 3)."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = (transform.a * columns + transform.b * rows + transform.c, transform.d * columns + transform.e * rows + transform.f)
    lon, lat = Transformer.from_crs(crs, "epsg:4326", always_xy=True).transform(x, y)
    return colours(lat, lon).round().astype(np.uint8)


def write(path: Path, pixels: np.ndarray, crs: str | None, transform: Affine | None, **profile) -> Path:
    """A raster file of (h, w) or (h, w, bands) values; `mask`, `interp`, `colormap` and `tags` go into it as such."""
    bands = np.atleast_3d(pixels).transpose(2, 0, 1)
    extras = {name: profile.pop(name, None) for name in ("mask", "interp", "colormap", "tags", "overviews")}
    options = {"driver": "GTiff", "dtype": bands.dtype, "count": len(bands), "height": bands.shape[1], "width": bands.shape[2],
               "crs": None if crs is None else CRS.from_user_input(crs), "transform": transform, **profile}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **options) as raster:
        if extras["interp"]:
            raster.colorinterp = extras["interp"]
        raster.write(bands)
        if extras["mask"] is not None:
            raster.write_mask(extras["mask"])
        if extras["colormap"]:
            raster.write_colormap(1, extras["colormap"])
        if extras["tags"]:
            raster.update_tags(**extras["tags"])
        if extras["overviews"]:
            raster.build_overviews(extras["overviews"])
    return path


def orthophoto(path: Path, crs: str = "epsg:32633", pixel: float = 1.0, size: tuple[int, int] = (400, 300),
               turn_deg: float = 0.0, **profile) -> Path:
    """An RGB raster of the known colours."""
    transform = transform_at(crs, pixel, *size, turn_deg)
    return write(path, painted(crs, transform, *size), crs, transform, **profile)


def grid(size_m: float = 100.0, lat: float = LAT, lon: float = LON) -> ZoomGrid:
    """A region around the reference point."""
    return ZoomGrid(Region(lat, lon, (-size_m / 2, size_m / 2), (-size_m / 2, size_m / 2)), 2, 1)


def level_pixels(root: Path, level: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pixels of a level's tiles (N, 3), and their (lat, lon) (N, 2), and whether they are white (N,)."""
    opened = Map.open(root, grid())
    projection, px = TileProjection(opened.layout), opened.layout.tile_px
    values, places = [], []
    for x, y in opened.source.table(level).tiles.tolist():
        values.append(opened.tile(level, x, y).reshape(-1, 3))
        # Tile coordinates are counted east and north; row 0 of a tile is its north.
        rows, columns = np.mgrid[0:px, 0:px] + 0.5
        where = np.stack([x + columns / px, y + 1 - rows / px], -1).reshape(-1, 2)
        places.append(projection.to_latlon(projection.tile_to_crs(where, level)))
    values, places = np.concatenate(values), np.concatenate(places)
    return values, places, (values >= 250).all(1)


def whole_tiles(root: Path, white: np.ndarray) -> np.ndarray:
    """Which pixels are of tiles without any white (N,): JPEG rings beside it."""
    px = Map.open(root, grid()).layout.tile_px
    whole = np.repeat(~white.reshape(-1, px * px).any(1), px * px)
    assert whole.sum() >= 2 * px * px
    return whole


def errors(root: Path, level: int = 0) -> np.ndarray:
    """Return the absolute differences of the pixels of a level's complete tiles from the known colours (N, 3)."""
    values, places, white = level_pixels(root, level)
    white = ~whole_tiles(root, white)
    return np.abs(values[~white].astype(float) - colours(places[~white, 0], places[~white, 1]))
