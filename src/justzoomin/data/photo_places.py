"""Where a region has training photos, as a coarse picture that a model's record keeps."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import Region, from_local, nearest, to_local

CELL_M = 10.0
"""Edge of a part of the picture: half of the distance at which photos count as near."""
_MAX_SIDE = 1 << 13

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PhotoPlaces:
    """The parts of a square that have at least one photo.

    Attributes:
        lat: Latitude of the square's centre in degrees.
        lon: Longitude of it.
        cell_m: Edge of a part in metres.
        there: Whether each part (rows from the north, columns from the west) has a photo.
    """

    lat: float
    lon: float
    cell_m: float
    there: Bools

    @classmethod
    def of(cls, region: Region, lat: Floats, lon: Floats) -> PhotoPlaces:
        """Return the places of photos at positions (N,) in a region; parts are larger than `CELL_M` in very large regions."""
        cell_m = max(CELL_M, region.size_m / _MAX_SIDE)
        side = math.ceil(region.size_m / cell_m)
        centre = region.centre
        east, north = to_local(centre.lat, centre.lon, lat, lon)
        half = side * cell_m / 2
        row, column = (np.clip(np.floor(way / cell_m), 0, side - 1).astype(np.int64) for way in (half - north, half + east))
        there = np.zeros((side, side), np.bool_)
        there[row, column] = True
        return cls(centre.lat, centre.lon, cell_m, there)

    def near(self, lat: Floats, lon: Floats, radius_m: float) -> Bools:
        """Return whether each position (N,) is within a radius of the centre of a part with photos."""
        if not self.there.any():
            return np.zeros(len(lat), np.bool_)
        rows, columns = np.nonzero(self.there)
        middle = (len(self.there) - 1) / 2
        places = from_local(self.lat, self.lon, (columns - middle) * self.cell_m, (middle - rows) * self.cell_m)
        return np.asarray(nearest(lat, lon, *places)[1] <= radius_m)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: the picture is packed into bits, row by row, compressed and written in base 64."""
        bits = zlib.compress(np.packbits(self.there).tobytes(), 9)
        return {"lat": self.lat, "lon": self.lon, "cell_m": self.cell_m, "side": len(self.there),
                "bits": base64.b64encode(bits).decode()}

    @classmethod
    def from_dict(cls, values: object) -> PhotoPlaces | None:
        """Return the places in a model's record; None if it has none, or they are not such values."""
        if not isinstance(values, dict):
            return None
        lat, lon, cell_m, side, bits = (values.get(name) for name in ("lat", "lon", "cell_m", "side", "bits"))
        numbers = [v for v in (lat, lon, cell_m) if isinstance(v, int | float) and math.isfinite(v)]
        if len(numbers) != 3 or abs(numbers[0]) > 90 or abs(numbers[1]) > 360 or not 0 < numbers[2] <= 1e6:
            return None
        if not isinstance(side, int) or not 0 < side <= _MAX_SIDE or not isinstance(bits, str):
            return None
        size = (side * side + 7) // 8
        try:
            packed = zlib.decompressobj().decompress(base64.b64decode(bits, validate=True), size + 1)
        except (binascii.Error, zlib.error):
            return None
        if len(packed) != size:
            return None
        there = np.unpackbits(np.frombuffer(packed, np.uint8), count=side * side).astype(np.bool_).reshape(side, side)
        return cls(float(numbers[0]), float(numbers[1]), float(numbers[2]), there)
