"""A posterior over all terminal cells of a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.lattice import Lattice, lattice


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
            raise GeometryError("scores", f"an array of shape {values.shape}",
                                f"Give one score per terminal cell: ({grid.actions**grid.depth},).")
        top = values.max()
        if not np.isfinite(top):
            raise GeometryError("scores", "they are not finite" if top != -np.inf else "every cell is ruled out",
                                "Give finite scores for at least one cell, and no NaN.")
        return cls(grid, values - (top + np.log(np.exp(values - top).sum())))

    @property
    def lattice(self) -> Lattice:
        """The cells' places."""
        return lattice(self.grid)

    @property
    def probs(self) -> npt.NDArray[np.float64]:
        """Probabilities (N,)."""
        return np.exp(self.log_probs)
