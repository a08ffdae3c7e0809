"""The sphere, regions and zoom grids. Positions are (lat, lon) in degrees, WGS 84."""

from justzoomin.geometry.files import find_grid, grid_from_dict, grid_to_dict, load_grid, preset, save_grid
from justzoomin.geometry.grid import Cell, ZoomGrid, format_sequence, parse_sequence
from justzoomin.geometry.layers import Layer, ViewLayers, zoom_layers
from justzoomin.geometry.numbers import (
    MAX_KEPT_VIEWS,
    MAX_VIEWS,
    allow_views,
    view_count,
    view_number,
    view_numbers,
    view_sequence,
)
from justzoomin.geometry.region import Region
from justzoomin.geometry.sphere import (
    EARTH_RADIUS_M,
    LatLon,
    from_local,
    haversine_m,
    move,
    stated_bearings,
    to_local,
    wrap_lon,
)

__all__ = [
    "EARTH_RADIUS_M", "MAX_KEPT_VIEWS", "MAX_VIEWS", "Cell", "LatLon", "Layer", "Region", "ViewLayers", "ZoomGrid",
    "allow_views", "find_grid", "format_sequence", "from_local", "grid_from_dict", "grid_to_dict", "haversine_m", "load_grid",
    "move", "parse_sequence", "preset", "save_grid", "stated_bearings", "to_local", "view_count", "view_number",
    "view_numbers", "view_sequence", "wrap_lon", "zoom_layers",
]
