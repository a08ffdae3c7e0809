"""Localizing the photos of one drive together: a Bayes filter over the terminal cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.heading_priors import HeadingPrior
from justzoomin.posterior.lattices import Floats, Lattice, lattice
from justzoomin.posterior.motion import Motion
from justzoomin.posterior.normalizing import log_normalized, log_sum
from justzoomin.posterior.posterior import Posterior
from justzoomin.posterior.priors import log
from justzoomin.posterior.turns import Turn

Headings = Sequence[npt.NDArray[np.floating]]
"""Log-probabilities (N, K) of the bearings in each cell, for each photo."""

TEMPERING = 0.7
"""Exponent of the likelihoods of photos taken shortly after each other. Their errors are related, because light and houses are
the same, so each photo adds less information than it would alone. docs/tracking.md has the measurement."""


def track(grid: ZoomGrid, log_likelihoods: Floats, motions: Sequence[Motion], *, smooth: bool = True,
          tempering: float = TEMPERING, prior: Floats | None = None, headings: Headings | None = None,
          turns: Sequence[Turn | None] = (), heading_priors: Sequence[HeadingPrior | None] = ()) -> list[Posterior]:
    """Compute the posteriors of a drive's photos, each from the other photos too.

    Without smoothing, a posterior depends on the photos up to its own; with smoothing, on all photos. The less of the map the
    motions next to a photo reach, the more the photo is tempered. So motions that allow every place change nothing: each
    posterior is that of the single photo. Probabilities are scaled by their maximum at every photo, so that long drives stay
    finite.

    With headings, the state is a cell and a bearing. Bearings of two photos are related by the turn between them; without one,
    they are independent. So headings without any turn or prior change no cell's probability. Memory is T K N float64.

    Args:
        grid: The grid.
        log_likelihoods: Log-likelihoods (T, N) of the photos in the order of their times; with a flat prior, their
            log-probabilities.
        motions: Motions between the photos, T - 1.
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
    steps = [_Step(m, t) for m, t in zip(motions, turns or [None] * (count - 1), strict=True)]
    free = [min([m.reach(cells.side) for m in motions[max(0, k - 1):k + 1]], default=1.0) for k in range(count)]
    exponents = tempering + (1 - tempering) * np.array(free)
    heading_priors = heading_priors or [None] * count

    def own(k: int) -> Floats:
        """Return the log-likelihoods (K, side, side) of a photo; K is 1 without headings."""
        place = cells.to_image(log_likelihoods[k] * exponents[k])
        if headings is None:
            return place[None]
        return place + _bearings(cells, headings[k], exponents[k], heading_priors[k])

    before = cells.to_image(prior)[None] if prior is not None else np.zeros((1, cells.side, cells.side))
    places: list[Floats] = []
    for k in range(count):
        if k:
            before = log(steps[k - 1].forward(np.exp(before)))
        before = _scaled(before + own(k), f"photo {k + 1} of the drive")
        places.append(before)
    if smooth:
        later = np.zeros((1, cells.side, cells.side))
        for k in range(count - 2, -1, -1):
            known = _scaled(later + own(k + 1), f"photo {k + 2} of the drive")
            later = log(steps[k].backward(np.exp(known)))
            places[k] = _scaled(places[k] + later, f"photo {k + 1} of the drive")
    return [_posterior(grid, cells.from_image(image), with_headings=headings is not None) for image in places]


@dataclass(frozen=True)
class _Step:
    """The motion and the turn between two photos, for masses (K, side, side) of bearings and cells."""

    motion: Motion
    turn: Turn | None

    def forward(self, masses: Floats) -> Floats:
        """Return the masses after the step: (K, side, side), or even over K bearings and then (1, side, side)."""
        if self.turn is None:
            return self.motion.forward(masses.sum(0))[None] / len(masses)
        return np.stack([self.motion.forward(image) for image in self.turn.forward(masses)])

    def backward(self, values: Floats) -> Floats:
        """Return the expected values after the step; the shapes are those of `forward`."""
        if self.turn is None:
            return self.motion.backward(values.sum(0))[None] / len(values)
        return np.stack([self.motion.backward(image) for image in self.turn.backward(values)])


def _bearings(cells: Lattice, headings: npt.NDArray[np.floating], exponent: float, prior: HeadingPrior | None) -> Floats:
    """Return log-likelihoods (K, side, side) of bearings, normalized in each cell before a prior of them counts."""
    tempered = log_normalized(headings.astype(np.float64) * exponent)
    if prior is not None:
        tempered += prior.log_weights(tempered.shape[1])
    return cells.to_image(np.ascontiguousarray(tempered.T))


def _posterior(grid: ZoomGrid, joint: Floats, *, with_headings: bool) -> Posterior:
    """Return the posterior of log-masses (K, N) of bearings and cells."""
    if not with_headings:
        return Posterior.of(grid, joint[0])
    whole = log_sum(joint.T)
    known = np.isfinite(whole)
    bearings = np.full(joint.T.shape, -np.log(len(joint)), np.float32)
    bearings[known] = (joint[:, known] - whole[known]).T
    return Posterior.of(grid, whole, bearings)


def _scaled(image: Floats, where: str) -> Floats:
    """Return log-masses shifted so that the greatest is 0."""
    top = image.max()
    if not np.isfinite(top):
        raise GeometryError(where, "no cell fits this photo and the photos before and after it",
                            "Check times, speed limit, odometry and prior, or give a larger speed or sigma.")
    return np.asarray(image - top)
