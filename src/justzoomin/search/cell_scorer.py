"""Scores of all terminal cells from a model and a map. Only this file decides how they are computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.maps import GridViews
from justzoomin.models import MapModel
from justzoomin.search.trained import knows_map
from justzoomin.search.view_vectors import ViewVectors, refuse_undefined

if TYPE_CHECKING:
    from justzoomin.search.matching import GroundMap



class PoseScores(NamedTuple):
    """Scores of all terminal cells, and of the bearings in each.

    Attributes:
        cells: Log-probabilities (B, N) of cells up to a constant, in the order of `ZoomGrid.flatten`.
        bearings: Log-probabilities (B, N, K) of each bearing given the cell, float32; bearing k is 360 k / K degrees clockwise
            from north. None if the model has no matcher.
    """

    cells: npt.NDArray[np.floating]
    bearings: npt.NDArray[np.float32] | None = None


Scorer = Callable[[torch.Tensor], PoseScores]
"""From photo vectors (B, D) to the scores of cells and bearings."""


class MapScorer:
    """Scores of all terminal cells of one map under one model.

    A zoomer with a ray matcher adds both log-probabilities, those of the zoomer with the weight in its settings. If that weight
    is 0, or the zoomer was not trained on this map, the matcher answers alone: a zoomer knows only the maps of its training.

    Attributes:
        ground: The region as the matcher describes it; None if no matcher is used, or only for the zoomer's best cells.
    """

    def __init__(self, model: MapModel, vectors: ViewVectors) -> None:
        self.ground: GroundMap | None = None
        self._score = self._find(model, vectors)

    def _find(self, model: MapModel, vectors: ViewVectors) -> Scorer:
        grid = vectors.views.grid
        if not model.decodes_paths:
            from justzoomin.search.retrieval import CellScores

            cells = CellScores(model, vectors)
            return lambda photos: PoseScores(cells.scores(photos).numpy())
        if model.matcher is None:
            from justzoomin.search.exact_search import exact

            return lambda photos: PoseScores(exact(model, photos, vectors, grid.depth))
        from justzoomin.search.matching import GroundMap

        ground = GroundMap(model, vectors.views.source, grid)
        assert isinstance(vectors.views, GridViews)  # true for every model that decodes paths
        weight = model.matcher.config.zoom_weight
        if not weight or not trained_on(model, vectors.views):
            self.ground = ground
            return lambda photos: _of_poses(ground.pose_scores(model.fans(photos)))
        return lambda photos: _both(model, vectors, ground, weight, photos)

    def __call__(self, photos: torch.Tensor) -> npt.NDArray[np.floating]:
        """Return scores (B, N) of photo vectors (B, D); see `poses`."""
        return self.poses(photos).cells

    def poses(self, photos: torch.Tensor) -> PoseScores:
        """Return the scores of cells and bearings for photo vectors (B, D).

        Raises:
            ModelError: If a score is not a number.
            TileError: If the map cannot give a view.
        """
        found = self._score(photos)
        refuse_undefined(found.cells.max(1))  # the largest is NaN if any is
        return found

    def prepare(self, progress: Callable[[int, int], None]) -> None:
        """Describe the map before the first photo, if a matcher answers alone.

        Args:
            progress: Called with the number of map pieces done and of all pieces.

        Raises:
            TileError: If the map cannot give a piece.
        """
        if self.ground is not None:
            self.ground.ground(progress)


def scorer(model: MapModel, vectors: ViewVectors) -> MapScorer:
    """Return the function that scores all terminal cells for a model.

    Args:
        model: The model, in evaluation mode.
        vectors: The map's view vectors under the same model.

    Raises:
        ModelError: If the model does not fit the grid.
        TileError: If the map cannot give a view.
    """
    return MapScorer(model, vectors)


def trained_on(model: MapModel, views: GridViews) -> bool:
    """Return whether a model's zoomer was trained on a map, according to the model's record; see `knows_map`.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    return bool(knows_map(model.provenance, views))


def _both(model: MapModel, vectors: ViewVectors, ground: GroundMap, weight: float,
          photos: torch.Tensor) -> PoseScores:
    """Return the joint scores of zoomer and matcher; on a large map the matcher scores only the zoomer's best cells."""
    from justzoomin.search.exact_search import exact
    from justzoomin.search.matching import MAX_PLACES

    zoomed = exact(model, photos, vectors, vectors.views.grid.depth)
    fans, most = model.fans(photos), MAX_PLACES // ground.places
    if zoomed.shape[1] <= most:
        matched = _of_poses(ground.pose_scores(fans))
        return PoseScores(np.asarray(weight * zoomed + matched.cells), matched.bearings)
    total = weight * zoomed
    for row in range(len(total)):
        best = np.argpartition(-zoomed[row], most)[:most]
        few = ground.scores(fans[row:row + 1], best)[0].cpu().numpy()
        total[row] += few.min()  # a cell that the matcher did not score gets the worst of its scores
        total[row, best] += few - few.min()
    return PoseScores(np.asarray(total))


def _of_poses(scores: torch.Tensor) -> PoseScores:
    """Return scores from the log-likelihoods (B, K, N) of bearings at cells."""
    cells = scores.logsumexp(1)
    return PoseScores(cells.cpu().numpy(), (scores - cells[:, None]).transpose(1, 2).contiguous().cpu().numpy())
