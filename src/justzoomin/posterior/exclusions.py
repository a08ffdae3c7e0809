"""Priors that a person states about cells: inside one, and the complement of any other prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid, format_sequence
from justzoomin.posterior.lattices import Floats, lattice
from justzoomin.posterior.priors import Prior, log

_ROUNDING = 1e-9
"""A share of a cell that is this close to 1 is all of the cell."""


@dataclass(frozen=True)
class InCell:
    """A prior for the inside of one cell of any level.

    Args:
        sequence: Actions that lead to the cell; empty for the whole region.
    """

    sequence: tuple[int, ...]

    def log_weights(self, grid: ZoomGrid) -> Floats:
        """Return 0 for the terminal cells inside, -inf for all others (N,).

        Raises:
            GeometryError: If the grid has no such cell.
        """
        cell = grid.cell(self.sequence)
        number, under = int(grid.flatten([cell.sequence])[0]), grid.actions ** (grid.depth - len(cell.sequence))
        weights: Floats = np.full(len(lattice(grid)), -np.inf)
        weights[number * under:(number + 1) * under] = 0.0
        return weights

    def exchanged(self) -> Prior | None:
        """Return None, because a cell is not a position."""
        return None

    def __str__(self) -> str:
        return f"within the cell {format_sequence(self.sequence)}"


@dataclass(frozen=True)
class Not:
    """The complement of a prior: the weight of a cell is 1 less the weight that the other prior gives it.

    Args:
        prior: A prior whose weights are shares, at most 1: a cell, a circle, polygons, or the complement of one.
    """

    prior: Prior

    def log_weights(self, grid: ZoomGrid) -> Floats:
        """Return the log (N,) of the share that is outside.

        Raises:
            ConfigError: If a weight of the other prior is above 1.
        """
        inside = np.exp(self.prior.log_weights(grid))
        if inside.max() > 1.0 + _ROUNDING:
            raise ConfigError("prior", f"the opposite of {self.prior} is not defined, because its weights are not shares",
                              "Give weights of at most 1.")
        return log(np.where(inside > 1.0 - _ROUNDING, 0.0, 1.0 - inside))

    def exchanged(self) -> Prior | None:
        """Return None: a complement that leaves no cell is too large, and almost every other place would leave some."""
        return None

    def __str__(self) -> str:
        return str(self.prior.prior) if isinstance(self.prior, Not) else f"not {self.prior}"
