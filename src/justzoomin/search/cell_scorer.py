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
    from justzoomin.search.budget import Budget
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
    is 0, or the zoomer was not trained on this map, the matcher answers alone: a zoomer knows only the maps of its training,
    and of these only the places near its photos (`only_known`), if its record says where they were.

    Attributes:
        ground: The region as the matcher describes it; None if the model has no matcher.
        alone: Whether the matcher answers alone, so that no views are needed.
    """

    def __init__(self, model: MapModel, vectors: ViewVectors, budget: Budget | None = None) -> None:
        self.ground: GroundMap | None = None
        self.alone = False
        self._budget = budget
        self._score = self._find(model, vectors)

    def _find(self, model: MapModel, vectors: ViewVectors) -> Scorer:
        grid, budget = vectors.views.grid, self._budget
        if not model.decodes_paths:
            from justzoomin.search.retrieval import CellScores

            cells = CellScores(model, vectors)
            return lambda photos: PoseScores(cells.scores(photos).numpy())
        from justzoomin.search.exact_search import exact

        if model.matcher is None:
            return lambda photos: PoseScores(exact(model, photos, vectors, grid.depth))
        from justzoomin.search.matching import GroundMap

        source, index = vectors.views.source, vectors.index
        ground = self.ground = GroundMap(model, source, grid, None if index is None else index.ground(model, source))
        assert isinstance(vectors.views, GridViews)  # true for every model that decodes paths
        weight = model.matcher.config.zoom_weight
        self.alone = not weight or not trained_on(model, vectors.views)
        if self.alone:
            return lambda photos: _matched(ground, model.fans(photos), budget)

        from justzoomin.search.known_places import known_cells, only_known

        known = known_cells(model, vectors.views)

        def both(photos: torch.Tensor) -> PoseScores:
            matched = _matched(ground, model.fans(photos), budget)
            zoomed = exact(model, photos, vectors, grid.depth)
            if known is not None:
                zoomed = only_known(zoomed, known)
            return PoseScores(matched.cells + weight * zoomed, matched.bearings)

        return both

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
        """Describe the map before the first photo, if there is a matcher.

        Args:
            progress: Called with the number of map pieces done and of all pieces.

        Raises:
            TileError: If the map cannot give a piece.
        """
        if self.ground is not None:
            self.ground.describe(progress)


def scorer(model: MapModel, vectors: ViewVectors, budget: Budget | None = None) -> MapScorer:
    """Return the function that scores all terminal cells for a model.

    Args:
        model: The model, in evaluation mode.
        vectors: The map's view vectors under the same model.
        budget: How long a matcher searches; None for `Budget()`.

    Raises:
        ModelError: If the model does not fit the grid.
        TileError: If the map cannot give a view.
    """
    return MapScorer(model, vectors, budget)


def trained_on(model: MapModel, views: GridViews) -> bool:
    """Return whether a model's zoomer was trained on a map, according to the model's record; see `knows_map`.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    return bool(knows_map(model.provenance, views))


def _matched(ground: GroundMap, fans: torch.Tensor, budget: Budget | None) -> PoseScores:
    """Return the scores of a matcher alone."""
    cells, bearings = [], []
    for found in ground.pose_scores(fans, budget):
        total = found.logsumexp(0)
        cells.append(total.cpu().numpy())
        bearings.append((found - total).T.contiguous().cpu().numpy())
    return PoseScores(np.stack(cells), np.stack(bearings))
