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
from justzoomin.posterior.headings import Heading, heading_of
from justzoomin.posterior.lattices import Floats, Ints, Lattice, lattice
from justzoomin.posterior.normalizing import log_normalized

if TYPE_CHECKING:
    from justzoomin.posterior.regions import CredibleRegion

CREDIBLE_LEVELS = (0.5, 0.9, 0.95)
"""Probability masses of the credible regions that are reported and checked."""
_STILL_M = 1e-5


class Moments(NamedTuple):
    """Mean and covariance of a position, with mass spread evenly within cells.

    Attributes:
        mean_m: Metres (2,) east and north of the region's centre.
        covariance_m2: Covariance (2, 2) in square metres, east before north.
    """

    mean_m: Floats
    covariance_m2: Floats


@dataclass(frozen=True)
class Posterior:
    """Probabilities of all terminal cells for one photo.

    Attributes:
        grid: The grid.
        log_probs: Natural log-probabilities (N,) in the order of `ZoomGrid.flatten`, float64; their probabilities sum to one.
            Cells that are ruled out have -inf.
        headings: Natural log-probabilities (N, K) of the photo's bearing in each cell, float32; their probabilities sum to one
            over the K bearings, of which number k is centred on 360 k / K degrees clockwise from true north. None for a model
            that says nothing about bearings.
    """

    grid: ZoomGrid
    log_probs: npt.NDArray[np.float64]
    headings: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, grid: ZoomGrid, scores: npt.ArrayLike, headings: npt.NDArray[np.float32] | None = None) -> Posterior:
        """Make the posterior whose log-probabilities equal scores (N,) up to a constant.

        Args:
            grid: The grid.
            scores: The scores.
            headings: Normalized log-probabilities (N, K) of bearings, if there are any.

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
                                "Give a finite score for at least one cell, and no NaN.")
        return cls(grid, log_normalized(values), headings)

    @property
    def lattice(self) -> Lattice:
        """Positions of the cells."""
        return lattice(self.grid)

    @cached_property
    def probs(self) -> npt.NDArray[np.float64]:
        """Probabilities (N,)."""
        return np.exp(self.log_probs)

    def top(self, count: int) -> tuple[Ints, Floats]:
        """Return numbers (K,) of the most probable cells, best first, ties by number, and their probabilities (K,)."""
        count = min(count, len(self.probs))
        best = np.argpartition(-self.probs, count - 1)[:count]
        best = np.flatnonzero(self.probs >= self.probs[best].min())  # all that are at least as probable as the last one
        best = best[np.argsort(-self.probs[best], kind="stable")][:count]
        return best, self.probs[best]

    def rank(self, cell: int) -> int:
        """Return the rank of a cell: 1 if no other cell is more probable."""
        return 1 + int((self.log_probs > self.log_probs[cell]).sum())

    def at_level(self, level: int) -> Floats:
        """Return the probabilities (A ** level,) of a level's cells, in the order of `ZoomGrid.flatten`.

        Raises:
            GeometryError: If the grid has no such level.
        """
        if not 0 <= level <= self.grid.depth:
            raise GeometryError("level", f"the grid has no level {level}", f"Give a level from 0 to {self.grid.depth}.")
        return np.asarray(self.probs.reshape(self.grid.actions**level, -1).sum(1))

    def along(self, sequence: tuple[int, ...]) -> tuple[float, ...]:
        """Return the probability of each action of a path given the actions before it; 0 after a ruled-out action."""
        numbers = [int(self.grid.flatten([sequence[:level]])[0]) for level in range(len(sequence) + 1)]
        masses = [float(self.at_level(level)[number]) for level, number in enumerate(numbers)]
        return tuple(min(1.0, mass / before) if before > 0 else 0.0 for before, mass in pairwise(masses))

    @property
    def entropy_bits(self) -> float:
        """Entropy in bits: 0 if one cell has all the mass, log2 N if all cells have the same."""
        there = self.probs > 0
        return max(0.0, float(-(self.probs[there] * self.log_probs[there]).sum() / np.log(2.0)))

    def moments(self) -> Moments:
        """Return mean and covariance; the extent of a cell adds a twelfth of its area."""
        cells = self.lattice
        places = np.stack([cells.east_m, cells.north_m])                                # (2, N)
        mean = places @ self.probs
        off = places - mean[:, None]
        return Moments(mean, (off * self.probs) @ off.T + np.eye(2) * cells.cell_m**2 / 12)

    def mass_within(self, lat: float, lon: float, radius_m: float) -> float:
        """Return the probability that the photo is within a distance of a position; cells that the disk cuts count in part.

        Args:
            lat: Latitude in degrees.
            lon: Longitude in degrees.
            radius_m: Radius in metres.
        """
        east, north = self._off(lat, lon)
        return self._mass(east, north, radius_m)

    def expected(self, decision: Decision, lat: float, lon: float) -> float:
        """Return the expected value of a decision's metric at a position: a probability, or metres for `Distance`.

        Args:
            decision: The decision.
            lat: Latitude in degrees.
            lon: Longitude in degrees.
        """
        point = np.stack(to_local(*self.grid.region.centre, lat, lon), -1)
        return float(decision.expected(self.lattice, self.probs[None], point[None])[0])

    def heading(self, decision: Decision, lat: float, lon: float) -> Heading | None:
        """Return which way the photo faces if it was taken at an answer, from the mass that the decision counts there.

        Args:
            decision: The decision; see `Decision.shares`.
            lat: Latitude of the answer in degrees.
            lon: Longitude of the answer in degrees.

        Returns:
            None if the posterior has no headings, or no mass at the answer.
        """
        if self.headings is None:
            return None
        east, north = to_local(*self.grid.region.centre, lat, lon)
        shares = self.probs * decision.shares(self.lattice, float(east), float(north))
        there = np.flatnonzero(shares > 0)
        return heading_of(shares[there] @ np.exp(self.headings[there].astype(np.float64))) if len(there) else None

    def radius_about(self, lat: float, lon: float, mass: float) -> float:
        """Return the smallest radius in metres around a position that holds a mass.

        Args:
            lat: Latitude in degrees.
            lon: Longitude in degrees.
            mass: Probability, above 0 and at most 1.
        """
        from scipy.optimize import brentq

        east, north = self._off(lat, lon)
        distance, half_diagonal = np.hypot(east, north), self.lattice.cell_m * np.sqrt(0.5)
        order = np.argsort(distance)
        mass -= 1e-12  # rounding errors must not ask for more mass than there is
        reached = min(int(np.searchsorted(np.cumsum(self.probs[order]), mass)), len(order) - 1)
        low, high = max(0.0, distance[order[reached]] - half_diagonal), distance[order[reached]] + half_diagonal
        inside = distance <= low - half_diagonal
        rim = ~inside & (distance < high + half_diagonal)
        wanted, probs, off = float(mass - self.probs[inside].sum()), self.probs[rim], (east[rim], north[rim])

        def over(radius: float) -> float:
            return float((probs * disk_shares(*off, self.lattice.cell_m, radius)).sum() - wanted) if radius > 0 else -wanted

        return float(brentq(over, low, high, xtol=_STILL_M)) if over(low) < 0 < over(high) else float(high)

    def region(self, mass: float) -> CredibleRegion:
        """Return the smallest region that holds a mass: the most probable cells.

        Args:
            mass: Probability, above 0 and at most 1.
        """
        return self.regions((mass,))[0]

    def regions(self, masses: Sequence[float]) -> list[CredibleRegion]:
        """Return the smallest regions that hold masses; see `region`."""
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
        """Return metres (N,) of the cells' centres east and north of a position."""
        east, north = to_local(*self.grid.region.centre, lat, lon)
        return self.lattice.east_m - east, self.lattice.north_m - north

    def _mass(self, east: Floats, north: Floats, radius_m: float) -> float:
        if radius_m <= 0:
            return 0.0
        near = np.hypot(east, north) < radius_m + self.lattice.cell_m
        return float((self.probs[near] * disk_shares(east[near], north[near], self.lattice.cell_m, radius_m)).sum())
