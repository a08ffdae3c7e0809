"""What the map shows of a cell or around a position, as a JPEG."""

from __future__ import annotations

import numpy as np
import simplejpeg

from justzoomin.errors import ConfigError
from justzoomin.geometry import parse_sequence
from justzoomin.search import Localizer

_QUALITY = 88


def view_jpeg(localizer: Localizer, pixels: int, sequence: str | None = None, lat: float | None = None,
              lon: float | None = None, size_m: float | None = None) -> bytes:
    """Return a view of a cell, or of a square around a position, north up.

    Args:
        localizer: Who has map and grid.
        pixels: Edge of the picture.
        sequence: Actions that lead to the cell, such as `0,5,3`; empty for the region.
        lat: Latitude of the square's centre in degrees.
        lon: Longitude of the square's centre in degrees.
        size_m: Edge of the square in metres, at most that of the region.

    Raises:
        ConfigError: If not exactly one of cell and square is given.
        GeometryError: If the grid has no such cell.
        OffRegionError: If the position is outside the region.
        TileError: If the map cannot give the view.
    """
    square = (lat, lon, size_m)
    if (sequence is None) == (None in square) or (sequence is not None and square != (None, None, None)):
        raise ConfigError("sequence", "give either a cell or a square", "Give sequence, or lat, lon and size_m.")
    if sequence is not None:
        cell = localizer.grid.cell(parse_sequence(sequence))
        lat, lon, size_m = *cell.centre, cell.size_m
    assert lat is not None and lon is not None and size_m is not None
    localizer.grid.encode(lat, lon)
    if size_m > localizer.grid.region.size_m:
        raise ConfigError("size_m", f"the region is only {localizer.grid.region.size_m:g} m wide", "Give a smaller square.")
    view = localizer.map.view(lat, lon, size_m, pixels)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(view.pixels), _QUALITY))
