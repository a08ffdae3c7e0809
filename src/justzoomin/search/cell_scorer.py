"""The one place where a model and its map become scores of all terminal cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.maps import GridViews
from justzoomin.models import MapModel
from justzoomin.search.trained import knows_map
from justzoomin.search.view_vectors import ViewVectors, refuse_undefined

if TYPE_CHECKING:
    from justzoomin.search.matching import GroundMap

Scorer = Callable[[torch.Tensor], npt.NDArray[np.floating]]
"""From photo vectors (B, D) to scores (B, N), log-probabilities up to a constant, in the order of `ZoomGrid.flatten`."""


class MapScorer:
    """Scores of all terminal cells of one map under one model.

    A zoomer with a ray matcher adds both log-probabilities with the weight that its settings give the zoomer. Without one, and
    on a map that it was not trained on, the matcher answers alone: a zoomer knows its own map only.

    Attributes:
        ground: The region as the matcher describes it; None where no matcher is asked, or only about the zoomer's best cells.
    """

    def __init__(self, model: MapModel, vectors: ViewVectors) -> None:
        self.ground: GroundMap | None = None
        self._score = self._find(model, vectors)

    def _find(self, model: MapModel, vectors: ViewVectors) -> Scorer:
        grid = vectors.views.grid
        if not model.decodes_paths:
            from justzoomin.search.retrieval import CellScores

            cells = CellScores(model, vectors)
            return lambda photos: cells.scores(photos).numpy()
        if model.matcher is None:
            from justzoomin.search.exact_search import exact

            return lambda photos: exact(model, photos, vectors, grid.depth)
        from justzoomin.search.matching import GroundMap

        ground = GroundMap(model, vectors.views.source, grid)
        assert isinstance(vectors.views, GridViews)  # those of all that decodes paths are
        weight = model.matcher.config.zoom_weight
        if not weight or not trained_on(model, vectors.views):
            self.ground = ground
            return lambda photos: ground.scores(model.fans(photos)).cpu().numpy()
        return lambda photos: _both(model, vectors, ground, weight, photos)

    def __call__(self, photos: torch.Tensor) -> npt.NDArray[np.floating]:
        """Scores (B, N) of photo vectors (B, D).

        Raises:
            ModelError: If a score is not a number.
            TileError: If the map cannot give a view.
        """
        found = self._score(photos)
        refuse_undefined(found.max(1))  # the largest is not a number where any is not
        return found

    def prepare(self, progress: Callable[[int, int], None]) -> None:
        """Describe the map for the matcher before the first photo, where one answers alone.

        Args:
            progress: Called with pieces of map done and pieces in all.

        Raises:
            TileError: If the map cannot give a piece.
        """
        if self.ground is not None:
            self.ground.ground(progress)


def scorer(model: MapModel, vectors: ViewVectors) -> MapScorer:
    """Return what scores all terminal cells, as the model does it.

    Args:
        model: The model, in evaluation mode.
        vectors: The map's view vectors under the same model.

    Raises:
        ModelError: If the model does not fit the grid.
        TileError: If the map cannot give a view.
    """
    return MapScorer(model, vectors)


def trained_on(model: MapModel, views: GridViews) -> bool:
    """Whether a map is one of those that a model's zoomer was trained on, as far as its record says; see `knows_map`.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    return bool(knows_map(model.provenance, views))


def _both(model: MapModel, vectors: ViewVectors, ground: GroundMap, weight: float,
          photos: torch.Tensor) -> npt.NDArray[np.floating]:
    """Scores (B, N) of zoomer and matcher together; of a large map the matcher looks at the zoomer's best cells alone."""
    from justzoomin.search.exact_search import exact
    from justzoomin.search.matching import MAX_PLACES

    zoomed = exact(model, photos, vectors, vectors.views.grid.depth)
    fans, most = model.fans(photos), MAX_PLACES // ground.places
    if zoomed.shape[1] <= most:
        return np.asarray(weight * zoomed + ground.scores(fans).cpu().numpy())
    total = weight * zoomed
    for row in range(len(total)):
        best = np.argpartition(-zoomed[row], most)[:most]
        matched = ground.scores(fans[row:row + 1], best)[0].cpu().numpy()
        total[row] += matched.min()  # a cell that was not looked at counts as the worst of those that were
        total[row, best] += matched - matched.min()
    return np.asarray(total)
