"""Scores of all terminal cells from the families that score all cells at once; posteriors are made from them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch

from justzoomin.errors import MissingExtraError, ModelError
from justzoomin.models import MapModel
from justzoomin.search.view_vectors import ViewVectors

MAX_SCORED_CELLS = 1 << 16
"""Largest number of terminal cells that `CellScores.scores` accepts; `top_cells` has no limit."""


class CellScores:
    """A model and a map's vectors, ready to score photos; the map is described once.

    Args:
        model: A model of any family that scores cells; models that decode paths have their own searches.
        vectors: The map's vectors under the model; unused by a model that does not use the map.

    Raises:
        ModelError: If the model decodes paths, or has weights for a different number of cells.
        TileError: If the map cannot give a view.
    """

    def __init__(self, model: MapModel, vectors: ViewVectors) -> None:
        if model.decodes_paths:
            raise ModelError("model", f"a model of the family {model.config.family} has no method to score cells",
                             "Search with greedy, beam or posterior.")
        self.model, self.grid = model, vectors.views.grid
        self.cells = self.grid.actions**self.grid.depth
        config = model.config
        if not model.any_depth and (config.grid, config.depth) != (self.grid.grid, self.grid.depth):
            raise ModelError("model", f"it was trained on {config.depth} levels of {config.actions} actions, but the grid has "
                             f"{self.grid.depth} levels of {self.grid.actions}", "Use a map with the depth of its training.")
        self._described = self._describe(vectors)
        self._flat: Any = None

    @torch.inference_mode()
    def _describe(self, vectors: ViewVectors) -> list[torch.Tensor]:
        starts = self.model.layers(self.grid).starts
        return self.model.describe_cells([vectors.at(np.arange(start, end)) for start, end in pairwise(starts)])

    @torch.inference_mode()
    def scores(self, photos: torch.Tensor) -> torch.Tensor:
        """Return scores of all terminal cells, float32 (B, N) on the CPU, in the order of `ZoomGrid.flatten`; higher is better.

        Up to a constant per photo they are log-probabilities, as good as the learned temperature.

        Args:
            photos: Photo vectors (B, D) from `encode_photos`.

        Raises:
            ModelError: If the grid has more than `MAX_SCORED_CELLS` terminal cells.
        """
        if self.cells > MAX_SCORED_CELLS:
            raise ModelError("grid", f"{self.cells:,} terminal cells are too many to score each of them",
                             "Use top_cells, or a grid of less depth.")
        return self.model.cell_scores(photos, self._described).float().cpu()

    @torch.inference_mode()
    def top_cells(self, photos: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the best terminal cells of each photo and their scores, (B, K) each, best first.

        If scores are products of vectors (`MapModel.queries`), as for a dual encoder, faiss finds the best cells exactly
        without keeping a score of every cell, so the map may have any number of cells.

        Args:
            photos: Photo vectors (B, D).
            count: K; at most the number of cells.

        Raises:
            MissingExtraError: If faiss is not installed.
        """
        count = min(count, self.cells)
        queries = self.model.queries(photos)
        if queries is None:
            best = self.scores(photos).topk(count)
            return best.indices, best.values
        scores, cells = self._faiss().search(np.ascontiguousarray(queries.float().cpu().numpy()), count)
        return torch.from_numpy(cells), torch.from_numpy(scores)

    def _faiss(self) -> Any:
        if self._flat is None:
            try:
                import faiss
            except ModuleNotFoundError as error:
                raise MissingExtraError("faiss-cpu", "search") from error
            cells = self._described[0].float().cpu().numpy()
            self._flat = faiss.IndexFlatIP(cells.shape[1])
            self._flat.add(np.ascontiguousarray(cells))
        return self._flat


def cell_scores(model: MapModel, photos: torch.Tensor, vectors: ViewVectors) -> torch.Tensor:
    """Return scores (B, N) of all terminal cells for photo vectors (B, D); for many photos, keep a `CellScores` instead."""
    return CellScores(model, vectors).scores(photos)
