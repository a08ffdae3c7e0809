"""Localizing the photos of one drive together: a Bayes filter over the terminal cells."""

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
"""Exponent of the likelihoods of photos taken shortly after each other. Their errors are related, because light and houses are
the same, so each photo adds less information than it would alone. docs/tracking.md has the measurement."""


def track(grid: ZoomGrid, log_likelihoods: Floats, motions: Sequence[Motion], *, smooth: bool = True,
          tempering: float = TEMPERING, prior: Floats | None = None) -> list[Posterior]:
    """Compute the posteriors of a drive's photos, each from the other photos too.

    Without smoothing, a posterior depends on the photos up to its own; with smoothing, on all photos. The less of the map the
    motions next to a photo reach, the more the photo is tempered. So motions that allow every place change nothing: each
    posterior is that of the single photo. Probabilities are scaled by their maximum at every photo, so that long drives stay
    finite.

    Args:
        grid: The grid.
        log_likelihoods: Log-likelihoods (T, N) of the photos in the order of their times; with a flat prior, their
            log-probabilities.
        motions: Motions between the photos, T - 1.
        smooth: Whether later photos count, too.
        tempering: Exponent of a photo's likelihoods, above 0, if the motions next to it reach almost nothing of the map; it
            rises to 1 with the share of the map that they reach.
        prior: Log-weights (N,) of the first photo's cells; None for no prior.

    Returns:
        T posteriors.

    Raises:
        GeometryError: If the shapes do not match, or photos, motions and prior rule out every cell.

    Source: L. Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77 (1989), section III, with scaling.
    """
    cells = lattice(grid)
    count = len(log_likelihoods)
    if log_likelihoods.shape != (count, len(cells)) or not count or len(motions) != count - 1 or not tempering > 0:
        raise GeometryError(
            "drive", f"likelihoods {log_likelihoods.shape}, {len(motions)} motions and tempering {tempering} do not match",
            f"Give likelihoods (T, {len(cells)}) of at least one photo, T - 1 motions and an exponent above 0.")
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
    """Return log-masses shifted so that the greatest is 0."""
    top = image.max()
    if not np.isfinite(top):
        raise GeometryError(where, "no cell fits this photo and the photos before and after it",
                            "Check times, speed limit, odometry and prior, or give a larger speed or sigma.")
    return np.asarray(image - top)
