"""The results of a map check: each level of the grid compared with the map, and the verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from justzoomin.checks.cellcover import CellCover
from justzoomin.checks.needs import ViewNeed
from justzoomin.checks.tilequality import LevelQuality
from justzoomin.geometry import ZoomGrid, grid_to_dict
from justzoomin.maps import ViewScale

Verdict = Literal["good", "usable with warnings", "cannot be trained on"]


@dataclass(frozen=True)
class LevelCheck:
    """One level of the grid compared with the map.

    Args:
        need: What its views need, and the map level that they are drawn from.
        coverage: Share of the cells' area that has tiles, in [0, 1].
        looked_at: Number of checked cells; all of them up to 16 384.
        empty: How many of these have no tile.
        partly: How many of these lack a part.
        tiles_needed: Number of tiles of the map level that these cells touch.
        tiles_missing: How many of them do not exist.
        first_missing: Some of the missing tiles: x, y and their centre's latitude and longitude.
        places_without: Photos (or other given places) where the level has no tile; None if no places are given.
    """

    need: ViewNeed
    coverage: float
    looked_at: int
    empty: int
    partly: int
    tiles_needed: int
    tiles_missing: int
    first_missing: tuple[tuple[int, int, float, float], ...]
    places_without: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        rest = {k: v for k, v in asdict(self).items() if k not in {"need", "first_missing"}}
        missing = [dict(zip(("x", "y", "lat", "lon"), tile, strict=True)) for tile in self.first_missing]
        return {**self.need.to_dict(), **rest, "first_missing": missing}


@dataclass(frozen=True)
class MapCheck:
    """The map check of a map for a grid.

    Args:
        root: The map's folder.
        grid: The zoom grid.
        pixels: Edge of a view in pixels.
        levels: The grid's levels whose cells are viewed, coarsest first.
        qualities: A sample of tiles of each map level that they are drawn from.
        unused: Map levels that no view is drawn from: level, tiles, bytes.
        crs: The projection.
        tile_axes: Directions in which tile x and tile y grow.
        convergence_deg: Angle from the projection's north to true north at the region's centre, counter-clockwise.
        scale: The view with the largest scale error.
        places: Number of given places.
        covers: The checked cells of each level and their shares, for pictures.
        problems: Reasons why the map cannot be trained on.
        warnings: What makes the map less useful, or should be checked.
    """

    root: str
    grid: ZoomGrid
    pixels: int
    levels: tuple[LevelCheck, ...]
    qualities: tuple[LevelQuality, ...]
    unused: tuple[tuple[int, int, int], ...]
    crs: str
    tile_axes: tuple[str, str]
    convergence_deg: float
    scale: ViewScale
    places: int
    covers: tuple[CellCover, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """`good`, `usable with warnings` or `cannot be trained on`."""
        return "cannot be trained on" if self.problems else "usable with warnings" if self.warnings else "good"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        centre = self.grid.region.centre
        return {
            "root": self.root, "verdict": self.verdict, "problems": list(self.problems), "warnings": list(self.warnings),
            "pixels": self.pixels, "region": grid_to_dict(self.grid), "region_centre": list(centre),
            "crs": self.crs, "tile_axes": list(self.tile_axes), "convergence_deg": self.convergence_deg,
            "scale": self.scale.to_dict(),
            "levels": [level.to_dict() for level in self.levels],
            "tile_samples": [quality.to_dict() for quality in self.qualities],
            "unused_levels": [dict(zip(("level", "tiles", "bytes"), row, strict=True)) for row in self.unused],
            "places": self.places,
        }
