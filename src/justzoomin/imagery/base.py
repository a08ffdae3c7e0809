"""What a map can be built from: any imagery that can draw its pixels on another raster."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Bounds = tuple[float, float, float, float]
"""West, south, east, north in a projection's units, whatever the order of its axes."""


class Imagery(Protocol):
    """Overhead imagery that several threads can draw on any raster at once. It can be pickled."""

    @property
    def name(self) -> str:
        """File or address, for messages."""

    @property
    def crs(self) -> str:
        """Its projection, as PROJ knows it."""

    @property
    def attribution(self) -> str:
        """Whom to name, as the imagery states; empty if it does not."""

    def bounds(self, crs: str) -> Bounds:
        """Return its extent in a projection.

        Raises:
            TileError: If the extent cannot be computed.
        """

    def metres_per_pixel(self) -> float:
        """Return its ground resolution at its centre, in metres."""

    def read(self, crs: str, bounds: Bounds, width: int, height: int) -> tuple[Pixels, Mask]:
        """Return its pixels on a north-up raster of a projection.

        Args:
            crs: The raster's projection.
            bounds: Its outer edges.
            width: Columns.
            height: Rows; row 0 is the northernmost.

        Returns:
            uint8 RGB (height, width, 3), and bool (height, width): True where there is data.

        Raises:
            TileError: If it cannot be read there.
        """
