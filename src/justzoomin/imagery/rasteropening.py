"""Opening a raster file: its statements about format, bands and place are read once and checked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError, TileError
from justzoomin.imagery.bandfacts import Depth, depth_of, depth_within, full_value
from justzoomin.imagery.rasters import RasterFile, Transform, gdal, reason
from justzoomin.imagery.vrt import vrt_files
from justzoomin.imagery.vrtcover import vrt_cover

_SIGNATURES = {b"II*\0": "GTiff", b"MM\0*": "GTiff", b"II+\0": "GTiff", b"MM\0+": "GTiff", b"\xff\x4f\xff\x51": "JP2OpenJPEG",
               b"\0\0\0\x0cjP  ": "JP2OpenJPEG"}
_GCP_TOLERANCE_PX = 1.0

P = ParamSpec("P")
R = TypeVar("R")


def _in_words(opening: Callable[P, R]) -> Callable[P, R]:
    """Turn GDAL's complaints about a damaged file into an error of this package; the path comes first."""
    @functools.wraps(opening)
    def worded(*args: P.args, **options: P.kwargs) -> R:
        try:
            return opening(*args, **options)
        except Exception as error:
            if not type(error).__module__.startswith("rasterio"):
                raise
            raise TileError(str(args[0]), f"it cannot be read ({reason(error)})",
                            "The file is broken: fetch it again, or convert it with gdal_translate.") from error
    return worded


@_in_words
def open_raster(path: Path, bands: tuple[int, int, int] | None = None, nodata: float | None = None) -> RasterFile:
    """Open a GeoTIFF, JPEG 2000 or VRT and check what it states.

    Args:
        path: The file.
        bands: Bands of red, green and blue, from 1.
        nodata: A value that means no data, in addition to what the file states.

    Raises:
        TileError: If it has another format, is broken, has no place on the earth, or refers to the network.
        ConfigError: If it has no such bands.
        MissingExtraError: If rasterio is not installed.
    """
    rasterio = gdal()
    leaves = vrt_files(path) if path.suffix.lower() == ".vrt" else []
    depths = {leaf: _leaf_depth(leaf) for leaf in leaves}
    driver = _driver(path)
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"), _try_open(path, driver) as raster:
        chosen, palette, alpha = _choose_bands(raster, path, bands)
        dtype = str(raster.dtypes[chosen[0] - 1])
        if np.dtype(dtype).kind not in "iuf":
            raise TileError(path, f"its values are {dtype}", "Convert it to 8 bits with gdal_translate -ot Byte.")
        crs, transform = _place(raster, path)
        _probe(raster, path, chosen[0])
        nodata_values = tuple(raster.nodatavals[band - 1] for band in chosen)
        masks = () if alpha is not None else _mask_bands(raster, chosen)
        depth, cover = depth_of(raster, chosen[0]), vrt_cover(path, chosen) if leaves else None
        if cover is not None and not cover.rescales and palette is None and dtype == "uint8":
            depth = depth_within(path, depth, ((file, depths[file]) for file in cover.files))
        if alpha is not None or masks or None not in nodata_values:
            cover = None
        elif cover is not None and cover.leaves_out:
            nodata_values = tuple(0.0 if value is None else value for value in nodata_values)
        return RasterFile(
            path=path, crs=crs, transform=transform, width=raster.width, height=raster.height, bands=chosen, dtype=dtype,
            palette=palette, alpha_band=alpha, alpha_full=_alpha_full(raster, path, alpha), mask_bands=masks,
            nodata=nodata_values, given_nodata=nodata, cover=cover, brightest=depth.brightest,
            inverted=depth.inverted and palette is None,
            driver=driver, block=tuple(raster.block_shapes[chosen[0] - 1]), has_overviews=bool(raster.overviews(chosen[0])),
            attribution=_attribution(raster.tags()))


def _leaf_depth(path: Path) -> Depth | None:
    """Return the depth of a file that a VRT is made of; None if its values are not 8-bit colours or grey."""
    from rasterio.enums import ColorInterp

    with _try_open(path, _driver(path)) as raster:
        plain = raster.colorinterp[0] != ColorInterp.palette and raster.dtypes[0] == "uint8"
        return depth_of(raster, 1) if plain else None


def _mask_bands(raster: Any, chosen: tuple[int, ...]) -> tuple[int, ...]:
    """Return which of the read bands have their own masks; only the first if they share the file's mask."""
    from rasterio.enums import MaskFlags

    flags = {band: set(raster.mask_flag_enums[band - 1]) for band in chosen}
    found = tuple(band for band in chosen if not flags[band] & {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha})
    return found[:1] if all(MaskFlags.per_dataset in flags[band] for band in found) else found


def _alpha_full(raster: Any, path: Path, alpha: int | None) -> float:
    rasterio = gdal()
    try:
        return 0.0 if alpha is None else full_value(raster, alpha)
    except rasterio.errors.RasterioError as error:
        raise TileError(path, f"its transparency cannot be read ({reason(error)})",
                        "The file is truncated or broken: fetch it again.") from error


def _driver(path: Path) -> str:
    """Return GDAL's reader for a file by its first bytes: GDAL alone would also try readers of addresses and databases.

    Raises:
        TileError: If it has another format.
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
    raise TileError(path, "it is not a GeoTIFF, JPEG 2000 or VRT", "Fetch it again, or convert it with gdal_translate.")


def _try_open(path: Path, driver: str) -> Any:
    import warnings

    rasterio = gdal()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # `_place` reports it with a remedy
            return rasterio.open(path, driver=driver, sharing=False)
    except rasterio.errors.RasterioError as error:
        raise TileError(path, f"it cannot be opened ({reason(error)})",
                        "The file is broken: fetch it again, or convert it with gdal_translate.") from error


def _probe(raster: Any, path: Path, band: int) -> None:
    """Read the last pixel, to find an incomplete download here and not after hours."""
    rasterio = gdal()
    try:
        raster.read(band, window=rasterio.windows.Window(raster.width - 1, raster.height - 1, 1, 1))
    except rasterio.errors.RasterioError as error:
        raise TileError(path, f"its last pixel cannot be read ({reason(error)})",
                        "The file is truncated or broken: fetch it again.") from error


def _choose_bands(raster: Any, path: Path, wanted: tuple[int, int, int] | None,
                  ) -> tuple[tuple[int, ...], npt.NDArray[np.uint8] | None, int | None]:
    """Return the bands to read, the palette of a single band, and the band that says where there is data."""
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
        raise TileError(path, "its only band is transparency", "Give an orthophoto.")
    return tuple(plain[:3]) if len(plain) >= 3 else (plain[0],), None, alpha


def _place(raster: Any, path: Path) -> tuple[str, Transform]:
    """Return projection and affine transform, either stated or from control points that fit one."""
    rasterio = gdal()
    transform, crs = raster.transform, raster.crs
    points, points_crs = raster.gcps
    if transform.is_identity and points:
        transform, crs = rasterio.transform.from_gcps(points), points_crs
        a, b, c, d, e, f = transform[:6]
        x, y, column, row = np.array([(p.x, p.y, p.col, p.row) for p in points], np.float64).T
        off = np.hypot(a * column + b * row + c - x, d * column + e * row + f - y).max() / np.sqrt(abs(a * e - b * d) or 1e-300)
        if not off <= _GCP_TOLERANCE_PX:
            raise TileError(path, f"its control points are not on a regular grid (an error of {off:.1f} pixels)",
                            "Rectify it first: gdalwarp -tps IN OUT.")
    if transform.is_identity:
        remedy = "Rectify it first with gdalwarp -rpc." if raster.rpcs else \
            "Give an orthophoto with a georeference, or add one with gdal_translate -a_ullr and -a_srs."
        raise TileError(path, "it has no georeference, so its place is unknown", remedy)
    if crs is None or not crs.to_wkt():
        raise TileError(path, "it states no projection", "Add the right one: gdal_translate -a_srs EPSG:NUMBER IN OUT.")
    values: Transform = tuple(float(v) for v in transform[:6])  # type: ignore[assignment]
    if not (np.isfinite(values).all() and abs(values[0] * values[4] - values[1] * values[3]) > 1e-24):
        raise TileError(path, "the raster is not on a regular grid", "Add a georeference with gdal_translate -a_ullr.")
    return _crs_text(crs, path), values


def _crs_text(crs: Any, path: Path) -> str:
    """Return a projection as `epsg:NUMBER` if it has a number, else as WKT; heights are dropped."""
    import pyproj

    try:
        known = pyproj.CRS.from_wkt(crs.to_wkt())
    except pyproj.exceptions.CRSError as error:
        raise TileError(path, f"PROJ does not know its projection ({str(error)[:100]})",
                        "State it again: gdal_translate -a_srs EPSG:NUMBER IN OUT.") from error
    if known.is_compound:
        known = known.sub_crs_list[0]
    if not (known.is_projected or known.is_geographic or known.is_bound):
        raise TileError(path, f"its projection {known.name!r} is not a projection of the earth",
                        "State the right one: gdal_translate -a_srs EPSG:NUMBER IN OUT.")
    number = None if known.is_bound else known.to_epsg()
    return f"epsg:{number}" if number else known.to_wkt()


def _attribution(tags: dict[str, str]) -> str:
    for name in ("TIFFTAG_COPYRIGHT", "COPYRIGHT", "ATTRIBUTION", "attribution"):
        text = " ".join(tags.get(name, "").split())[:500]
        if text:
            return text
    return ""
