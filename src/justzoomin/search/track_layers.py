"""A drive as a GeoPackage: the track, the photos with their regions and headings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

from justzoomin.geometry import ZoomGrid
from justzoomin.posterior import CredibleRegion
from justzoomin.search.geopackage import TRACK_LAYERS, geopackage_bytes
from justzoomin.search.tracking import TrackPoint, geojson


def track_geopackage(points: Sequence[TrackPoint], grid: ZoomGrid, attribution: str | None = None, *,
                     with_time: bool = True) -> bytes:
    """Return a GeoPackage of a drive.

    Args:
        points: The photos.
        grid: The grid on which they were tracked.
        attribution: Whom to credit for the map.
        with_time: Whether to write their times, which needs known time zones: a GeoPackage holds times in UTC.
    """
    return geopackage_bytes(_features(points, grid, with_time), attribution, TRACK_LAYERS)


def _features(points: Sequence[TrackPoint], grid: ZoomGrid, with_time: bool) -> Iterator[dict[str, Any]]:
    """Yield the features of `geojson` with times in UTC, and those of the regions."""
    times = {point.time.isoformat(): point.time.astimezone(UTC) for point in points} if with_time else {}
    facing = {point.photo: point for point in points}
    for feature in geojson(points)["features"]:
        properties = feature["properties"]
        if properties["kind"] == "photo":
            time = times.get(properties["time"])
            properties["time"] = None if time is None else f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"
        elif properties["kind"] == "heading":
            point = facing[properties["photo"]]
            properties |= {"heading_deg": point.heading_deg, "heading_sigma_deg": point.heading_sigma_deg}
        yield feature
    for point in points:
        for percent, runs in sorted((point.regions or {}).items(), reverse=True):
            region = CredibleRegion.from_runs(grid, runs)
            yield {"type": "Feature", "geometry": region.geojson(),
                   "properties": {"photo": point.photo, "kind": f"region_{percent}", "area_m2": region.area_m2}}
