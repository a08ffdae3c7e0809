"""Opening a raster file: what it states about format, bands and place is read once, and judged."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError, TileError
from justzoomin.imagery.rasters import RasterFile, Transform, gdal, reason
from justzoomin.imagery.vrt import vrt_files

_SIGNATURES = {b"II*\0": "GTiff", b"MM\0*": "GTiff", b"II+\0": "GTiff", b"MM\0+": "GTiff", b"\xff\x4f\xff\x51": "JP2OpenJPEG",
               b"\0\0\0\x0cjP  ": "JP2OpenJPEG"}
_GCP_TOLERANCE_PX = 1.0

P = ParamSpec("P")
R = TypeVar("R")


def _in_words(opening: Callable[P, R]) -> Callable[P, R]:
    """Turn what GDAL says of a damaged file, whatever is asked of it, into an error of ours; the path comes first."""
    @functools.wraps(opening)
    def worded(*args: P.args, **options: P.kwargs) -> R:
        try:
            return opening(*args, **options)
        except Exception as error:
            if not type(error).__module__.startswith("rasterio"):
                raise
            raise TileError(str(args[0]), f"it cannot be understood ({reason(error)})",
                            "The file is broken: fetch it again, or convert it with gdal_translate.") from error
    return worded


@_in_words
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
        raise TileError(path, f"it cannot be opened ({reason(error)})",
                        "The file is broken: fetch it again, or convert it with gdal_translate.") from error


def _probe(raster: Any, path: Path, band: int) -> None:
    """Read the last pixel: a download that was cut short is found here, not after hours."""
    rasterio = gdal()
    try:
        raster.read(band, window=rasterio.windows.Window(raster.width - 1, raster.height - 1, 1, 1))
    except rasterio.errors.RasterioError as error:
        raise TileError(path, f"its last pixel cannot be read ({reason(error)})",
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
        a, b, c, d, e, f = transform[:6]
        x, y, column, row = np.array([(p.x, p.y, p.col, p.row) for p in points], np.float64).T
        off = np.hypot(a * column + b * row + c - x, d * column + e * row + f - y).max() / np.sqrt(abs(a * e - b * d) or 1e-300)
        if not off <= _GCP_TOLERANCE_PX:
            raise TileError(path, f"its control points do not lie on a plane grid ({off:.1f} pixels off)",
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
