"""Posteriors of photos on one map: a model's scores of all cells, calibrated and combined with prior knowledge."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews, look_alike, region_look
from justzoomin.posterior import (
    Calibrates,
    Calibration,
    HeadingPrior,
    Posterior,
    Prior,
    apply_heading,
    apply_many,
    log_normalized,
)
from justzoomin.search.budget import Budget
from justzoomin.search.cell_scorer import MapScorer, PoseScores, scorer
from justzoomin.search.cost import CHEAP_PIECES, MatchingCost, matching_cost
from justzoomin.search.map_facts import facts_of
from justzoomin.search.trained import seen_map
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
        self._check_prior()

    def _check_prior(self) -> None:
        """Refuse a prior without any cell before the first photo."""
        if self.prior is not None:
            apply_many(self.grid, np.zeros((1, self.grid.actions**self.grid.depth)), self.prior)

    def with_place(self, prior: Prior | None) -> MapPosteriors:
        """Return the same posteriors with another prior of the place; the description of the map is shared.

        Raises:
            GeometryError: If the prior excludes every cell.
        """
        _ = self.score  # made once, for all of them
        other = copy.copy(self)
        other.prior = prior
        other._check_prior()
        return other

    @cached_property
    def score(self) -> MapScorer:
        """The scorer of the cells: from photo vectors (B, D) to scores (B, N), log-probabilities up to a constant."""
        return scorer(self.vectors.model, self.vectors, Budget(temperature=self._temperature()))

    def _temperature(self) -> float:
        """Return the temperature of a photo that is neither sure nor ignorant: equal in the root of the number of cells."""
        if self.applied is None or self.vectors.model.matcher is None:
            return 1.0
        cells = self.grid.actions**self.grid.depth
        scores = np.full((1, cells), -1e3)
        scores[0, : math.isqrt(cells)] = 0.0
        return float(self.applied.temperatures_of(self.grid, log_normalized(scores))[0, -1])

    def own(self, photos: torch.Tensor) -> Beliefs:
        """Return what is believed about photos with vectors (B, D), or panoramas (B, V, D), calibrated and without a prior.

        Bearings are divided by the temperature of the last step.
        """
        poses = self._poses(photos)
        scores = poses.cells.astype(np.float64)
        if poses.bearings is not None:
            heat = np.ones((len(scores), 1)) if self.applied is None else self.applied.temperatures_of(self.grid, scores)
            for one, cells, by in zip(poses.bearings, scores, 1.0 / heat[:, -1], strict=True):
                one[np.isneginf(cells)] = 0.0  # a cell that is ruled out has no bearings of its own
                one[:] = log_normalized(one.astype(np.float64) * by)
        cells = log_normalized(scores) if self.applied is None else self.applied.apply(self.grid, scores)
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

        None without a calibration of this very map: no other threshold applies here.
        """
        one_map = None if self.calibration is None else self.calibration.one_map
        if one_map is None or not self.on_its_map:
            return [None] * len(own)
        found: list[bool | None] = one_map.on_map(own).tolist()
        return found

    @cached_property
    def on_its_map(self) -> bool:
        """Whether the model has a calibration of this very map, by the map's hash or look; False if it records neither."""
        one_map = None if self.calibration is None else self.calibration.one_map
        if one_map is None:
            return False
        if one_map.map == self.views.source.fingerprint():
            return True
        return one_map.look is not None and look_alike(one_map.look, region_look(self.views))

    @cached_property
    def applied(self) -> Calibrates | None:
        """The part of the calibration that is applied on this map; None without a calibration."""
        return None if self.calibration is None else self.calibration.part(self.on_its_map)

    @cached_property
    def unlike(self) -> str | None:
        """Why probabilities on this map are not calibrated, whatever the photo; None if they are."""
        if self.calibration is None:
            return "the model has no calibration"
        if self.on_its_map:
            return None
        many_maps = self.calibration.many_maps
        if many_maps is None:
            return "the model's calibration is for another map"
        if seen_map(self.vectors.model.provenance, self.views):
            return "the model was trained on this map, and its calibration is for maps that it has never seen"
        found = many_maps.unlike(facts_of(self.views))
        return found and f"this map is unlike the {len(many_maps.maps)} maps of the model's calibration: {found}"

    @property
    def calibrated_here(self) -> bool:
        """Whether the calibration is for this map, or for maps like it."""
        return self.unlike is None

    def not_calibrated(self, on_map: bool | None) -> str | None:
        """Return why the probabilities of a photo are not calibrated; None if they are."""
        return self.unlike or ("the photo does not look like one of this map" if on_map is False else None)

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
