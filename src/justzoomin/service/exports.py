"""What a session says as files: GeoJSON, GPX, CSV and GeoPackage, and its regions as GeoJSON for a map."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from justzoomin.posterior import CREDIBLE_LEVELS
from justzoomin.search import TrackPoint, fixes_bytes, geopackage_bytes, gpx
from justzoomin.service.session import Opinion
from justzoomin.spelling import json_text

Feature = dict[str, Any]


def region_features(opinion: Opinion) -> list[Feature]:
    """Return GeoJSON features: the regions that hold 95, 90 and 50 %, the largest first, and the heading's wedge if known."""
    photo, features = opinion.fix.photo, []
    regions = opinion.posterior.regions(CREDIBLE_LEVELS[::-1])
    for share, region in zip(CREDIBLE_LEVELS[::-1], regions, strict=True):
        percent = round(100 * share)
        features.append({"type": "Feature", "geometry": region.geojson(), "properties": {
            "photo": photo, "kind": f"region_{percent}", "percent": percent, "area_m2": region.area_m2}})
    return features + [one for one in opinion.fix.to_geojson() if one["properties"]["kind"] == "heading"]


def export_features(opinion: Opinion) -> list[Feature]:
    """Return all GeoJSON features of an answer: position, cell, regions and heading; the position lists the corrections."""
    position, cell = opinion.fix.to_geojson()[:2]
    said = [one.to_dict() for one in opinion.corrections]
    position = {**position, "properties": {**position["properties"], "corrections": said}}
    return [position, cell, *region_features(opinion)]


def _geojson(opinion: Opinion, attribution: str | None) -> bytes:
    collection = {"type": "FeatureCollection", "features": export_features(opinion),
                  **({} if attribution is None else {"attribution": attribution})}
    return json_text(collection, indent=1).encode()


def _gpx(opinion: Opinion, attribution: str | None) -> bytes:
    fix = opinion.fix
    radius = fix.credible_radius_m
    point = TrackPoint(fix.photo or "photo", datetime.fromtimestamp(0, UTC), fix.position, radius, fix.radius_90_m or radius,
                       fix.on_map, fix.heading_deg, fix.heading_sigma_deg)
    return gpx([point], with_time=False, waypoints=True, attribution=attribution)


def _csv(opinion: Opinion, attribution: str | None) -> bytes:
    return fixes_bytes([opinion.fix.to_dict()], opinion.fix.grid, ".csv")


def _gpkg(opinion: Opinion, attribution: str | None) -> bytes:
    return geopackage_bytes(export_features(opinion), attribution)


EXPORTS: dict[str, tuple[str, Callable[[Opinion, str | None], bytes]]] = {
    "geojson": ("application/geo+json", _geojson), "gpx": ("application/gpx+xml", _gpx),
    "csv": ("text/csv; charset=utf-8", _csv), "gpkg": ("application/geopackage+sqlite3", _gpkg)}
"""Kind of content and maker of each format, by file extension: from an opinion and the map's attribution to bytes."""
