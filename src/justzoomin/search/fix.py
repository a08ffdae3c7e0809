"""A Fix: where a photo was taken, how the search got there, and from which map and model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from justzoomin.geometry import Cell, LatLon, ZoomGrid

CREDIBLE_PROBABILITY = 0.5
"""Probability that the credible radius of a greedy search stands for."""


@dataclass(frozen=True)
class Fix:
    """A position with the path that led to it.

    Attributes:
        lat: Latitude of the terminal cell's centre in degrees.
        lon: Longitude of it in degrees.
        sequence: Actions from the whole region to the terminal cell.
        probabilities: The model's probability of each action, given those before it; not calibrated.
        cell_size_m: Edge of the terminal cell in metres.
        credible_radius_m: Half diagonal of the smallest cell on the path whose probability (the product of its
            actions') is at least one half; the whole region's where even the first action is less likely.
        no_data: Share of each view on the path that the map has no data for.
        seconds: Time the search took for this photo, decoding included; of a batch, its share of the batch's time.
        photo: Name of the photo, if it had one.
        map_hash: Fingerprint of the map.
        model_hash: Fingerprint of the model.
        grid: The zoom grid that was searched.
    """

    lat: float
    lon: float
    sequence: tuple[int, ...]
    probabilities: tuple[float, ...]
    cell_size_m: float
    credible_radius_m: float
    no_data: tuple[float, ...]
    seconds: float
    photo: str | None
    map_hash: str
    model_hash: str
    grid: ZoomGrid

    @property
    def position(self) -> LatLon:
        """Latitude and longitude together."""
        return LatLon(self.lat, self.lon)

    @property
    def cell(self) -> Cell:
        """The terminal cell."""
        return self.grid.cell(self.sequence)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, lat before lon."""
        return {
            "photo": self.photo, "lat": self.lat, "lon": self.lon, "sequence": list(self.sequence),
            "probabilities": list(self.probabilities), "cell_size_m": self.cell_size_m,
            "credible_radius_m": self.credible_radius_m, "no_data": list(self.no_data), "seconds": self.seconds,
            "map": self.map_hash, "model": self.model_hash,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], grid: ZoomGrid) -> Fix:
        """The fix that `to_dict` gave these values of, on the grid it was found on."""
        return cls(
            lat=values["lat"], lon=values["lon"], sequence=tuple(values["sequence"]),
            probabilities=tuple(values["probabilities"]), cell_size_m=values["cell_size_m"],
            credible_radius_m=values["credible_radius_m"], no_data=tuple(values["no_data"]), seconds=values["seconds"],
            photo=values["photo"], map_hash=values["map"], model_hash=values["model"], grid=grid)

    def to_geojson(self) -> list[dict[str, Any]]:
        """Two GeoJSON features (lon, lat): the point and the terminal cell's square."""
        properties = {k: v for k, v in self.to_dict().items() if k not in {"lat", "lon"}}
        return [
            {"type": "Feature", "properties": {**properties, "kind": "position"},
             "geometry": {"type": "Point", "coordinates": [self.lon, self.lat]}},
            {"type": "Feature", "properties": {"photo": self.photo, "kind": "cell"},
             "geometry": _outline(self.cell)},
        ]


def _outline(cell: Cell) -> dict[str, Any]:
    """A cell's square in GeoJSON, counter-clockwise; cut in two where it lies across the antimeridian.

    Source: RFC 7946, sections 3.1.6 and 3.1.9.
    """
    ring = [[c.lon, c.lat] for c in (*cell.corners, cell.corners[0])][::-1]
    lons = [lon for lon, _ in ring]
    if max(lons) - min(lons) <= 180.0:
        return {"type": "Polygon", "coordinates": [ring]}
    west = [[min(lon % 360.0, 180.0), lat] for lon, lat in ring]
    east = [[max(lon % 360.0, 180.0) - 360.0, lat] for lon, lat in ring]
    return {"type": "MultiPolygon", "coordinates": [[west], [east]]}


def credible_radius_m(grid: ZoomGrid, probabilities: tuple[float, ...]) -> float:
    """Half diagonal of the smallest cell on a path that still holds `CREDIBLE_PROBABILITY`."""
    level, mass = 0, 1.0
    for probability in probabilities:
        mass *= probability
        if mass < CREDIBLE_PROBABILITY:
            break
        level += 1
    return grid.cell_size_m(level) * math.sqrt(0.5)
