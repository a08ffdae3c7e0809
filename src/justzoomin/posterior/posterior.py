"""A posterior over all terminal cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid, to_local
from justzoomin.posterior.decisions import Decision
from justzoomin.posterior.disks import disk_shares
from justzoomin.posterior.lattices import Floats, Ints, Lattice, lattice
from justzoomin.posterior.normalizing import log_normalized

if TYPE_CHECKING:
    from justzoomin.posterior.regions import CredibleRegion

CREDIBLE_LEVELS = (0.5, 0.9, 0.95)
"""Probabilities whose credible regions are reported and checked."""
_STILL_M = 1e-5


class Moments(NamedTuple):
    """Mean and spread of a place, mass spread evenly within its cells.

    Attributes:
        mean_m: Metres (2,) east and north of the region's centre.
        covariance_m2: (2, 2) in square metres, east before north.
    """

    mean_m: Floats
    covariance_m2: Floats


@dataclass(frozen=True)
class Posterior:
    """How probable each terminal cell is for one photo.

    Attributes:
        grid: The grid.
        log_probs: Natural log-probabilities (N,) in the order of `ZoomGrid.flatten`, float64; their probabilities sum to one.
            Cells that are ruled out have -inf.
    """

    grid: ZoomGrid
    log_probs: npt.NDArray[np.float64]

    @classmethod
    def of(cls, grid: ZoomGrid, scores: npt.ArrayLike) -> Posterior:
        """The posterior whose log-probabilities are scores (N,) up to a constant.

        Raises:
            GeometryError: If there is not one score per terminal cell, one is NaN or infinite, or all are -inf.
        """
        values = np.asarray(scores, np.float64)
        if values.shape != (grid.actions**grid.depth,):
            raise GeometryError("scores", f"the array has the shape {values.shape}",
                                f"Give one score per terminal cell: ({grid.actions**grid.depth},).")
        top = values.max()
        if not np.isfinite(top):
            raise GeometryError("scores", "they are not finite" if top != -np.inf else "every cell is ruled out",
                                "Give finite scores for at least one cell, and no NaN.")
        return cls(grid, log_normalized(values))

    @property
    def lattice(self) -> Lattice:
        """The cells' places."""
        return lattice(self.grid)

    @cached_property
    def probs(self) -> npt.NDArray[np.float64]:
        """Probabilities (N,)."""
        return np.exp(self.log_probs)

    def top(self, count: int) -> tuple[Ints, Floats]:
        """Numbers (K,) of the most probable cells, best first, and their probabilities (K,); equal ones by number."""
        count = min(count, len(self.probs))
        best = np.argpartition(-self.probs, count - 1)[:count]
        best = np.flatnonzero(self.probs >= self.probs[best].min())  # all that are as probable as the last one
        best = best[np.argsort(-self.probs[best], kind="stable")][:count]
        return best, self.probs[best]

    def rank(self, cell: int) -> int:
        """Rank of a cell: 1 where no other is more probable."""
        return 1 + int((self.log_probs > self.log_probs[cell]).sum())

    def at_level(self, level: int) -> Floats:
        """Probabilities (A ** level,) of the cells of a level, in the order of `ZoomGrid.flatten`.

        Raises:
            GeometryError: If the grid has no such level.
        """
        if not 0 <= level <= self.grid.depth:
            raise GeometryError("level", f"the grid has no level {level}", f"Give a level from 0 to {self.grid.depth}.")
        return np.asarray(self.probs.reshape(self.grid.actions**level, -1).sum(1))

    def along(self, sequence: tuple[int, ...]) -> tuple[float, ...]:
        """Probability of each action of a path, given those before it; 0 behind one that is ruled out."""
        numbers = [int(self.grid.flatten([sequence[:level]])[0]) for level in range(len(sequence) + 1)]
        masses = [float(self.at_level(level)[number]) for level, number in enumerate(numbers)]
        return tuple(min(1.0, mass / before) if before > 0 else 0.0 for before, mass in pairwise(masses))

    @property
    def entropy_bits(self) -> float:
        """Entropy in bits: 0 where one cell has all, log2 N where all are alike."""
        there = self.probs > 0
        return max(0.0, float(-(self.probs[there] * self.log_probs[there]).sum() / np.log(2.0)))

    def moments(self) -> Moments:
        """Mean and covariance; a cell's own extent adds a twelfth of its area."""
        cells = self.lattice
        places = np.stack([cells.east_m, cells.north_m])                                # (2, N)
        mean = places @ self.probs
        off = places - mean[:, None]
        return Moments(mean, (off * self.probs) @ off.T + np.eye(2) * cells.cell_m**2 / 12)

    def mass_within(self, lat: float, lon: float, radius_m: float) -> float:
        """Probability that the place is within a distance of a position; cells that the disk cuts count with their share.

        Args:
            lat: Latitude in degrees.
            lon: Longitude in degrees.
            radius_m: Radius in metres.
        """
        east, north = self._off(lat, lon)
        return self._mass(east, north, radius_m)

    def expected(self, decision: Decision, lat: float, lon: float) -> float:
        """What a decision's metric is expected to be at a position: probability, or metres for `Distance`.

        Args:
            decision: The decision.
            lat: Latitude in degrees.
            lon: Longitude in degrees.
        """
        point = np.stack(to_local(*self.grid.region.centre, lat, lon), -1)
        return float(decision.expected(self.lattice, self.probs[None], point[None])[0])

    def radius_about(self, lat: float, lon: float, mass: float) -> float:
        """The smallest radius in metres about a position within which a mass lies.

        Args:
            lat: Latitude in degrees.
            lon: Longitude in degrees.
            mass: Probability, above 0 and at most 1.
        """
        from scipy.optimize import brentq

        east, north = self._off(lat, lon)
        distance, half_diagonal = np.hypot(east, north), self.lattice.cell_m * np.sqrt(0.5)
        order = np.argsort(distance)
        reached = min(int(np.searchsorted(np.cumsum(self.probs[order]), mass - 1e-12)), len(order) - 1)
        low, high = max(0.0, distance[order[reached]] - half_diagonal), distance[order[reached]] + half_diagonal
        inside = distance <= low - half_diagonal
        rim = ~inside & (distance < high + half_diagonal)
        wanted, probs, off = float(mass - self.probs[inside].sum()), self.probs[rim], (east[rim], north[rim])

        def over(radius: float) -> float:
            return float((probs * disk_shares(*off, self.lattice.cell_m, radius)).sum() - wanted) if radius > 0 else -wanted

        return float(brentq(over, low, high, xtol=_STILL_M)) if over(high) > 0 else float(high)

    def region(self, mass: float) -> CredibleRegion:
        """The smallest region that holds a mass: the most probable cells.

        Args:
            mass: Probability, above 0 and at most 1.
        """
        return self.regions((mass,))[0]

    def regions(self, masses: Sequence[float]) -> list[CredibleRegion]:
        """The smallest regions that hold masses; see `region`."""
        from justzoomin.posterior.regions import CredibleRegion

        order = np.argsort(-self.log_probs, kind="stable")
        held = np.cumsum(self.probs[order])
        found = []
        for mass in masses:
            mask = np.zeros(len(order), np.bool_)
            mask[order[:int(np.searchsorted(held, mass * (1 - 1e-12))) + 1]] = True
            found.append(CredibleRegion(self.grid, mask))
        return found

    def _off(self, lat: float, lon: float) -> tuple[Floats, Floats]:
        """Metres (N,) of the cells' centres east and north of a position."""
        east, north = to_local(*self.grid.region.centre, lat, lon)
        return self.lattice.east_m - east, self.lattice.north_m - north

    def _mass(self, east: Floats, north: Floats, radius_m: float) -> float:
        if radius_m <= 0:
            return 0.0
        near = np.hypot(east, north) < radius_m + self.lattice.cell_m
        return float((self.probs[near] * disk_shares(east[near], north[near], self.lattice.cell_m, radius_m)).sum())
