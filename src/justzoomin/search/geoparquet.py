"""What makes a Parquet file of fixes a GeoParquet file: a column of points, and the key `geo` in the file's metadata.

Source: GeoParquet 1.1.0, file metadata and column metadata; OGC 06-103r4, clause 8.2, for the points' bytes.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from justzoomin.spelling import spelled

GEOMETRY = "geometry"
"""Name of the column of points."""
_LITTLE_ENDIAN, _POINT = 1, 1


class Points:
    """Rows with their positions as points, and the box that holds them.

    Attributes:
        box: West, south, east and north in degrees of the rows so far; not finite before the first row.
    """

    def __init__(self) -> None:
        self.box = [math.inf, math.inf, -math.inf, -math.inf]

    def added(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows with `lat` and `lon`, and their point as hexadecimal digits of well-known binary."""
        for row in rows:
            lon, lat = row["lon"], row["lat"]
            west, south, east, north = self.box
            self.box = [min(west, lon), min(south, lat), max(east, lon), max(north, lat)]
            yield {**row, GEOMETRY: struct.pack("<BIdd", _LITTLE_ENDIAN, _POINT, lon, lat).hex()}

    def metadata(self, attribution: str | None = None) -> dict[str, str]:
        """Return the keys of the file's metadata: `geo`, and `attribution` if it is known.

        Args:
            attribution: Whom to credit for the map.
        """
        column = {"encoding": "WKB", "geometry_types": ["Point"], "crs": _crs(),
                  **({"bbox": self.box} if math.isfinite(self.box[0]) else {})}
        geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
        return {"geo": json.dumps(geo), **({} if attribution is None else {"attribution": spelled(attribution)})}


@lru_cache
def _crs() -> dict[str, Any]:
    """Return WGS 84 with longitude before latitude, as PROJJSON."""
    from pyproj import CRS

    return CRS("OGC:CRS84").to_json_dict()
