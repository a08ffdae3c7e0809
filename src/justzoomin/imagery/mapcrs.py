"""The projection of a map: its choice for a place, and its scale there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.geometry import LatLon
from justzoomin.imagery.base import Bounds, Imagery
from justzoomin.imagery.config import MapBuildConfig
from justzoomin.imagery.points import DEGREES, convert, ground_scale, projection, turn
from justzoomin.maps import OFF_SCALE, ViewScale, utm_zone, view_scale
from justzoomin.tiles import TileLayout, TileProjection

_TRUE_SCALE = 0.01
_OWN_SCALE = 0.001
_SCALE_STEP_M = 100.0
_FLAT = {"north": 0, "east": 1}


def choose_crs(imagery: Sequence[Imagery], settings: MapBuildConfig, centre: LatLon) -> str:
    """Return the map's projection: the wanted one, the sources' if its scale is true at a place, else the place's UTM zone.

    Raises:
        ConfigError: If the wanted one is not suitable for a map.
    """
    if settings.crs is not None:
        crs = settings.crs.strip()
        crs = f"epsg:{crs}" if crs.isdigit() else crs.lower() if crs.lower().startswith("epsg:") else crs
        _require_usable(projection(crs, f"--crs {crs[:80]}"), f"--crs {crs[:80]}", centre)
        return crs
    names = {piece.crs for piece in imagery}
    own = next(iter(names))
    if len(names) == 1 and own.startswith("epsg:"):
        known = projection(own, "source")
        if known.is_projected and _usable_axes(known) and known.axis_info[0].unit_conversion_factor == 1.0:
            x, y = (float(v) for v in convert(DEGREES, own, centre.lon, centre.lat))
            scales = ground_scale(own, x, y, _SCALE_STEP_M)
            if max(abs(scale - 1.0) for scale in scales) <= _OWN_SCALE and abs(shown_scale(own, centre).error) <= OFF_SCALE:
                return own
    return utm_zone(centre)


def _usable_axes(known: Any) -> bool:
    return sorted(_FLAT.get(axis.direction, 9) for axis in known.axis_info[:2]) == [0, 1]


def _require_usable(known: Any, where: str, centre: LatLon) -> None:
    """Check that a map's projection is projected, with one axis north and one east.

    Raises:
        ConfigError: If it is not; it proposes one that is.
    """
    remedy = f"Here, UTM would be --crs {utm_zone(centre).upper()}."
    if not known.is_projected:
        raise ConfigError(
            where, f"{known.name!r} is in degrees or not a map projection, but tiles are squares in metres", remedy)
    if not _usable_axes(known):
        directions = ", ".join(axis.direction for axis in known.axis_info)
        raise ConfigError(where, f"the axes of {known.name!r} are {directions}, but a map needs one north and one east", remedy)


def north_first(crs: str) -> bool:
    """Return whether the first axis of a projection is north."""
    return bool(projection(crs, "crs").axis_info[0].direction == "north")


def require_one_piece(crs: str, bounds: Bounds, centre: LatLon) -> None:
    """Refuse a projection whose end, usually the antimeridian, goes through the map: positions beyond it are elsewhere.

    Raises:
        ConfigError: If it does; it proposes another projection.
    """
    west, south, east, north = bounds
    x = np.array([west, east]) + (east - west) * np.array([1e-6, -1e-6])
    y = np.full(2, (south + north) / 2)
    around = turn(crs)
    if around is not None and np.abs(convert(DEGREES, crs, *convert(crs, DEGREES, x, y))[0] - x).max() > around / 2:
        raise ConfigError(f"--crs {crs[:60]}", "this projection ends at a meridian that goes through the map",
                          f"Here, UTM would be --crs {utm_zone(centre).upper()}.")


def shown_scale(crs: str, place: LatLon) -> ViewScale:
    """Return the ground that a view of 1 000 m shows at a place on a map in a projection.

    Raises:
        GeometryError: If the projection fails there.
    """
    x, y = (float(v) for v in convert(DEGREES, crs, place.lon, place.lat))
    edge = 256.0 / float(projection(crs, "crs").axis_info[0].unit_conversion_factor)
    origin = (y, x) if north_first(crs) else (x, y)
    layout = TileLayout(crs=crs, tile_shape_px=(256, 256), tile_shape_crs=(edge, edge), origin_crs=origin,
                        tile_axes=("east", "north"), min_zoom=0, max_zoom=0)
    return view_scale(TileProjection(layout), *place, size_m=1000.0, pixels=100)


def metres_per_unit(crs: str, middle: tuple[float, float]) -> tuple[float, float]:
    """Return the metres on the ground per unit at the map's centre, and the nominal length of the unit."""
    nominal = float(projection(crs, "crs").axis_info[0].unit_conversion_factor)
    scales = ground_scale(crs, *middle, 100.0 / nominal)
    per_unit = math.sqrt(scales[0] * scales[1])
    if not (math.isfinite(per_unit) and per_unit > 0):
        raise ConfigError(f"--crs {crs[:60]}", "it has no scale at the map's centre",
                          "Choose a projection made for this place.")
    # Projections made for a place are wrong by less than a per cent; then pixels are round numbers of their units.
    return (nominal if abs(per_unit / nominal - 1.0) < _TRUE_SCALE else per_unit), nominal
