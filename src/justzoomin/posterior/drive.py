"""Several photos of one drive: a Bayes filter over the terminal cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.lattices import Floats, lattice
from justzoomin.posterior.motion import Motion
from justzoomin.posterior.posterior import Posterior
from justzoomin.posterior.priors import log

TEMPERING = 0.7
"""Exponent of the likelihoods of photos that follow each other closely. They err together, under one light and before the same
houses, so each says less than it would alone. docs/tracking.md has the measurement."""


def track(grid: ZoomGrid, log_likelihoods: Floats, motions: Sequence[Motion], *, smooth: bool = True,
          tempering: float = TEMPERING, prior: Floats | None = None) -> list[Posterior]:
    """Posteriors of a drive's photos, each given the others.

    Forward: given the photos up to it. Smoothed: given all. The less of the map the motions beside a photo reach, the more it
    is tempered. So motions that allow every place change nothing: each posterior is what the photo says alone. Probabilities
    are scaled to their greatest at every photo, so that long drives stay finite.

    Args:
        grid: The grid.
        log_likelihoods: Log-likelihoods (T, N) of the photos in the order of their times; with a flat prior, their
            log-probabilities.
        motions: What happens between them, T - 1.
        smooth: Whether later photos count as well.
        tempering: Exponent of a photo's likelihoods, above 0, where the motions beside it reach next to nothing of the map; it
            rises to 1 with the share of the map that they reach.
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
        raise GeometryError(
            "drive", f"{log_likelihoods.shape} likelihoods, {len(motions)} motions and tempering {tempering} do not fit",
            f"Give (T, {len(cells)}) likelihoods of at least one photo, T - 1 motions and an exponent above 0.")
    free = [min([m.reach(cells.side) for m in motions[max(0, k - 1):k + 1]], default=1.0) for k in range(count)]
    own = cells.to_image(log_likelihoods * (tempering + (1 - tempering) * np.array(free)[:, None]))
    before = cells.to_image(prior) if prior is not None else np.zeros((cells.side, cells.side))
    places: list[Floats] = []
    for k in range(count):
        if k:
            before = log(motions[k - 1].forward(np.exp(before)))
        before = _scaled(before + own[k], f"photo {k + 1} of the drive")
        places.append(before)
    if smooth:
        later = np.zeros((cells.side, cells.side))
        for k in range(count - 2, -1, -1):
            known = _scaled(later + own[k + 1], f"photo {k + 2} of the drive")
            later = log(motions[k].backward(np.exp(known)))
            places[k] = _scaled(places[k] + later, f"photo {k + 1} of the drive")
    return [Posterior.of(grid, cells.from_image(image)) for image in places]


def _scaled(image: Floats, where: str) -> Floats:
    """Log-masses whose greatest is 0."""
    top = image.max()
    if not np.isfinite(top):
        raise GeometryError(where, "no cell is left that fits this photo and those before and after it",
                            "Check times, speed limit, odometry and prior, or give a larger speed or sigma.")
    return np.asarray(image - top)
