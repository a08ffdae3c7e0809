"""Regions of terminal cells: area, runs, outlines as GeoJSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid, from_local
from justzoomin.posterior.lattices import Floats, lattice

Bools = npt.NDArray[np.bool_]
Corner = tuple[int, int]
"""Row and column of a corner of cells: (0, 0) is the region's north-western one."""
Ring = list[Corner]
Rings = list[list[list[float]]]


@dataclass(frozen=True, eq=False)
class CredibleRegion:
    """Some of a grid's terminal cells.

    Attributes:
        grid: The grid.
        mask: Which (N,) of the cells, in the order of `ZoomGrid.flatten`.
    """

    grid: ZoomGrid
    mask: Bools

    @property
    def area_m2(self) -> float:
        """Area in square metres."""
        return float(self.mask.sum()) * self.grid.cell_size_m(self.grid.depth) ** 2

    def runs(self) -> tuple[int, ...]:
        """The cells as lengths: outside, inside, outside ... row by row from the north-west, the last outside left out."""
        image = lattice(self.grid).to_image(self.mask.astype(np.int8)).ravel()
        changes = np.flatnonzero(np.diff(image, prepend=0, append=0))
        return tuple(np.diff(changes, prepend=0).tolist())

    @classmethod
    def from_runs(cls, grid: ZoomGrid, runs: Sequence[int]) -> CredibleRegion:
        """The region that `runs` gave these lengths of.

        Raises:
            GeometryError: If they are not lengths, in pairs, that the grid's cells have room for.
        """
        cells = lattice(grid)
        if len(runs) % 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in runs) or sum(runs) > len(cells):
            raise GeometryError("runs", f"{len(runs)} lengths do not fit {len(cells)} cells",
                                "Give lengths outside and inside in turn, as CredibleRegion.runs does.")
        image = np.zeros(len(cells), np.bool_)
        ends = np.cumsum(np.asarray(runs, np.int64))
        for start, end in zip(ends[::2].tolist(), ends[1::2].tolist(), strict=True):
            image[start:end] = True
        return cls(grid, cells.from_image(image.reshape(cells.side, cells.side)))

    def geojson(self) -> dict[str, Any]:
        """A GeoJSON MultiPolygon (lon, lat): a polygon for every group of cells that share sides, with its holes.

        Rings run counter-clockwise outside and clockwise around holes; what lies across the antimeridian is cut in two.

        Source: RFC 7946, sections 3.1.6, 3.1.7 and 3.1.9.
        """
        polygons = [part for rings in self.outlines() for part in self._placed(rings)]
        return {"type": "MultiPolygon", "coordinates": polygons}

    def outlines(self) -> list[list[Ring]]:
        """Polygons as rings of corners, the outer one first: a polygon for every group of cells that share sides."""
        return _outlines(lattice(self.grid).to_image(self.mask))

    def _placed(self, rings: list[Ring]) -> Iterator[Rings]:
        """A polygon's rings in degrees; two polygons where it lies across the antimeridian."""
        half, size = self.grid.region.size_m / 2, self.grid.cell_size_m(self.grid.depth)
        placed = []
        for ring in rings:
            corners = np.array([*ring, ring[0]], np.float64)
            lat, lon = from_local(*self.grid.region.centre, corners[:, 1] * size - half, half - corners[:, 0] * size)
            middle = self.grid.region.centre.lon
            placed.append(np.stack([middle + np.mod(lon - middle + 180.0, 360.0) - 180.0, lat], 1))
        west, east = placed[0][:, 0].min(), placed[0][:, 0].max()
        if west >= -180.0 and east <= 180.0:
            yield [ring.tolist() for ring in placed]
            return
        border = 180.0 if east > 180.0 else -180.0
        for low, high in ((-np.inf, border), (border, np.inf)):
            # Rings of cells have sides along the border: moved to it, what lies beyond has no area.
            cut = [np.stack([np.clip(ring[:, 0], low, high), ring[:, 1]], 1) for ring in placed]
            turn = -360.0 if low == 180.0 else 360.0 if high == -180.0 else 0.0
            kept = [(ring + np.array([turn, 0.0])).tolist() for ring in cut if np.ptp(ring[:, 0]) > 0]
            if kept:
                yield kept


def _outlines(image: Bools) -> list[list[Ring]]:
    """Polygons of a picture's cells as rings of corners, the outer one first and counter-clockwise, holes clockwise."""
    import shapely

    row, col = np.nonzero(image)
    cells = shapely.coverage_union_all(shapely.box(col, -row - 1, col + 1, -row))
    polygons = shapely.orient_polygons(shapely.get_parts(cells)).tolist()
    rings = [[_turns(shapely.get_coordinates(ring)) for ring in (polygon.exterior, *polygon.interiors)] for polygon in polygons]
    return sorted(rings, key=lambda part: min(part[0]))


def _turns(corners: Floats) -> Ring:
    """Rows and columns of the corners at which a closed ring (K, 2) of steps of one cell turns."""
    step = np.diff(corners, axis=0)
    turns = corners[:-1][(step != np.roll(step, 1, axis=0)).any(1)].astype(np.int64)
    return [(-y, x) for x, y in turns.tolist()]
