"""The meaning of values in a raster's bands: their number of bits, and the value of full opacity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from justzoomin.errors import TileError
from justzoomin.imagery.rasters import gdal

_SAMPLE_PX = 96
_SAMPLES = 12
_STRIP_PX = 1024


class Depth(NamedTuple):
    """The range of brightness of values.

    Args:
        brightest: Largest value that the bits can hold; 0 for floating-point values.
        inverted: Whether the smallest value is white.
    """

    brightest: float
    inverted: bool


def depth_of(raster: Any, band: int) -> Depth:
    """Return what a file states of a band: 2 bits hold 0 to 3, and a scan may count from white to black."""
    if np.dtype(raster.dtypes[band - 1]).kind == "f":
        return Depth(0.0, raster.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES")
    bits = raster.tags(band, ns="IMAGE_STRUCTURE").get("NBITS", "")
    most = float(np.iinfo(raster.dtypes[band - 1]).max)
    return Depth(min(most, 2.0 ** int(bits) - 1) if bits.isdigit() and 0 < int(bits) <= 64 else most,
                 raster.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES")


def depth_within(path: Path, own: Depth, files: Iterable[tuple[Path, Depth | None]]) -> Depth:
    """Return the depth of a VRT, which gives the values of its files unchanged and does not state their bits.

    Raises:
        TileError: If the files differ.
    """
    found = {depth: file for file, depth in files if depth is not None}
    if len(found) > 1:
        first, second = list(found.values())[:2]
        raise TileError(path, f"this VRT mixes files with values of different brightness ({first.name}, {second.name})",
                        "Convert each to 8 bits first, for example 4 bits: gdal_translate -ot Byte -scale 0 15 0 255 IN OUT.")
    return next(iter(found), own)


def full_value(raster: Any, band: int) -> float:
    """Return the value of a transparency band that means full opacity.

    It is the largest that the band's bits can hold. If no pixel of a sample is near it, it is the smallest of 1, 3, 7, 15 and
    so on that holds the sample: drone orthophotos write 255 into 16 bits, masks 1 into 8. If the sample has no data, the
    raster is read until some is found.

    Raises:
        RasterioError: If the file is broken there.
    """
    top = depth_of(raster, band).brightest
    most = 0.0
    for window, is_sample in _windows(raster.width, raster.height):
        if not is_sample and most > 0:
            break
        values = raster.read(band, window=window)
        most = max(most, float(np.nanmax(values, initial=0.0)))
        if top and most > top / 2:
            return top
    if most <= 0:
        return top or 1.0
    return 1.0 if most <= 1 else float(2 ** int(np.ceil(np.log2(most + 1))) - 1)


def _windows(width: int, height: int) -> Iterator[tuple[Any, bool]]:
    """Return windows in the middle, then spread over the raster, then all parts of it, and whether each is in the sample."""
    window = gdal().windows.Window
    w, h = min(_SAMPLE_PX, width), min(_SAMPLE_PX, height)
    yield window((width - w) // 2, (height - h) // 2, w, h), True
    columns, rows = (np.unique(np.linspace(0, size, _SAMPLES).astype(int)).tolist() for size in (width - w, height - h))
    for row in rows:
        for column in columns:
            yield window(column, row, w, h), True
    for row in range(0, height, _STRIP_PX):
        for column in range(0, width, _STRIP_PX):
            yield window(column, row, min(_STRIP_PX, width - column), min(_STRIP_PX, height - row)), False
