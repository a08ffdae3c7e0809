"""Scores of all terminal cells from the families that score cells at once: what a posterior is made of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch

from justzoomin.errors import MissingExtraError, ModelError
from justzoomin.models import MapModel
from justzoomin.search.view_vectors import ViewVectors

MAX_SCORED_CELLS = 1 << 16
"""Above this number of terminal cells `CellScores` refuses; `top_cells` goes on."""


class CellScores:
    """A model and a map's vectors, ready to score photos; the map's side is prepared once.

    Args:
        model: A model of any family that scores cells; those that decode paths have searches of their own.
        vectors: The map's vectors under the model; not looked at for a model that looks at no map.

    Raises:
        ModelError: If the model decodes paths, or its weights are those of another number of cells.
        TileError: If the map cannot give a view.
    """

    def __init__(self, model: MapModel, vectors: ViewVectors) -> None:
        if model.decodes_paths:
            raise ModelError("model", f"a model of the family {model.config.family} has no scores of cells of its own",
                             "Search with greedy, beam or exact.")
        self.model, self.grid = model, vectors.views.grid
        self.cells = self.grid.actions**self.grid.depth
        config = model.config
        if not model.any_depth and (config.grid, config.depth) != (self.grid.grid, self.grid.depth):
            raise ModelError("model", f"it was trained on {config.depth} levels of {config.actions} actions and the grid has "
                             f"{self.grid.depth} of {self.grid.actions}", "Use it on maps of the depth that it was trained on.")
        self._described = self._describe(vectors)
        self._flat: Any = None

    @torch.inference_mode()
    def _describe(self, vectors: ViewVectors) -> list[torch.Tensor]:
        starts = self.model.layers(self.grid).starts
        return self.model.describe_cells([vectors.at(np.arange(start, end)) for start, end in pairwise(starts)])

    @torch.inference_mode()
    def scores(self, photos: torch.Tensor) -> torch.Tensor:
        """Return scores of all terminal cells, float32 (B, N) on the CPU, in the order of `ZoomGrid.flatten`. Higher is better.

        Up to a constant of each photo they are log-probabilities, as far as the learned temperature tells.

        Args:
            photos: Photo vectors (B, D) from `encode_photos`.

        Raises:
            ModelError: If the grid has more than `MAX_SCORED_CELLS` terminal cells.
        """
        if self.cells > MAX_SCORED_CELLS:
            raise ModelError("grid", f"{self.cells:,} terminal cells are too many for a score of each",
                             "Use top_cells, or a grid of less depth.")
        return self.model.cell_scores(photos, self._described).float().cpu()

    @torch.inference_mode()
    def top_cells(self, photos: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the best terminal cells of each photo and their scores, (B, K) each, best first.

        Where scores are products of vectors (`MapModel.queries`), as those of a dual encoder are, faiss finds the best exactly,
        without a score of every cell; so the map may have any number of them.

        Args:
            photos: Photo vectors (B, D).
            count: K; no more than there are cells.

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
    """Return scores (B, N) of all terminal cells for photo vectors (B, D); see `CellScores`, which to keep for many photos."""
    return CellScores(model, vectors).scores(photos)
