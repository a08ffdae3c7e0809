"""One raster file: what it states, checked, and its pixels as 8-bit colours with a mask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError, MissingExtraError, TileError
from justzoomin.imagery.base import Mask, Pixels
from justzoomin.imagery.vrt import vrt_files

Transform = tuple[float, float, float, float, float, float]
"""a, b, c, d, e, f: x = a * column + b * row + c, y = d * column + e * row + f, at pixel corners."""
Limits = tuple[tuple[float, float], ...]
"""Per band, the value that becomes 0 and the one that becomes 255."""
_SIGNATURES = {b"II*\0": "GTiff", b"MM\0*": "GTiff", b"II+\0": "GTiff", b"MM\0+": "GTiff", b"\xff\x4f\xff\x51": "JP2OpenJPEG",
               b"\0\0\0\x0cjP  ": "JP2OpenJPEG"}
_OPEN_FILES = 12
_GCP_TOLERANCE_PX = 1.0
_local = threading.local()


def gdal() -> Any:
    """The library rasterio.

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
        bands: The bands read, from 1: three colours, or one that is grey or a palette.
        dtype: Their numpy kind.
        palette: Colours of a palette, uint8 (entries, 4), else None.
        alpha_band: Band that says where there is data, if any.
        has_mask: Whether the file has a mask of its own, and no alpha band.
        nodata: Value of each band read that stands for no data, if any; a pixel has none where all bands have it.
        given_nodata: The same for all bands, as the user stated it.
        driver: GDAL's reader of its format: the only one that is let at it.
        block: Rows and columns of a block in the file.
        has_overviews: Whether it has smaller copies inside.
        attribution: Whom to name, as the file states it.
        limits: How values become 8 bits; None for 8-bit values as they are.
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
    has_mask: bool
    nodata: tuple[float | None, ...]
    given_nodata: float | None
    driver: str
    block: tuple[int, int]
    has_overviews: bool
    attribution: str
    limits: Limits | None = None

    def values(self, column: int, row: int, width: int, height: int, shape: tuple[int, int] | None = None,
               ) -> tuple[npt.NDArray[Any], Mask]:
        """The bands as they are in the file (bands, h, w), and the mask (h, w), of a window within it.

        Args:
            column: First column.
            row: First row.
            width: Columns.
            height: Rows.
            shape: Read it in this size, rows and columns, from the file's smaller copies if it has any.

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
                    top = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1.0
                    mask = alpha >= (top + 1) / 2 if alpha.dtype.kind in "iu" else alpha >= top / 2
                elif self.has_mask:
                    mask = raster.read_masks(self.bands[0], out_shape=size, **options) >= 128
                else:
                    mask = _has_data(bands, self.nodata)
            except rasterio.errors.RasterioError as error:
                raise TileError(self.path, f"rows {row} to {row + height} cannot be read ({_reason(error)})",
                                "The file is truncated or broken: fetch it again, then build into a new folder.") from error
        if self.given_nodata is not None:
            mask &= _has_data(bands, (self.given_nodata,) * len(bands))
        if bands.dtype.kind == "f":
            mask &= np.isfinite(bands).all(0)
        return bands, mask

    def read(self, column: int, row: int, width: int, height: int) -> tuple[Pixels, Mask]:
        """A window within the file: uint8 RGB (height, width, 3), and True where there is data.

        Raises:
            TileError: If the file is broken there.
        """
        bands, mask = self.values(column, row, width, height)
        if self.palette is not None:
            colours = self.palette[np.minimum(bands[0], len(self.palette) - 1)]
            return np.ascontiguousarray(colours[..., :3]), mask & (colours[..., 3] >= 128)
        if self.limits is not None:
            bands = np.stack([_stretched(band, *limit) for band, limit in zip(bands, self.limits, strict=True)])
        pixels = np.empty((height, width, 3), np.uint8)
        for channel in range(3):
            pixels[..., channel] = bands[min(channel, len(bands) - 1)]
        return pixels, mask

    def odd_alpha(self) -> bool:
        """Whether the transparency is mostly neither nothing nor full: a fourth colour that is wrongly called so.

        Looks at a window in the middle.

        Raises:
            TileError: If the file is broken there.
        """
        if self.alpha_band is None:
            return False
        width, height = min(256, self.width), min(256, self.height)
        plain = replace(self, bands=(self.alpha_band,), alpha_band=None, has_mask=False, nodata=(None,), given_nodata=None)
        values, _ = plain.values((self.width - width) // 2, (self.height - height) // 2, width, height)
        top = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1.0
        return bool(((values > 0) & (values < top)).mean() > 0.5)

    def _open(self) -> Any:
        """This thread's handle on the file; the least recently used of several is closed."""
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
    """True where at least one band is not its no-data value: a valid colour may have that value in one band."""
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
    """8 bits for every value of 16."""
    table: npt.NDArray[np.uint8] = np.clip((np.arange(65_536) - low) * (255.0 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    return table


def _reason(error: Exception) -> str:
    words = " ".join(str(error.__cause__ or error).split())
    return words[:160]


def open_raster(path: Path, bands: tuple[int, int, int] | None = None, nodata: float | None = None) -> RasterFile:
    """Open a GeoTIFF, JPEG 2000 or VRT and check what it states.

    Args:
        path: The file.
        bands: Bands of red, green and blue, from 1.
        nodata: A value that means no data, besides what the file states.

    Raises:
        TileError: If it is none of these, is broken, has no place on the earth, or refers to the network.
        ConfigError: If it has no such bands.
        MissingExtraError: If rasterio is not installed.
    """
    rasterio = gdal()
    if path.suffix.lower() == ".vrt":
        for leaf in vrt_files(path):
            _try_open(leaf, _driver(leaf)).close()
    driver = _driver(path)
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"), _try_open(path, driver) as raster:
        chosen, palette, alpha = _choose_bands(raster, path, bands)
        dtype = str(raster.dtypes[chosen[0] - 1])
        if np.dtype(dtype).kind not in "iuf":
            raise TileError(path, f"its values are {dtype}", "Convert it to 8 bits with gdal_translate -ot Byte.")
        crs, transform = _place(raster, path)
        flags = raster.mask_flag_enums[chosen[0] - 1]
        _probe(raster, path, chosen[0])
        return RasterFile(
            path=path, crs=crs, transform=transform, width=raster.width, height=raster.height, bands=chosen, dtype=dtype,
            palette=palette, alpha_band=alpha,
            has_mask=alpha is None and rasterio.enums.MaskFlags.per_dataset in flags and
            rasterio.enums.MaskFlags.alpha not in flags,
            nodata=tuple(raster.nodatavals[band - 1] for band in chosen), given_nodata=nodata,
            driver=driver, block=tuple(raster.block_shapes[chosen[0] - 1]), has_overviews=bool(raster.overviews(chosen[0])),
            attribution=_attribution(raster.tags()))


def _driver(path: Path) -> str:
    """GDAL's reader for a file, by its first bytes: GDAL itself would try its readers of addresses and databases too.

    Raises:
        TileError: If it is none of the formats.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise TileError(path, f"it cannot be read ({error.strerror})", "Give raster files, or folders of them.") from error
    if path.suffix.lower() == ".vrt" and head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<VRTDataset", b"<?xml", b"<!--")):
        return "VRT"
    for signature, driver in _SIGNATURES.items():
        if head.startswith(signature):
            return driver
    raise TileError(path, "it is no GeoTIFF, JPEG 2000 or VRT", "Fetch it again, or convert it with gdal_translate.")


def _try_open(path: Path, driver: str) -> Any:
    import warnings

    rasterio = gdal()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # `_place` says it with a remedy
            return rasterio.open(path, driver=driver, sharing=False)
    except rasterio.errors.RasterioError as error:
        raise TileError(path, f"it cannot be opened ({_reason(error)})",
                        "The file is broken: fetch it again, or convert it with gdal_translate.") from error


def _probe(raster: Any, path: Path, band: int) -> None:
    """Read the last pixel: a download that was cut short is found here, not after hours."""
    rasterio = gdal()
    try:
        raster.read(band, window=rasterio.windows.Window(raster.width - 1, raster.height - 1, 1, 1))
    except rasterio.errors.RasterioError as error:
        raise TileError(path, f"its last pixel cannot be read ({_reason(error)})",
                        "The file is truncated or broken: fetch it again.") from error


def _choose_bands(raster: Any, path: Path, wanted: tuple[int, int, int] | None,
                  ) -> tuple[tuple[int, ...], npt.NDArray[np.uint8] | None, int | None]:
    """The bands to read, the palette of a single one, and the band that says where there is data."""
    from rasterio.enums import ColorInterp

    said = {meaning: band for band, meaning in reversed(list(enumerate(raster.colorinterp, 1)))}
    alpha = said.get(ColorInterp.alpha)
    if wanted is not None:
        if max(wanted) > raster.count:
            raise ConfigError("--bands", f"{path} has {raster.count} bands, not {max(wanted)}",
                              "Name bands that every source has, counted from 1.")
        return wanted, None, alpha if alpha not in wanted else None
    if {ColorInterp.cyan, ColorInterp.magenta} & set(said):
        raise TileError(path, "its colours are for printing (CMYK)", "Convert it to RGB, or choose bands with --bands.")
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in said for colour in rgb):
        return tuple(said[colour] for colour in rgb), None, alpha
    plain = [band for band in range(1, raster.count + 1) if band != alpha]
    if ColorInterp.palette in said:
        band = said[ColorInterp.palette]
        colours = raster.colormap(band)
        table = np.zeros((max(colours) + 1, 4), np.uint8)
        for index, colour in colours.items():
            table[index] = colour
        return (band,), table, alpha
    if not plain:
        raise TileError(path, "it has no band but transparency", "Give an orthophoto.")
    return tuple(plain[:3]) if len(plain) >= 3 else (plain[0],), None, alpha


def _place(raster: Any, path: Path) -> tuple[str, Transform]:
    """Projection and affine transform, from the file's own or from control points that lie on one."""
    rasterio = gdal()
    transform, crs = raster.transform, raster.crs
    points, points_crs = raster.gcps
    if transform.is_identity and points:
        transform, crs = rasterio.transform.from_gcps(points), points_crs
        back = ~transform
        off = [max(abs(u - p.col), abs(v - p.row)) for p in points for u, v in [back * (p.x, p.y)]]
        if not max(off) <= _GCP_TOLERANCE_PX:
            raise TileError(path, f"its control points do not lie on a plane grid ({max(off):.1f} pixels off)",
                            "Rectify it first: gdalwarp -tps IN OUT.")
    if transform.is_identity:
        remedy = "Rectify it first with gdalwarp -rpc." if raster.rpcs else \
            "Give an orthophoto with georeference; gdal_translate -a_ullr and -a_srs add one."
        raise TileError(path, "it has no georeference: nothing says where it lies", remedy)
    if crs is None or not crs.to_wkt():
        raise TileError(path, "it states no projection", "Add the right one: gdal_translate -a_srs EPSG:NUMBER IN OUT.")
    values: Transform = tuple(float(v) for v in transform[:6])  # type: ignore[assignment]
    if not (np.isfinite(values).all() and abs(values[0] * values[4] - values[1] * values[3]) > 1e-24):
        raise TileError(path, "its georeference is no plane grid", "Add one with gdal_translate -a_ullr.")
    return _crs_text(crs, path), values


def _crs_text(crs: Any, path: Path) -> str:
    """A projection as `epsg:NUMBER` where it has one, else as WKT; heights are dropped."""
    import pyproj

    try:
        known = pyproj.CRS.from_wkt(crs.to_wkt())
    except pyproj.exceptions.CRSError as error:
        raise TileError(path, f"PROJ does not know its projection ({str(error)[:100]})",
                        "State it anew: gdal_translate -a_srs EPSG:NUMBER IN OUT.") from error
    if known.is_compound:
        known = known.sub_crs_list[0]
    if not (known.is_projected or known.is_geographic or known.is_bound):
        raise TileError(path, f"its projection {known.name!r} says nothing about the earth",
                        "State the right one: gdal_translate -a_srs EPSG:NUMBER IN OUT.")
    number = None if known.is_bound else known.to_epsg()
    return f"epsg:{number}" if number else known.to_wkt()


def _attribution(tags: dict[str, str]) -> str:
    for name in ("TIFFTAG_COPYRIGHT", "COPYRIGHT", "ATTRIBUTION", "attribution"):
        text = " ".join(tags.get(name, "").split())[:500]
        if text:
            return text
    return ""
