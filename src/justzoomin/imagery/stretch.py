"""Converting 16-bit and floating-point values to 8 bits: one stretch for all sources, from percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import TileError
from justzoomin.imagery.rasters import Limits, RasterFile

LOW_PERCENTILE, HIGH_PERCENTILE = 2.0, 98.0
_FILES = 200
_OVERVIEW_PX = 1024
_WINDOW_PX = 96
_WINDOWS = 12


def require_bytes(files: Sequence[RasterFile]) -> None:
    """Refuse values that are not 8 bits.

    Raises:
        TileError: If there are any; it names the first such file.
    """
    for file in files:
        if file.dtype != "uint8" and file.palette is None:
            raise TileError(file.path, f"its values are {file.dtype}, and the conversion to 8 bits per colour is not given",
                            "Give --stretch (2nd to 98th percentile over all sources), "
                            "or convert it with gdal_translate -ot Byte -scale.")


def find_limits(files: Sequence[RasterFile]) -> Limits:
    """Return the 2nd and 98th percentile of each band over all files, weighted by their sampled pixels.

    Files with smaller copies are read from these, others in windows spread over them. If there are more than 200 files,
    200 of them are read.

    Returns:
        Low and high value of red, green and blue. A grey file counts only as the first band.

    Raises:
        TileError: If a file is broken, or no pixel has data.
    """
    values = [file for file in files if file.palette is None]
    if not values:
        return ((0.0, 255.0),) * 3
    picked = [values[k] for k in np.unique(np.linspace(0, len(values) - 1, min(_FILES, len(values))).astype(int)).tolist()]
    found: list[list[npt.NDArray[Any]]] = [[], [], []]
    for file in picked:
        for bands, mask in _samples(file):
            for channel, band in enumerate(file.upright(bands)):
                found[channel].append(band[mask].astype(np.float64))
    columns = [np.concatenate(parts) for parts in found if parts]
    if not columns or not columns[0].size:
        raise TileError(values[0].path, "no pixel of any source has data", "Check the no-data values of the sources.")
    limits = []
    for column in columns:
        low, high = np.percentile(column, [LOW_PERCENTILE, HIGH_PERCENTILE]).tolist()
        limits.append((low, high if high > low else low + 1.0))
    return tuple(limits)


def _samples(file: RasterFile) -> list[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
    largest = max(file.width, file.height)
    if file.has_overviews or largest <= _OVERVIEW_PX:
        scale = min(1.0, _OVERVIEW_PX / largest)
        shape = max(1, round(file.height * scale)), max(1, round(file.width * scale))
        return [file.values(0, 0, file.width, file.height, shape)]
    width, height = min(_WINDOW_PX, file.width), min(_WINDOW_PX, file.height)
    columns = np.unique(np.linspace(0, file.width - width, _WINDOWS).astype(int)).tolist()
    rows = np.unique(np.linspace(0, file.height - height, _WINDOWS).astype(int)).tolist()
    return [file.values(column, row, width, height) for row in rows for column in columns]
