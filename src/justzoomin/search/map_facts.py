"""What a map is like, as far as a calibration that was fitted on other maps depends on it."""

from __future__ import annotations

from justzoomin.maps import GridViews, region_look
from justzoomin.posterior import MapFacts


def facts_of(views: GridViews) -> MapFacts:
    """Return area, cells, resolution and look of a grid's region on a map.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    grid, source = views.grid, views.source
    return MapFacts(grid.region.size_m**2, grid.cell_size_m(grid.depth), source.finest_metres_per_pixel(grid),
                    region_look(views), source.fingerprint())
