"""Localizing the photos of one drive together: a Bayes filter over the terminal cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.forward import TEMPERING, ForwardFilter, PhotoEvidence, Step, scaled
from justzoomin.posterior.heading_priors import HeadingPrior
from justzoomin.posterior.lattices import Floats, lattice
from justzoomin.posterior.motion import Motion
from justzoomin.posterior.pose_motion import PoseMotion
from justzoomin.posterior.posterior import Posterior
from justzoomin.posterior.priors import log
from justzoomin.posterior.turns import Turn

Headings = Sequence[npt.NDArray[np.floating]]
"""Log-probabilities (N, K) of the bearings in each cell, for each photo."""

def track(grid: ZoomGrid, log_likelihoods: Floats, motions: Sequence[Motion | PoseMotion], *, smooth: bool = True,
          tempering: float = TEMPERING, prior: Floats | None = None, headings: Headings | None = None,
          turns: Sequence[Turn | None] = (), heading_priors: Sequence[HeadingPrior | None] = ()) -> list[Posterior]:
    """Compute the posteriors of a drive's photos, each from the other photos too.

    Without smoothing, a posterior depends on the photos and motions up to its own, as with `ForwardFilter`; with smoothing, on
    all. The less of the map the motions next to a photo reach, the more the photo is tempered. So motions that allow every
    place change nothing: each posterior is that of the single photo. Probabilities are scaled by their maximum at every photo,
    so that long drives stay finite.

    With headings, the state is a cell and a bearing. Bearings of two photos are related by the turn between them; without one,
    they are independent. So headings without any turn or prior change no cell's probability. Memory is T K N float64.

    Args:
        grid: The grid.
        log_likelihoods: Log-likelihoods (T, N) of the photos in the order of their times; with a flat prior, their
            log-probabilities.
        motions: Motions between the photos, T - 1; a `PoseMotion` needs headings with its number of bearings.
        smooth: Whether later photos count, too.
        tempering: Exponent of a photo's likelihoods, above 0, if the motions next to it reach almost nothing of the map; it
            rises to 1 with the share of the map that they reach.
        prior: Log-weights (N,) of the first photo's cells; None for no prior.
        headings: Log-probabilities (N, K) of the bearings in each cell, for each of the T photos; None if they are unknown.
        turns: Turns between the photos, T - 1, each None if unknown; empty if all are unknown.
        heading_priors: What else is known of the photos' headings, T, each None if nothing is; empty if nothing is.

    Returns:
        T posteriors, with headings if headings were given.

    Raises:
        GeometryError: If the shapes do not match, or photos, motions and priors rule out every cell.

    Source: L. Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77 (1989), section III, with scaling.
    """
    cells = lattice(grid)
    count = len(log_likelihoods)
    if log_likelihoods.shape != (count, len(cells)) or not count or len(motions) != count - 1 or not tempering > 0:
        raise GeometryError(
            "drive", f"likelihoods {log_likelihoods.shape}, {len(motions)} motions and tempering {tempering} do not match",
            f"Give likelihoods (T, {len(cells)}) of at least one photo, T - 1 motions and an exponent above 0.")
    if (headings is None and (any(turns) or any(heading_priors))) or len(turns) not in (0, count - 1) or \
            len(heading_priors) not in (0, count) or (headings is not None and len(headings) != count):
        raise GeometryError("drive", f"{len(turns)} turns and {len(heading_priors)} heading priors do not match {count} photos",
                            "Give headings of all photos, T - 1 turns and T priors, or none of them.")
    heading_priors = heading_priors or [None] * count
    photos = [PhotoEvidence(log_likelihoods[k], None if headings is None else headings[k], heading_priors[k])
              for k in range(count)]
    steps = [Step(m, t) for m, t in zip(motions, turns or [None] * (count - 1), strict=True)]
    forward = ForwardFilter(grid, tempering=tempering, prior=prior)
    places: list[Floats] = []
    for k, photo in enumerate(photos):
        settled, found = forward.advance(photo, steps[k - 1] if k else None)
        if settled is not None and smooth:
            places[-1] = settled
        places.append(found)
    if smooth:
        reaches = [1.0, *(m.reach(cells.side) for m in motions), 1.0]
        later = np.zeros((1, cells.side, cells.side))
        for k in range(count - 2, -1, -1):
            own = forward.evidence(photos[k + 1], min(reaches[k + 1:k + 3]))
            known = scaled(later + own, f"photo {k + 2} of the drive")
            later = log(steps[k].backward(np.exp(known)))
            places[k] = scaled(places[k] + later, f"photo {k + 1} of the drive")
    return [forward.posterior(image, with_headings=headings is not None) for image in places]
