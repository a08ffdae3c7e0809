"""One raster file: its checked statements, and its pixels as 8-bit colours with a mask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import MissingExtraError, TileError
from justzoomin.imagery.base import Mask, Pixels
from justzoomin.imagery.vrtcover import VrtCover

Transform = tuple[float, float, float, float, float, float]
"""a, b, c, d, e, f: x = a * column + b * row + c, y = d * column + e * row + f, at pixel corners."""
Limits = tuple[tuple[float, float], ...]
"""For each band, the values that become 0 and 255."""
_OPEN_FILES = 12
_local = threading.local()


def gdal() -> Any:
    """Return the library rasterio.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import rasterio
    except ImportError as error:
        raise MissingExtraError("rasterio", "own") from error
    return rasterio


@dataclass(frozen=True, eq=False)
class RasterFile:
    """A georeferenced raster file.

    Args:
        path: The file.
        crs: Its projection, as PROJ knows it.
        transform: From pixels to the projection, x east.
        width: Columns.
        height: Rows.
        bands: The bands to read, from 1: three colours, or one that is grey or a palette.
        dtype: Their numpy dtype.
        palette: Colours of a palette, uint8 (entries, 4), else None.
        alpha_band: Band that says where there is data, or None.
        alpha_full: Its value for full opacity.
        mask_bands: Bands with their own masks, if there is no alpha band; one is listed for all that share a mask.
        nodata: Value of each band that means no data, or None; a pixel has no data if all bands have their value.
        given_nodata: The same for all bands, as given by the user.
        driver: GDAL's reader of its format; no other reader is used.
        cover: The pixels that the sources of a VRT fill, if nothing else says where there is data.
        block: Rows and columns of a block in the file.
        has_overviews: Whether it contains smaller copies.
        attribution: Whom to name, as the file states.
        brightest: Largest value that the file's bits can hold; 0 for floating-point values.
        inverted: Whether its smallest value is white.
        limits: How values become 8 bits; None if they have 8 bits or fewer.
    """

    path: Path
    crs: str
    transform: Transform
    width: int
    height: int
    bands: tuple[int, ...]
    dtype: str
    palette: npt.NDArray[np.uint8] | None
    alpha_band: int | None
    alpha_full: float
    mask_bands: tuple[int, ...]
    nodata: tuple[float | None, ...]
    given_nodata: float | None
    cover: VrtCover | None
    driver: str
    block: tuple[int, int]
    has_overviews: bool
    attribution: str
    brightest: float
    inverted: bool
    limits: Limits | None = None

    def values(self, column: int, row: int, width: int, height: int, shape: tuple[int, int] | None = None,
               ) -> tuple[npt.NDArray[Any], Mask]:
        """Return the unchanged bands (bands, h, w) and the mask (h, w) of a window of the file.

        Args:
            column: First column.
            row: First row.
            width: Columns.
            height: Rows.
            shape: Size of the result, rows and columns; read from the file's smaller copies if it has any.

        Raises:
            TileError: If the file is broken there.
        """
        rasterio = gdal()
        options: dict[str, Any] = {"window": rasterio.windows.Window(column, row, width, height)}
        size = shape or (height, width)
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"):
            try:
                raster = self._open()
                bands = raster.read(list(self.bands), out_shape=(len(self.bands), *size), **options)
                if self.alpha_band is not None:
                    alpha = raster.read(self.alpha_band, out_shape=size, **options)
                    mask = alpha >= (self.alpha_full + (alpha.dtype.kind in "iu")) / 2
                elif self.mask_bands:
                    masks = raster.read_masks(list(self.mask_bands), out_shape=(len(self.mask_bands), *size), **options)
                    mask = (masks > 0).all(0)
                else:
                    mask = _has_data(bands, self.nodata)
                    if self.cover is not None:
                        mask &= self.cover.mask((column, row, width, height), size)
            except rasterio.errors.RasterioError as error:
                raise TileError(self.path, f"rows {row} to {row + height} cannot be read ({reason(error)})",
                                "The file is truncated or broken: fetch it again, then build into a new folder.") from error
        if self.given_nodata is not None:
            mask &= _has_data(bands, (self.given_nodata,) * len(bands))
        if bands.dtype.kind == "f":
            mask &= np.isfinite(bands).all(0)
        return bands, mask

    def read(self, column: int, row: int, width: int, height: int) -> tuple[Pixels, Mask]:
        """Return a window of the file: uint8 RGB (height, width, 3), and True where there is data.

        Raises:
            TileError: If the file is broken there.
        """
        bands, mask = self.values(column, row, width, height)
        if self.palette is not None:
            colours = self.palette[np.minimum(bands[0], len(self.palette) - 1)]
            return np.ascontiguousarray(colours[..., :3]), mask & (colours[..., 3] >= 128)
        bands = self.upright(bands)
        if self.limits is not None:
            bands = np.stack([_stretched(band, *limit) for band, limit in zip(bands, self.limits, strict=True)])
        elif self.brightest < 255:
            bands = _stretched(bands, 0.0, self.brightest)
        pixels = np.empty((height, width, 3), np.uint8)
        for channel in range(3):
            pixels[..., channel] = bands[min(channel, len(bands) - 1)]
        return pixels, mask

    def upright(self, bands: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the bands with bright as the largest value; inverted files are inverted again."""
        return (self.brightest - bands).astype(bands.dtype) if self.inverted else bands

    def odd_alpha(self) -> bool:
        """Return whether the transparency is mostly neither none nor full, so that it may really be a fourth colour.

        This reads a window in the middle.

        Raises:
            TileError: If the file is broken there.
        """
        if self.alpha_band is None:
            return False
        width, height = min(256, self.width), min(256, self.height)
        plain = replace(self, bands=(self.alpha_band,), alpha_band=None, mask_bands=(), nodata=(None,), given_nodata=None)
        values, _ = plain.values((self.width - width) // 2, (self.height - height) // 2, width, height)
        return bool(((values > 0) & (values < self.alpha_full)).mean() > 0.5)

    def _open(self) -> Any:
        """Return this thread's handle of the file; if there are too many, the least recently used is closed."""
        handles: OrderedDict[Path, Any] = _local.__dict__.setdefault("handles", OrderedDict())
        if self.path not in handles:
            handles[self.path] = gdal().open(self.path, driver=self.driver, sharing=False)
            while len(handles) > _OPEN_FILES:
                handles.popitem(last=False)[1].close()
        handles.move_to_end(self.path)
        return handles[self.path]


def close_files() -> None:
    """Close this thread's handles."""
    handles: OrderedDict[Path, Any] = _local.__dict__.pop("handles", OrderedDict())
    for handle in handles.values():
        handle.close()


def _has_data(bands: npt.NDArray[Any], nodata: tuple[float | None, ...]) -> Mask:
    """Return True where at least one band differs from its no-data value: a valid colour may have it in one band."""
    mask = np.zeros(bands.shape[1:], np.bool_)
    for band, value in zip(bands, nodata, strict=True):
        if value is None:
            return np.ones(bands.shape[1:], np.bool_)
        mask |= ~np.isnan(band) if np.isnan(value) else band != value
    return mask


def _stretched(band: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    if band.dtype == np.uint16:
        values: npt.NDArray[np.uint8] = _table(low, high)[band]
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.clip((band.astype(np.float64) - low) * (255.0 / (high - low)) + 0.5, 0.0, 255.0)
    bits: npt.NDArray[np.uint8] = np.nan_to_num(scaled, copy=False).astype(np.uint8)
    return bits


@lru_cache(maxsize=16)
def _table(low: float, high: float) -> npt.NDArray[np.uint8]:
    """Return the 8-bit value of every 16-bit value."""
    table: npt.NDArray[np.uint8] = np.clip((np.arange(65_536) - low) * (255.0 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    return table


def reason(error: Exception) -> str:
    """Return a library's description of an error on one line."""
    words = " ".join(str(error.__cause__ or error).split())
    return words[:160]
