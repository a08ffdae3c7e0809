"""Several photos of one drive: a Bayes filter over the terminal cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.lattice import Floats, lattice
from justzoomin.posterior.motion import Motion
from justzoomin.posterior.posterior import Posterior
from justzoomin.posterior.priors import log

TEMPERING = 0.7
"""Exponent of a drive's likelihoods. Photos of a drive err together, under one light and before the same houses, so that each
says less than it would alone. docs/tracking.md has the measurement."""


def track(grid: ZoomGrid, log_likelihoods: Floats, motions: Sequence[Motion], *, smooth: bool = True,
          tempering: float = TEMPERING, prior: Floats | None = None) -> list[Posterior]:
    """Posteriors of a drive's photos, each given the others.

    Forward: given the photos up to it. Smoothed: given all. Probabilities are scaled to their greatest at every photo, so that
    long drives stay finite. A single photo is not tempered: its posterior is what it is alone.

    Args:
        grid: The grid.
        log_likelihoods: Log-likelihoods (T, N) of the photos in the order of their times; with a flat prior, their
            log-probabilities.
        motions: What happens between them, T - 1.
        smooth: Whether later photos count as well.
        tempering: Exponent of the likelihoods, above 0.
        prior: Log-weights (N,) of the first photo's place; None for none.

    Returns:
        T posteriors.

    Raises:
        GeometryError: If shapes contradict each other, or photos, motions and prior leave no cell.

    Source: L. Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77 (1989), section III, with scaling.
    """
    cells = lattice(grid)
    count = len(log_likelihoods)
    if log_likelihoods.shape != (count, len(cells)) or not count or len(motions) != count - 1 or not tempering > 0:
        raise GeometryError("drive", f"{log_likelihoods.shape} likelihoods, {len(motions)} motions, tempering {tempering}",
                            f"Give (T, {len(cells)}) likelihoods of at least one photo, T - 1 motions and an exponent above 0.")
    tempered = cells.to_image(log_likelihoods * (tempering if count > 1 else 1.0))
    ahead: list[Floats] = []
    for k in range(count):
        before = cells.to_image(prior) if prior is not None else np.zeros((cells.side, cells.side))
        if k:
            before = log(motions[k - 1].forward(np.exp(ahead[-1])))
        ahead.append(_scaled(before + tempered[k], f"photo {k + 1} of the drive"))
    if smooth:
        later = np.zeros((cells.side, cells.side))
        for k in range(count - 2, -1, -1):
            later = log(motions[k].backward(np.exp(_scaled(later + tempered[k + 1], f"photo {k + 2} of the drive"))))
            ahead[k] = _scaled(ahead[k] + later, f"photo {k + 1} of the drive")
    return [Posterior.of(grid, cells.from_image(image)) for image in ahead]


def _scaled(image: Floats, where: str) -> Floats:
    """Log-masses whose greatest is 0."""
    top = image.max()
    if not np.isfinite(top):
        raise GeometryError(where, "no cell is left that fits it and those before and after it",
                            "Check times, speed limit, odometry and prior, or give a larger speed or sigma.")
    return np.asarray(image - top)
