"""The forward step of a drive's Bayes filter: one photo after the other, each answer from the photos up to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.errors import GeometryError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.heading_priors import HeadingPrior
from justzoomin.posterior.lattices import Floats, Lattice, lattice
from justzoomin.posterior.motion import Motion
from justzoomin.posterior.normalizing import log_normalized, log_sum
from justzoomin.posterior.pose_motion import PoseMotion
from justzoomin.posterior.posterior import Posterior
from justzoomin.posterior.priors import log
from justzoomin.posterior.turns import Turn

TEMPERING = 0.7
"""Exponent of the likelihoods of photos taken shortly after each other. Their errors are related, because light and houses are
the same, so each photo adds less information than it would alone. docs/tracking.md has the measurement."""


@dataclass(frozen=True)
class PhotoEvidence:
    """What one photo says.

    Attributes:
        log_likelihood: Log-likelihoods (N,) of the cells.
        headings: Log-probabilities (N, K) of the bearings in each cell; None if they are unknown.
        heading_prior: What else is known of the photo's heading; None if nothing is.
    """

    log_likelihood: Floats
    headings: npt.NDArray[np.floating] | None = None
    heading_prior: HeadingPrior | None = None

    def tempered(self, cells: Lattice, exponent: float) -> Floats:
        """Return the log-likelihoods (K, side, side) with an exponent; K is 1 without headings."""
        place = cells.to_image(self.log_likelihood * exponent)
        if self.headings is None:
            return place[None]
        bearings = log_normalized(self.headings.astype(np.float64) * exponent)
        if self.heading_prior is not None:
            bearings += self.heading_prior.log_weights(bearings.shape[1])
        return place + cells.to_image(np.ascontiguousarray(bearings.T))


@dataclass(frozen=True)
class Step:
    """The motion and the turn between two photos, for masses (K, side, side) of bearings and cells."""

    motion: Motion | PoseMotion
    turn: Turn | None = None

    def forward(self, masses: Floats) -> Floats:
        """Return the masses after the step: (K, side, side), or even over K bearings and then (1, side, side)."""
        if self.turn is None:
            return self.motion.forward_places(masses)[None] / len(masses)
        return self.turn.forward(self.motion.forward_poses(masses))

    def backward(self, values: Floats) -> Floats:
        """Return the expected values (K, side, side) or, if they are the same for all bearings, (1, side, side)."""
        if self.turn is None:
            return self.motion.backward_places(values.sum(0)) / len(values)
        return self.motion.backward_poses(self.turn.backward(values))


class ForwardFilter:
    """A drive's filter that takes one photo after the other. Its memory does not grow with the number of photos.

    How much a photo is tempered depends on the motions before and after it. The answer for a photo knows the motion before it
    only. When the next photo comes, the photo's share in the later answers is tempered by both. So an answer depends on nothing
    that comes later, and the state is the one of a drive whose motions are all known.

    Args:
        grid: The grid.
        tempering: Exponent of a photo's likelihoods if the motions next to it reach almost nothing of the map.
        prior: Log-weights (N,) of the first photo's cells; None for no prior.

    Raises:
        GeometryError: If the exponent is not above 0.
    """

    def __init__(self, grid: ZoomGrid, *, tempering: float = TEMPERING, prior: Floats | None = None) -> None:
        if not tempering > 0:
            raise GeometryError("drive", f"the tempering is {tempering}", "Give an exponent above 0.")
        self.grid, self.cells, self.tempering = grid, lattice(grid), tempering
        side = self.cells.side
        self._before = self.cells.to_image(prior)[None] if prior is not None else np.zeros((1, side, side))
        self._last: PhotoEvidence | None = None
        self._reach = 1.0
        self.count = 0
        """Photos so far."""

    def push(self, photo: PhotoEvidence, step: Step | None = None) -> Posterior:
        """Take the next photo; return the posterior given the photos up to it.

        If an error is raised, the filter stays as it was before the photo.

        Args:
            photo: What the photo says.
            step: The step since the previous photo; None for the first photo.

        Raises:
            GeometryError: If the shapes do not match, a first photo has a step or a later one has none, or photos, motions and
                priors rule out every cell.
        """
        return self.posterior(self.advance(photo, step)[1], with_headings=photo.headings is not None)

    def advance(self, photo: PhotoEvidence, step: Step | None) -> tuple[Floats | None, Floats]:
        """Take the next photo, as `push` does.

        Returns:
            The previous photo's log-masses (K, side, side), now that the motion after it is known (None for the first photo),
            and those of this photo.
        """
        if photo.log_likelihood.shape != (len(self.cells),):
            raise GeometryError("drive", f"the likelihoods have the shape {photo.log_likelihood.shape}",
                                f"Give likelihoods ({len(self.cells)},).")
        if (step is None) != (self._last is None):
            raise GeometryError("drive", "the first photo has a step, or a later one has none",
                                "Give a step with every photo but the first.")
        where = f"photo {self.count + 1} of the drive"
        before, settled, reach = self._before, None, 1.0
        if step is not None and self._last is not None:
            reach = step.motion.reach(self.cells.side)
            settled = self._with(self._before, self._last, min(self._reach, reach), f"photo {self.count} of the drive")
            before = log(step.forward(np.exp(settled)))
        found = self._with(before, photo, reach, where)
        self._before, self._last, self._reach, self.count = before, photo, reach, self.count + 1
        return settled, found

    def posterior(self, joint: Floats, *, with_headings: bool) -> Posterior:
        """Return the posterior of log-masses (K, side, side) of bearings and cells."""
        flat = self.cells.from_image(joint)
        if not with_headings:
            return Posterior.of(self.grid, flat[0])
        whole = log_sum(flat.T)
        known = np.isfinite(whole)
        bearings = np.full(flat.T.shape, -np.log(len(flat)), np.float32)
        bearings[known] = (flat[:, known] - whole[known]).T
        return Posterior.of(self.grid, whole, bearings)

    def evidence(self, photo: PhotoEvidence, reach: float) -> Floats:
        """Return a photo's log-likelihoods (K, side, side), tempered for the share of the map that can be reached."""
        return photo.tempered(self.cells, self.tempering + (1 - self.tempering) * reach)

    def _with(self, before: Floats, photo: PhotoEvidence, reach: float, where: str) -> Floats:
        return scaled(before + self.evidence(photo, reach), where)


def scaled(image: Floats, where: str) -> Floats:
    """Return log-masses shifted so that the greatest is 0.

    Raises:
        GeometryError: If no cell has any mass.
    """
    top = image.max()
    if not np.isfinite(top):
        raise GeometryError(where, "no cell fits this photo and the photos before and after it",
                            "Check times, speed limit, odometry and prior, or give a larger speed or sigma.")
    return np.asarray(image - top)
