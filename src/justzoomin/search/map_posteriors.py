"""Posteriors of photos on one map: a model's scores of all cells, calibrated and combined with prior knowledge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews, look_alike, region_look
from justzoomin.posterior import (
    Calibration,
    HeadingPrior,
    Posterior,
    Prior,
    apply_heading,
    apply_many,
    log_normalized,
)
from justzoomin.search.cell_scorer import MapScorer, PoseScores, scorer
from justzoomin.search.cost import CHEAP_PIECES, MatchingCost, matching_cost
from justzoomin.search.view_vectors import ViewVectors

Floats = npt.NDArray[np.float64]


class Beliefs(NamedTuple):
    """What is believed about B photos.

    Attributes:
        log_probs: Log-probabilities (B, N) of the terminal cells.
        headings: Log-probabilities (B, N, K) of the bearings in each cell, float32; see `Posterior`. None if there are none.
    """

    log_probs: Floats
    headings: npt.NDArray[np.float32] | None

    @classmethod
    def joined(cls, parts: Sequence[Beliefs]) -> Beliefs:
        """Return what is believed about the photos of all parts."""
        headings = [part.headings for part in parts if part.headings is not None]
        return cls(np.concatenate([part.log_probs for part in parts]),
                   np.concatenate(headings) if len(headings) == len(parts) else None)

    def posteriors(self, grid: ZoomGrid) -> list[Posterior]:
        """Return the posterior of each photo."""
        headings = self.headings if self.headings is not None else [None] * len(self.log_probs)
        return [Posterior(grid, cells, bearings) for cells, bearings in zip(self.log_probs, headings, strict=True)]


class MapPosteriors:
    """Log-probabilities of all terminal cells of one map under one model.

    Args:
        vectors: The map's view vectors under the model.
        views: Pictures of the grid's cells.
        calibration: Calibration of the probabilities; None to use the model's own.
        prior: Prior knowledge about the photos' place.

    Raises:
        GeometryError: If the prior excludes every cell.
    """

    def __init__(self, vectors: ViewVectors, views: GridViews, calibration: Calibration | None, prior: Prior | None) -> None:
        self.vectors, self.views, self.grid, self.calibration, self.prior = vectors, views, views.grid, calibration, prior
        if prior is not None:  # refuse a prior without any cell before the first photo
            apply_many(self.grid, np.zeros((1, self.grid.actions**self.grid.depth)), prior)

    @cached_property
    def score(self) -> MapScorer:
        """The scorer of the cells: from photo vectors (B, D) to scores (B, N), log-probabilities up to a constant."""
        return scorer(self.vectors.model, self.vectors)

    def own(self, photos: torch.Tensor) -> Beliefs:
        """Return what is believed about photos with vectors (B, D), or panoramas (B, V, D), calibrated and without a prior.

        Bearings are divided by the temperature of the last step.
        """
        poses = self._poses(photos)
        scores = poses.cells.astype(np.float64)
        if poses.bearings is not None:
            sharpness = 1.0 if self.calibration is None else 1.0 / self.calibration.temperatures[-1]
            for one in poses.bearings:
                one[:] = log_normalized(one.astype(np.float64) * sharpness)
        cells = log_normalized(scores) if self.calibration is None else self.calibration.apply(self.grid, scores)
        return Beliefs(cells, poses.bearings)

    def _poses(self, photos: torch.Tensor) -> PoseScores:
        """Return the scores of photo vectors (B, D), or of panoramas (B, V, D) whose views are combined."""
        if photos.dim() == 2:
            return self.score.poses(photos)
        from justzoomin.search.panoramas import combined

        each = [combined(self.score.poses(views)) for views in photos]
        return PoseScores(np.concatenate([one.cells for one in each]),
                          np.concatenate([one.bearings for one in each if one.bearings is not None]))

    def with_prior(self, own: Beliefs, headings: Sequence[HeadingPrior | None] = ()) -> Beliefs:
        """Multiply priors, if there are any, into what is believed about photos.

        Args:
            own: What is believed without a prior.
            headings: What is known of each photo's heading; empty if nothing is known.

        Raises:
            GeometryError: If the prior of the place excludes every cell.
            ConfigError: If there is a heading, but the model says nothing about headings.
        """
        if any(headings):
            changed = [found if prior is None else apply_heading(found, prior)
                       for found, prior in zip(own.posteriors(self.grid), headings, strict=True)]
            bearings = [found.headings for found in changed if found.headings is not None]
            own = Beliefs(np.stack([found.log_probs for found in changed]), np.stack(bearings) if bearings else None)
        if self.prior is None:
            return own
        return Beliefs(apply_many(self.grid, own.log_probs, self.prior), own.headings)

    def on_map(self, own: Floats) -> list[bool | None]:
        """Return whether photos with calibrated posteriors (B, N), without a prior, look like photos of this map.

        None without a calibration, or with a calibration for another map, whose threshold does not apply here.
        """
        if self.calibration is None or not self.calibrated_here:
            return [None] * len(own)
        found: list[bool | None] = self.calibration.on_map(own).tolist()
        return found

    @cached_property
    def calibrated_here(self) -> bool:
        """Whether the calibration is for this map, by the map's hash or look; False if it records neither."""
        if self.calibration is None:
            return False
        if self.calibration.map == self.views.source.fingerprint():
            return True
        return self.calibration.look is not None and look_alike(self.calibration.look, region_look(self.views))

    def not_calibrated(self, on_map: bool | None) -> str | None:
        """Return why the probabilities of a photo are not calibrated; None if they are."""
        if self.calibration is None:
            return "the model has no calibration"
        if not self.calibrated_here:
            return "the model's calibration is for another map"
        return "the photo does not look like one of this map" if on_map is False else None

    @property
    def views_ahead(self) -> int:
        """Number of views drawn and encoded before the first answer: all that the index does not hold.

        0 for a matcher that answers alone, because it describes the map itself.
        """
        if self.score.alone:
            return 0
        index = self.vectors.index
        return len(self.vectors.model.layers(self.grid)) - (0 if index is None else index.count())

    def matching_cost(self) -> MatchingCost | None:
        """Measure the cost of a matcher's posterior on a part of the map; None if it is cheap or there is no matcher.

        Raises:
            TileError: If the map cannot give a piece.
        """
        ground = self.score.ground
        return None if ground is None or ground.missing <= CHEAP_PIECES else matching_cost(ground)

    def prepare(self, progress: Callable[[int, int], None]) -> None:
        """Describe the map for a matcher, if there is one, once before the first photo.

        Args:
            progress: Called with the number of pieces done and of all pieces.

        Raises:
            TileError: If the map cannot give a piece.
        """
        self.score.prepare(progress)
