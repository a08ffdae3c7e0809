"""Regions of terminal cells: area, runs, outlines as GeoJSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid, from_local
from justzoomin.posterior.lattices import lattice

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
            raise GeometryError("runs", f"{len(runs)} lengths do not cover {len(cells)} cells",
                                "Give lengths outside and inside by turns, as CredibleRegion.runs does.")
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
    """Polygons of a picture's cells as rings of corners, the outer one first."""
    labels = _labels(image)
    parts: dict[int, list[Ring]] = {}
    for ring, label in _rings(image, labels):
        rings = parts.setdefault(label, [])
        rings.insert(0 if _doubled_area(ring) > 0 else len(rings), _without_straight(ring))
    return list(parts.values())


def _labels(image: Bools) -> npt.NDArray[np.int64]:
    """Numbers of the groups of cells that share sides; 0 for none."""
    labels = np.zeros(image.shape, np.int64)
    rows, columns = image.shape
    number = 0
    for start in zip(*np.nonzero(image), strict=True):
        if labels[start]:
            continue
        number += 1
        labels[start] = number
        waiting = [(int(start[0]), int(start[1]))]
        while waiting:
            row, col = waiting.pop()
            for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
                if 0 <= r < rows and 0 <= c < columns and image[r, c] and not labels[r, c]:
                    labels[r, c] = number
                    waiting.append((r, c))
    return labels


def _rings(image: Bools, labels: npt.NDArray[np.int64]) -> Iterator[tuple[Ring, int]]:
    """Rings along the borders of a picture's cells, cells on the left, and the group of each.

    Where two of the cells touch at a corner only, the ring turns left: it stays with its group. A ring that meets itself is two
    rings.
    """
    padded = np.pad(image, 1)
    inside = padded[1:-1, 1:-1]
    after: dict[Corner, list[tuple[Corner, int]]] = {}
    for outside, begin, end in ((padded[:-2, 1:-1], (0, 1), (0, 0)), (padded[2:, 1:-1], (1, 0), (1, 1)),
                                (padded[1:-1, :-2], (0, 0), (1, 0)), (padded[1:-1, 2:], (1, 1), (0, 1))):
        for row, col in zip(*(part.tolist() for part in np.nonzero(inside & ~outside)), strict=True):
            after.setdefault((row + begin[0], col + begin[1]), []).append(((row + end[0], col + end[1]), int(labels[row, col])))
    while after:
        corner = next(iter(after))
        label = after[corner][0][1]
        ring: Ring = []
        places: dict[Corner, int] = {}
        came: Corner | None = None
        while True:
            if corner in places:
                start = places[corner]
                yield ring[start:], label
                for passed in ring[start:]:
                    del places[passed]
                del ring[start:]
                if not ring:
                    break
            places[corner] = len(ring)
            ring.append(corner)
            ways = after[corner]
            which = 0 if len(ways) == 1 or came is None else max(range(2), key=lambda k: _left(came, corner, ways[k][0]))
            following, _ = ways.pop(which)
            if not ways:
                del after[corner]
            came, corner = corner, following


def _left(before: Corner | None, at: Corner, after: Corner) -> int:
    """1 where a way turns left, -1 where it turns right; rows run downwards."""
    assert before is not None
    return (at[1] - before[1]) * (at[0] - after[0]) - (before[0] - at[0]) * (after[1] - at[1])


def _doubled_area(ring: Ring) -> int:
    """Twice a ring's area, positive where it runs counter-clockwise as seen on a map."""
    return sum(b[1] * a[0] - a[1] * b[0] for a, b in pairwise([*ring, ring[0]]))


def _without_straight(ring: Ring) -> Ring:
    """The corners of a ring at which it turns."""
    around = zip([ring[-1], *ring[:-1]], ring, [*ring[1:], ring[0]], strict=True)
    return [at for before, at, after in around if _left(before, at, after) != 0]
