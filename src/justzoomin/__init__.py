"""Say where a street photo was taken, from the photo and an overhead map alone.

>>> from justzoomin import Localizer                                      # doctest: +SKIP
>>> fix = Localizer.load("model", "map").localize("photo.jpg")            # doctest: +SKIP
>>> fix.lat, fix.lon, fix.credible_radius_m                               # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from justzoomin.data import open_dataset
    from justzoomin.geometry import Region, ZoomGrid
    from justzoomin.maps import Map
    from justzoomin.models import ZoomModel
    from justzoomin.search import Fix, Localizer

__all__ = ["Fix", "Localizer", "Map", "Region", "ZoomGrid", "ZoomModel", "open_dataset"]

_ROOMS = {"Fix": "search", "Localizer": "search", "Map": "maps", "Region": "geometry", "ZoomGrid": "geometry",
          "ZoomModel": "models", "open_dataset": "data"}


def __getattr__(name: str) -> Any:
    """Import the rooms when they are first asked for: the command line's help must not wait for torch."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'justzoomin' has no attribute {name!r}")
    return getattr(import_module(f"justzoomin.{_ROOMS[name]}"), name)
