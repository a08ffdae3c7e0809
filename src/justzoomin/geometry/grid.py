"""The zoom grid: positions to action sequences, sequences to cells, and back.

A region is cut into grid x grid cells, and each cell is cut again, `depth` times. Row 0 is the northernmost, column 0 the
westernmost, and action = row * grid + column. As in the published system, the centre of a child is computed from the centre
of its parent (east, then north, on the sphere), so each parent has its own chart. Neighbouring charts agree at shared borders
except for a sliver of the width `ZoomGrid.sliver_m` (0.63 m for the benchmark's 10 km). A position in a sliver belongs to the
parent that the coarser chart chose, and to the nearest of its children.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError, OffRegionError
from justzoomin.geometry.region import Region
from justzoomin.geometry.sphere import Floats, LatLon, from_local, to_local
from justzoomin.untrusted import printable

Ints = npt.NDArray[np.int64]

MIN_GRID, MAX_GRID = 2, 8
MAX_CELLS = 2**62
MAX_DEPTH = 31
"""Levels of a grid of 2 x 2 cells with `MAX_CELLS` terminal cells. Deeper grids are refused before a power is computed."""
_CHUNK = 1 << 16
_TABLE_CELLS = 1 << 16
_ACTION = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True)
class Cell:
    """A square of the grid.

    Attributes:
        sequence: Actions that lead to it; empty for the region.
        centre: Its centre.
        size_m: Edge in metres.
        corners: North-west, north-east, south-east and south-west corner.
    """

    sequence: tuple[int, ...]
    centre: LatLon
    size_m: float
    corners: tuple[LatLon, LatLon, LatLon, LatLon]


@dataclass(frozen=True)
class ZoomGrid:
    """A region with a grid of `grid` x `grid` cells per level, `depth` levels deep.

    Raises:
        GeometryError: If grid or depth are out of range, or the charts of neighbouring cells disagree by more
            than half a terminal cell (large regions at high latitudes).
    """

    region: Region
    grid: int = 4
    depth: int = 4

    def __post_init__(self) -> None:
        for name in ("grid", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise GeometryError(name, f"{value!r} is not a whole number", "Give a whole number.")
            object.__setattr__(self, name, int(value))
        if not MIN_GRID <= self.grid <= MAX_GRID:
            raise GeometryError("grid", f"{printable(self.grid, 20)} cells a side", f"Use {MIN_GRID} to {MAX_GRID}.")
        if not 1 <= self.depth <= MAX_DEPTH:
            raise GeometryError("depth", f"{printable(self.depth, 20)} levels; a grid has 1 to {MAX_DEPTH}",
                                "Give a depth in this range.")
        if self.actions**self.depth > MAX_CELLS:
            raise GeometryError("depth", f"{self.depth} levels of {self.actions} actions need more than 62 bits",
                                "Use fewer levels or a smaller grid.")
        terminal = self.cell_size_m(self.depth)
        if self.sliver_m > terminal / 2:
            raise GeometryError(
                "region", f"the charts of neighbouring cells disagree by {self.sliver_m:.3g} m, more than half of a"
                f" terminal cell ({terminal:.3g} m)", "Use a smaller region, fewer levels or a lower latitude.")

    @property
    def actions(self) -> int:
        """Number of actions of a step: grid * grid."""
        return self.grid * self.grid

    def cell_size_m(self, level: int) -> float:
        """Return the edge in metres of a cell of a level; level 0 is the region."""
        return float(self.region.size_m / self.grid**level)

    @cached_property
    def sliver_m(self) -> float:
        """Largest difference in metres between a cell's border in its own chart and in its parent's."""
        g, size = self.grid, self.region.size_m
        steps = np.linspace(-0.5, 0.5, 3) * size / g
        edge_e, edge_n = (a.ravel() for a in np.meshgrid(steps, steps))
        east, north = self._child_offsets(np.arange(self.actions), size)
        centre = self.region.centre
        lat_c, lon_c = from_local(centre.lat, centre.lon, east, north)
        lat, lon = from_local(centre.lat, centre.lon, east[:, None] + edge_e, north[:, None] + edge_n)
        own_e, own_n = to_local(lat_c[:, None], lon_c[:, None], lat, lon)
        first = max(np.abs(own_e - edge_e).max(), np.abs(own_n - edge_n).max())
        # Each further level is a grid**2 times smaller copy: sum the geometric series.
        return float(first / (1.0 - 1.0 / self.actions))

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Ints:
        """Return the action sequences of positions.

        Args:
            lat: Latitudes in degrees, scalar or (N,).
            lon: Longitudes in degrees, like `lat`.

        Returns:
            Sequences (N, depth); N is 1 for scalars.

        Raises:
            OffRegionError: If a position is outside the region; nothing is clamped. See `encode_masked`.
            GeometryError: If a position is not finite or its latitude is beyond 90 degrees.
        """
        lats, lons = _positions(lat, lon)
        sequences, inside = self.encode_masked(lats, lons)
        if not inside.all():
            bad = int(np.flatnonzero(~inside)[0])
            east, north = to_local(*self.region.centre, lats[bad], lons[bad])
            away = (f"{float(east):.0f} m east and {float(north):.0f} m north of its centre" if np.isfinite(east)
                    else "on another side of the earth")
            swapped = abs(lons[bad]) <= 90 and bool(self.encode_masked(lons[bad], lats[bad])[1][0])
            raise OffRegionError(
                f"position {lats[bad]:.6f}, {lons[bad]:.6f}",
                f"it is outside the region ({away}; {int((~inside).sum())} of {len(lats)} positions do)",
                "Latitude and longitude are swapped: give (lat, lon)." if swapped else
                f"The region reaches {self.region.size_m / 2:g} m from {self.region.centre.lat:.6f},"
                f" {self.region.centre.lon:.6f}: give another region or drop the position.")
        return sequences

    def encode_masked(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Return the action sequences (N, depth) and the mask (N,) of positions inside; rows outside hold -1.

        Raises:
            GeometryError: If a position is not finite or its latitude is beyond 90 degrees.
        """
        lats, lons = _positions(lat, lon)
        sequences = np.empty((len(lats), self.depth), np.int64)
        inside = np.empty(len(lats), np.bool_)
        for start in range(0, len(lats), _CHUNK):  # chunks that fit into the processor's cache
            part = slice(start, start + _CHUNK)
            sequences[part], inside[part] = self._encode_chunk(lats[part], lons[part])
        return sequences, inside

    def _encode_chunk(self, lat: Floats, lon: Floats) -> tuple[Ints, npt.NDArray[np.bool_]]:
        g = self.grid
        sequences = np.empty((len(lat), self.depth), np.int64)
        index = np.zeros(len(lat), np.int64)
        inside = np.ones(len(lat), np.bool_)
        for level in range(self.depth):
            east, north = to_local(*self._parent_centres(index, level, sequences), lat, lon)
            child = self.cell_size_m(level + 1)
            with np.errstate(invalid="ignore"):
                col, row = np.floor(east / child + g / 2), np.floor(g / 2 - north / child)
                if level == 0:
                    inside = (col >= 0) & (col < g) & (row >= 0) & (row < g)
            # Below the root a position can leave its parent's chart only by a sliver: it stays with its parent.
            col = np.clip(np.where(inside, col, 0), 0, g - 1).astype(np.int64)
            row = np.clip(np.where(inside, row, 0), 0, g - 1).astype(np.int64)
            sequences[:, level] = row * g + col
            index = index * self.actions + sequences[:, level]
        sequences[~inside] = -1
        return sequences, inside

    def _parent_centres(self, index: Ints, level: int, sequences: Ints) -> tuple[Floats, Floats]:
        if self.actions**level <= _TABLE_CELLS:
            lat_table, lon_table = _centre_table(self, level)
            return lat_table[index], lon_table[index]
        return self.centres(sequences[:, :level])

    def _child_offsets(self, actions: Ints, size_m: float) -> tuple[Floats, Floats]:
        row, col = np.divmod(actions, self.grid)
        child = size_m / self.grid
        return (col + 0.5) * child - size_m / 2.0, size_m / 2.0 - (row + 0.5) * child

    def centres(self, sequences: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return the centres of cells.

        Args:
            sequences: Actions (N, L) with any L from 0 (the region) to depth, or beyond it.

        Returns:
            Latitudes (N,) and longitudes (N,) in degrees.

        Raises:
            GeometryError: If an action is not in 0 .. grid**2 - 1, or not a whole number.
        """
        given = np.asarray(sequences)
        if given.size and given.dtype.kind not in "iu":
            raise GeometryError("sequences", f"actions of kind {given.dtype}", "Give whole numbers.")
        seq = given.astype(np.int64)
        if seq.ndim != 2:
            raise GeometryError("sequences", f"an array of {seq.ndim} dimensions", "Give one row per sequence: (N, L).")
        if seq.size and (seq.min() < 0 or seq.max() >= self.actions):
            raise GeometryError("sequences", f"actions from {seq.min()} to {seq.max()}",
                                f"Give actions from 0 to {self.actions - 1} for a grid of {self.grid} x {self.grid}.")
        lat: Floats = np.full(len(seq), self.region.centre.lat)
        lon: Floats = np.full(len(seq), self.region.centre.lon)
        for level in range(seq.shape[1]):
            east, north = self._child_offsets(seq[:, level], self.cell_size_m(level))
            lat, lon = from_local(lat, lon, east, north)
        return lat, lon

    def cell(self, sequence: Sequence[int] | npt.NDArray[np.integer]) -> Cell:
        """Return the cell that a sequence of at most `depth` actions leads to.

        Raises:
            GeometryError: If the sequence is too long or an action is out of range.
        """
        actions = tuple(int(a) for a in sequence)
        if len(actions) > self.depth:
            raise GeometryError(f"sequence {format_sequence(actions)}", f"{len(actions)} actions",
                                f"Give at most {self.depth} actions.")
        if any(not 0 <= a < self.actions for a in actions):
            raise GeometryError(f"sequence {format_sequence(actions)}", "an action is out of range",
                                f"Give actions from 0 to {self.actions - 1} for a grid of {self.grid} x {self.grid}.")
        lat, lon = self.centres(np.asarray([actions], np.int64).reshape(1, len(actions)))
        size = self.cell_size_m(len(actions))
        east = np.array([-0.5, 0.5, 0.5, -0.5]) * size
        north = np.array([0.5, 0.5, -0.5, -0.5]) * size
        lats, lons = from_local(lat, lon, east, north)
        nw, ne, se, sw = (LatLon(float(a), float(o)) for a, o in zip(lats, lons, strict=True))
        return Cell(actions, LatLon(float(lat[0]), float(lon[0])), size, (nw, ne, se, sw))

    def flatten(self, sequences: npt.ArrayLike) -> Ints:
        """Return the numbers (N,) of cells within their level, for sequences (N, L), the digits in base grid**2."""
        seq = np.asarray(sequences, np.int64)
        index = np.zeros(len(seq), np.int64)
        for level in range(seq.shape[1]):
            index = index * self.actions + seq[:, level]
        return index

    def unflatten(self, index: npt.ArrayLike, level: int) -> Ints:
        """Return the sequences (N, level) of cell numbers (N,), the inverse of `flatten`."""
        rest = np.atleast_1d(np.asarray(index, np.int64)).copy()
        sequences = np.empty((len(rest), level), np.int64)
        for position in range(level - 1, -1, -1):
            rest, sequences[:, position] = np.divmod(rest, self.actions)
        return sequences


@lru_cache(maxsize=64)
def _centre_table(grid: ZoomGrid, level: int) -> tuple[Floats, Floats]:
    return grid.centres(grid.unflatten(np.arange(grid.actions**level), level))


def _positions(lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[Floats, Floats]:
    lats, lons = np.atleast_1d(np.asarray(lat, np.float64)), np.atleast_1d(np.asarray(lon, np.float64))
    if lats.shape != lons.shape or lats.ndim != 1:
        raise GeometryError("positions", f"latitudes {lats.shape} and longitudes {lons.shape}",
                            "Give two scalars or two arrays (N,) of the same length.")
    wrong = ~(np.isfinite(lats) & np.isfinite(lons) & (np.abs(lats) <= 90.0) & (np.abs(lons) <= 360.0))
    if wrong.any():
        bad = int(np.flatnonzero(wrong)[0])
        raise GeometryError(f"position {lats[bad]}, {lons[bad]}", "this is not a latitude and longitude in degrees",
                            "Give (lat, lon), latitude first, in degrees.")
    return lats, lons


def format_sequence(sequence: Iterable[int]) -> str:
    """Return a sequence as text, as the command line prints it: `7,6,6,5`."""
    return ",".join(str(int(a)) for a in sequence)


def parse_sequence(text: str) -> tuple[int, ...]:
    """Read a sequence from `7,6,6,5` or from `[7, 6, 6, 5]`, as in the split files.

    Raises:
        GeometryError: If it is neither.
    """
    body = text.strip()
    if body.startswith("[") and body.endswith("]"):
        body = body[1:-1]
    parts = [part.strip() for part in body.split(",")] if body.strip() else []
    if not all(_ACTION.fullmatch(part) for part in parts):
        raise GeometryError(f"sequence {text[:80]!r}", "this is not a list of actions",
                            "Write actions as 7,6,6,5 or [7, 6, 6, 5].")
    return tuple(int(part) for part in parts)
