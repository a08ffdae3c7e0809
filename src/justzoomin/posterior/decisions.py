"""Rules that choose a point from a posterior, each for one metric."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid, from_local
from justzoomin.posterior.disks import disk_shares
from justzoomin.posterior.lattices import Floats, Ints, Lattice, lattice

DEFAULT_DECISION = "within:40"
"""The decision for the published metric, R@40m."""
NEAR_M = 40.0
"""Radius about an answer within which mass counts for its heading, for decisions without a radius of their own."""
_WITHIN = re.compile(r"within:([0-9]{1,7}(?:\.[0-9]{1,6})?)")
CLOSENESS = 0.1
"""Weight of the closeness, relative to the mass within the radius; docs/localizing.md shows the effect of other weights."""
_CANDIDATES = 64
_FINEST = 8.0
"""Candidates are at most a radius divided by this apart."""
_MOST_POINTS = 17
_LEVEL = 1e-7
"""Slope of the expected distance, in metres per metre, at which its minimum counts as found."""
_TRANSFORM_VALUES = 1 << 21


class Decision(ABC):
    """A rule that chooses a point on the lattice's plane, and the expected value of the metric that it optimizes."""

    @abstractmethod
    def points(self, cells: Lattice, probs: Floats) -> Floats:
        """Return points (B, 2), in metres east and north of the region's centre, for probabilities (B, N)."""

    @abstractmethod
    def expected(self, cells: Lattice, probs: Floats, points: Floats) -> Floats:
        """Return the expected value (B,) of the metric at points (B, 2)."""

    def shares(self, cells: Lattice, east_m: float, north_m: float) -> Floats:
        """Return the share (N,) of each cell's mass that counts as being at an answer, for the answer's heading.

        It is the share within the decision's radius; `NEAR_M` for decisions without a radius.

        Args:
            cells: The lattice.
            east_m: Metres of the answer east of the region's centre.
            north_m: Metres of the answer north of the region's centre.
        """
        return _within(cells, east_m, north_m, NEAR_M)

    @abstractmethod
    def __str__(self) -> str:
        """Return the text that `parse_decision` reads."""


@dataclass(frozen=True)
class TopCell(Decision):
    """The centre of the most probable cell, for recall of the true cell."""

    def points(self, cells: Lattice, probs: Floats) -> Floats:
        """Return the centres (B, 2) of the most probable cells."""
        return _centres(cells, probs.argmax(1))

    def expected(self, cells: Lattice, probs: Floats, points: Floats) -> Floats:
        """Return the probability (B,) of the cells that hold the points."""
        return np.asarray(probs[np.arange(len(points)), cells.at(points[:, 0], points[:, 1])])

    def shares(self, cells: Lattice, east_m: float, north_m: float) -> Floats:
        """Return 1 for the cell that holds the answer, 0 for the others."""
        found: Floats = np.zeros(len(cells))
        found[cells.at(np.array([east_m]), np.array([north_m]))] = 1.0
        return found

    def __str__(self) -> str:
        return "top"


@dataclass(frozen=True)
class Within(Decision):
    """The point with the most mass within a radius, for the share of photos with an error of at most that radius.

    Mass is spread evenly within its cells. Points are tried at steps of an eighth of the radius, so also between cell centres.
    With a wide radius, many points hold nearly the same mass. So the closeness of the mass is added with a small weight: the
    mean of the mass within r over all r up to the radius. Points that hold less than the top cell's centre are left out.

    Args:
        radius_m: The radius in metres, above 0.
        closeness: Weight of the closeness.
    """

    radius_m: float
    closeness: float = CLOSENESS

    def points(self, cells: Lattice, probs: Floats) -> Floats:
        """Return the best points (B, 2)."""
        found = np.empty((len(probs), 2))
        kernels = _transforms(cells.side, cells.cell_m, self.radius_m)
        room = max(1, _TRANSFORM_VALUES // kernels.size**2)
        for start in range(0, len(probs), room):
            some = probs[start:start + room]
            images = cells.to_image(some)
            held, near = (kernels.convolve(images, kernel) for kernel in (kernels.shares, kernels.closeness))
            for k, image in enumerate(images):
                top = int(some[k].argmax())
                found[start + k] = self._best(cells, image, held[k], near[k], (int(cells.row[top]), int(cells.col[top])))
        return found

    def _best(self, cells: Lattice, image: Floats, held: Floats, near: Floats, top: tuple[int, int]) -> Floats:
        """Return the best point of one photo, from pictures of mass, of mass within the radius and of closeness."""
        least = held[top] - 1e-12
        score = np.where(held >= least, held + self.closeness * near, -np.inf)
        fine = _fine(cells.cell_m, self.radius_m)
        if len(fine.offsets) == 1:
            row, col = np.unravel_index(int(score.argmax()), score.shape)
            return _place(cells, float(row), float(col))
        all_held = held + self.closeness * near  # a point between centres may hold more than the centres
        count = min(_CANDIDATES, all_held.size)
        best = np.argpartition(-all_held.ravel(), count - 1)[:count]
        rows, cols = np.unravel_index(np.append(best, top[0] * cells.side + top[1]), score.shape)
        reach = fine.reach
        padded = np.pad(image, reach)
        patches = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2)[rows, cols].reshape(len(rows), -1)
        here, close = patches @ fine.shares, patches @ fine.closeness                           # (J, m m)
        values = np.where(here >= least, here + self.closeness * close, -np.inf)
        cell, point = np.unravel_index(int(values.argmax()), values.shape)
        return np.asarray(_place(cells, float(rows[cell]), float(cols[cell])) + fine.offsets[point])

    def expected(self, cells: Lattice, probs: Floats, points: Floats) -> Floats:
        """Return the mass (B,) within the radius of the points."""
        off = [(cells.east_m - east, cells.north_m - north) for east, north in points]
        return np.array([p @ disk_shares(*o, cells.cell_m, self.radius_m) for p, o in zip(probs, off, strict=True)])

    def shares(self, cells: Lattice, east_m: float, north_m: float) -> Floats:
        """Return the share (N,) of each cell within the radius of the answer."""
        return _within(cells, east_m, north_m, self.radius_m)

    def __str__(self) -> str:
        return f"within:{self.radius_m:g}"


@dataclass(frozen=True)
class Distance(Decision):
    """The point with the least expected distance to the photo, for the mean error.

    A cell's distance is the root mean square over the cell: sqrt(d^2 + a^2 / 6) for a centre at d and an edge a.
    """

    def points(self, cells: Lattice, probs: Floats) -> Floats:
        """Return the points (B, 2) with the least expected distance."""
        return np.stack([self._nearest(cells, p) for p in probs]) if len(probs) else np.empty((0, 2))

    def _nearest(self, cells: Lattice, probs: Floats) -> Floats:
        """Minimize a convex, smooth sum, starting at the mean position."""
        from scipy.optimize import minimize

        some = np.flatnonzero(probs > 1e-9 / len(probs))
        p, east, north, soft = probs[some], cells.east_m[some], cells.north_m[some], cells.cell_m**2 / 6    # (M,)

        def total(values: Floats) -> float:  # not @: for vectors this short, BLAS would only start its threads
            return float(np.einsum("i,i", p, values))

        def look(point: Floats) -> tuple[Floats, Floats, Floats]:
            x, y = point[0] - east, point[1] - north
            return x, y, 1.0 / np.sqrt(x * x + y * y + soft)

        def cost(point: Floats) -> tuple[float, Floats]:
            x, y, near = look(point)
            return total(1.0 / near), np.array([total(near * x), total(near * y)])

        def bend(point: Floats) -> Floats:
            x, y, near = look(point)
            cubed = near**3
            across = -total(cubed * x * y)
            return np.array([[total(near - cubed * x * x), across], [across, total(near - cubed * y * y)]])

        start = np.array([total(east), total(north)]) / p.sum()
        reach = 5 * cells.grid.region.size_m  # above the first step even for a region of one cell
        steps = {"gtol": _LEVEL, "initial_trust_radius": 4 * cells.cell_m, "max_trust_radius": reach}
        return np.asarray(minimize(cost, start, jac=True, hess=bend, method="trust-ncg", options=steps).x)

    def expected(self, cells: Lattice, probs: Floats, points: Floats) -> Floats:
        """Return the mean distance (B,) in metres."""
        off = [np.hypot(cells.east_m - east, cells.north_m - north) for east, north in points]
        return np.array([p @ np.sqrt(o**2 + cells.cell_m**2 / 6) for p, o in zip(probs, off, strict=True)])

    def __str__(self) -> str:
        return "distance"


def parse_decision(text: str) -> Decision:
    """Parse a decision: `within:40` (metres), `distance` or `top`.

    Raises:
        ConfigError: If the decision is unknown.
    """
    found = _WITHIN.fullmatch(text.strip())
    if found and float(found[1]) > 0:
        return Within(float(found[1]))
    kinds: dict[str, Decision] = {"distance": Distance(), "top": TopCell()}
    if text.strip() not in kinds:
        raise ConfigError("decision", f"unknown decision {text[:60]!r}", "Choose within:METRES, distance or top.")
    return kinds[text.strip()]


def decide(grid: ZoomGrid, log_probs: npt.NDArray[np.floating[Any]], decision: Decision) -> tuple[Floats, Floats]:
    """Return the points that a decision chooses.

    Args:
        grid: The grid.
        log_probs: Log-probabilities (B, N) of the terminal cells, normalized.
        decision: The rule.

    Returns:
        Latitudes and longitudes (B,) in degrees. For `TopCell` they equal those of `ZoomGrid.centres`.
    """
    cells = lattice(grid)
    if isinstance(decision, TopCell):
        best = log_probs.argmax(1)
        return cells.lat[best], cells.lon[best]
    points = decision.points(cells, np.exp(log_probs.astype(np.float64)))
    return from_local(*grid.region.centre, points[:, 0], points[:, 1])


def _within(cells: Lattice, east_m: float, north_m: float, radius_m: float) -> Floats:
    """Return the share (N,) of each cell within a distance of a point of the plane."""
    east, north = cells.east_m - east_m, cells.north_m - north_m
    near = np.flatnonzero(np.hypot(east, north) < radius_m + cells.cell_m)
    found: Floats = np.zeros(len(cells))
    found[near] = disk_shares(east[near], north[near], cells.cell_m, radius_m)
    return found


def _centres(cells: Lattice, numbers: Ints) -> Floats:
    return np.stack([cells.east_m[numbers], cells.north_m[numbers]], 1)


def _place(cells: Lattice, row: float, col: float) -> Floats:
    """Return the centre of a cell in the picture, in metres (2,) east and north of the region's centre."""
    half = cells.grid.region.size_m / 2
    return np.array([(col + 0.5) * cells.cell_m - half, half - (row + 0.5) * cells.cell_m])


def _closeness(east: Floats, north: Floats, cell_m: float, radius_m: float) -> Floats:
    """Return 1 for a cell at the point, 0 for a cell beyond the radius, and a linear value between."""
    return np.asarray(np.maximum(0.0, 1.0 - np.sqrt(east**2 + north**2 + cell_m**2 / 6) / radius_m))


@dataclass(frozen=True, eq=False)
class _Fine:
    """Points within a cell, and the weights of the cells around them.

    Attributes:
        offsets: Points (P, 2) in metres east and north of the cell's centre.
        reach: Number of cells in each direction that have a weight.
        shares: Share (K K, P) of each of these cells within the radius, K = 2 reach + 1.
        closeness: Closeness (K K, P) of each of these cells.
    """

    offsets: Floats
    reach: int
    shares: Floats
    closeness: Floats


@lru_cache(maxsize=16)
def _fine(cell_m: float, radius_m: float) -> _Fine:
    count = min(_MOST_POINTS, 2 * math.ceil((cell_m * _FINEST / radius_m - 1) / 2) + 1)
    if count <= 1:
        return _Fine(np.zeros((1, 2)), 0, np.empty((0, 1)), np.empty((0, 1)))
    steps = ((np.arange(count) + 0.5) / count - 0.5) * cell_m
    offsets = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    reach = math.ceil(radius_m / cell_m + 0.5)
    north, east = np.meshgrid(np.arange(reach, -reach - 1, -1) * cell_m, np.arange(-reach, reach + 1) * cell_m, indexing="ij")
    off = (east.reshape(-1, 1) - offsets[:, 0], north.reshape(-1, 1) - offsets[:, 1])
    return _Fine(offsets, reach, disk_shares(*off, cell_m, radius_m), _closeness(*off, cell_m, radius_m))


@dataclass(frozen=True, eq=False)
class _Transforms:
    """Fourier transforms of the weights of the cells around a cell's centre.

    Attributes:
        side: Edge of the pictures in cells.
        size: Edge of the transformed pictures, large enough that nothing wraps around.
        shares: Transform of the shares within the radius.
        closeness: Transform of the closeness.
    """

    side: int
    size: int
    shares: npt.NDArray[np.complex128]
    closeness: npt.NDArray[np.complex128]

    def convolve(self, images: Floats, kernel: npt.NDArray[np.complex128]) -> Floats:
        """Return pictures (B, side, side) in which each cell is the weighted sum of the cells around it."""
        whole = np.fft.irfft2(np.fft.rfft2(images, (self.size, self.size)) * kernel, (self.size, self.size))
        return np.asarray(whole[:, :self.side, :self.side])


@lru_cache(maxsize=8)
def _transforms(side: int, cell_m: float, radius_m: float) -> _Transforms:
    from scipy.fft import next_fast_len

    reach = min(side - 1, math.ceil(radius_m / cell_m + 0.5))
    size = next_fast_len(side + reach, real=True)
    steps = np.fft.fftfreq(size, 1 / size)
    steps = np.where(np.abs(steps) <= reach, steps, np.inf) * cell_m
    there = np.isfinite(steps)
    shares, close = np.zeros((size, size)), np.zeros((size, size))
    east, north = np.meshgrid(steps[there], steps[there])
    shares[np.ix_(there, there)] = disk_shares(east, north, cell_m, radius_m)
    close[np.ix_(there, there)] = _closeness(east, north, cell_m, radius_m)
    return _Transforms(side, size, np.fft.rfft2(shares), np.fft.rfft2(close))
