"""A dataset turned back into what a person starts from: an orthophoto as GeoTIFF, photos with EXIF."""

from __future__ import annotations

import io
import math
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import rasterio
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from justzoomin.data import open_dataset
from justzoomin.maps import Map


def write_geotiff(path: Path, pixels: np.ndarray, crs: str, west: float, north: float, metres_per_pixel: float,
                  **profile: object) -> Path:
    """An RGB GeoTIFF, north up, from uint8 (H, W, 3)."""
    height, width = pixels.shape[:2]
    options = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": height, "width": width, "crs": crs, "tiled": True,
               "transform": rasterio.transform.from_origin(west, north, metres_per_pixel, metres_per_pixel), **profile}
    with rasterio.open(path, "w", **options) as raster:
        raster.write(pixels.transpose(2, 0, 1))
    return path


def export_orthophoto(root: Path, path: Path) -> Path:
    """Level 0 of a map whose tile y grows to the north, as one GeoTIFF."""
    opened = Map.open(root)
    layout = opened.layout
    tiles = opened.source.table(0).tiles
    low, high = tiles.min(0), tiles.max(0) + 1
    px, size = layout.tile_px, layout.tile_shape_crs[0]
    mosaic = np.full(((high[1] - low[1]) * px, (high[0] - low[0]) * px, 3), 255, np.uint8)
    for x, y in tiles.tolist():
        row, column = (high[1] - 1 - y) * px, (x - low[0]) * px
        mosaic[row:row + px, column:column + px] = opened.tile(0, x, y)
    west, north = layout.origin_crs[0] + low[0] * size, layout.origin_crs[1] + high[1] * size
    return write_geotiff(path, mosaic, layout.crs, west, north, size / px)


def export_photos(root: Path, folder: Path) -> list[str]:
    """Every photo of a synthetic town as a JPEG with EXIF position, time, heading and focal length; the ids, sorted."""
    dataset = open_dataset(root)
    folder.mkdir(parents=True)
    rows = pl.read_csv(root / "streetview" / "metadata_satellite_covered.csv", schema_overrides={"image_id": pl.String})
    for row in rows.iter_rows(named=True):
        image = Image.open(io.BytesIO(dataset.photos.read(row["image_id"])))
        image.save(folder / f"{row['image_id']}.jpg", quality=95, exif=_exif(row))
    return sorted(rows["image_id"].to_list())


def _exif(row: dict[str, object]) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "justzoomin", "synthetic"
    gps = exif.get_ifd(0x8825)
    for tag, value, letters in ((1, row["latitude"], "NS"), (3, row["longitude"], "EW")):
        gps[tag] = letters[value < 0]
        gps[tag + 1] = _dms(abs(value))
    gps[16], gps[17] = "T", IFDRational(round(row["bearing_deg"] % 360 * 100), 100)
    details = exif.get_ifd(0x8769)
    details[0x9003] = datetime.fromisoformat(row["captured_at"]).strftime("%Y:%m:%d %H:%M:%S")
    details[0x9011] = "+00:00"
    # 36 mm is the width of the film.
    details[0xA405] = round(18.0 / math.tan(math.radians(row["hfov_deg"]) / 2))
    return exif


def _dms(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    whole = int(degrees)
    minutes = int((degrees - whole) * 60)
    seconds = ((degrees - whole) * 60 - minutes) * 60
    return IFDRational(whole), IFDRational(minutes), IFDRational(round(seconds * 1_000_000), 1_000_000)


def write_geotiff_around(path: Path, pixels: np.ndarray, lat: float, lon: float, metres_per_pixel: float) -> Path:
    """A GeoTIFF in the UTM zone of a position, which lies in its middle."""
    from pyproj import Transformer

    crs = f"EPSG:{(32600 if lat >= 0 else 32700) + int((lon + 180) // 6) + 1}"
    east, north = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    half_height, half_width = (side * metres_per_pixel / 2 for side in pixels.shape[:2])
    return write_geotiff(path, pixels, crs, east - half_width, north + half_height, metres_per_pixel)
