"""What a zoom grid needs from a map: for the views of each level, the map level that serves them and how well."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from justzoomin.geometry import ZoomGrid
from justzoomin.maps import MAX_MOSAIC_PX
from justzoomin.tiles import TileProjection

Service = Literal["full", "just", "enlarged", "missing", "too_large"]
"""How a map level serves views. `full`: at least two of its pixels per pixel of the view, as the level rule requires;
`just`: one to two, from the finest level that exists; `enlarged`: less than one; `missing`: the level has no tiles, and
drawing fails; `too_large`: even the coarsest level is so fine that one view would need more tiles than can be drawn."""


@dataclass(frozen=True)
class ViewNeed:
    """The views of one level of a grid, and what the map offers for them.

    Args:
        level: Level of the cells that the views show; 0 is the whole region. The terminal cells are never viewed.
        cells: Number of cells of the level.
        size_m: Edge of a cell in metres.
        metres_per_pixel: Ground resolution of the views.
        map_level: Level of the map that they are drawn from.
        map_metres_per_pixel: Its ground resolution at the region's centre.
        tiles_across: Its tiles along one edge of a view.
        service: How well it serves them.
    """

    level: int
    cells: int
    size_m: float
    metres_per_pixel: float
    map_level: int
    map_metres_per_pixel: float
    tiles_across: float
    service: Service

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def view_needs(projection: TileProjection, grid: ZoomGrid, pixels: int,
               has_level: Callable[[int], bool]) -> tuple[ViewNeed, ...]:
    """Return the views that a grid needs at a size in pixels, coarsest first, at the region's centre.

    Args:
        projection: Projection of the map's layout.
        grid: The zoom grid.
        pixels: Edge of a view in pixels.
        has_level: Whether a level of the map has any tiles.

    Raises:
        GeometryError: If the projection fails at the region's centre.
    """
    lat, lon = grid.region.centre
    needs = []
    for level in range(grid.depth):
        size_m = grid.cell_size_m(level)
        wanted = size_m / pixels
        map_level, per_metre = projection.choose_level(lat, lon, wanted)
        native = per_metre * size_m
        ratio = native / pixels
        finest = map_level == projection.layout.max_zoom
        service: Service = "full"
        if not has_level(map_level):
            service = "missing"
        elif native * math.sqrt(2.0) + 2 * projection.layout.tile_px > MAX_MOSAIC_PX:
            service = "too_large"
        elif finest and ratio < 0.98:
            service = "enlarged"
        elif finest and ratio < 1.96:  # the rule uses the finer axis, this is the mean of both: allow a small margin
            service = "just"
        needs.append(ViewNeed(level, grid.actions**level, size_m, wanted, map_level, 1.0 / per_metre,
                              native / projection.layout.tile_px, service))
    return tuple(needs)
