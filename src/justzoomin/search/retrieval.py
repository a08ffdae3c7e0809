"""Scores of all terminal cells from the families that do not zoom: what a posterior is made of."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from justzoomin.errors import MissingExtraError, ModelError
from justzoomin.models import CellClassifier, DualEncoder, HierarchicalRetriever, MapModel
from justzoomin.search.view_vectors import ViewVectors

MAX_SCORED_CELLS = 1 << 16
"""Above this number of terminal cells `CellScores` refuses; `top_cells` goes on."""


class CellScores:
    """A model and a map's vectors, ready to score photos; the map's side is prepared once.

    Args:
        model: A model of any family but `zoom`, whose scores its own search gives.
        vectors: The map's vectors under the model; not looked at for a classifier.

    Raises:
        ModelError: If the model is a zoomer, or a classifier of another number of cells.
        TileError: If the map cannot give a view.
    """

    def __init__(self, model: MapModel, vectors: ViewVectors) -> None:
        if not isinstance(model, DualEncoder | HierarchicalRetriever | CellClassifier):
            raise ModelError("model", f"a model of the family {model.config.family} has no scores of cells of its own",
                             "Search with greedy, beam or exact.")
        self.model, self.grid = model, vectors.views.grid
        self.cells = self.grid.actions**self.grid.depth
        if isinstance(model, CellClassifier) and model.cells.out_features != self.cells:
            raise ModelError("model", f"the classifier knows {model.cells.out_features} cells and the grid has {self.cells}",
                             "Use it on the map it was trained on.")
        if isinstance(model, HierarchicalRetriever) and model.config.depth != self.grid.depth:
            raise ModelError("model", f"it was trained on {model.config.depth} levels and the grid has {self.grid.depth}",
                             "Use it on maps of the depth that it was trained on.")
        self._levels = self._embed(vectors)
        self._flat: Any = None

    @torch.inference_mode()
    def _embed(self, vectors: ViewVectors) -> list[torch.Tensor]:
        """Compared vectors of the terminal cells, or of each level's windows."""
        if isinstance(self.model, CellClassifier):
            return []
        layers = self.model.layers(self.grid)
        parts = [vectors.at(np.arange(start, end)) for start, end in zip(layers.starts[:-1], layers.starts[1:], strict=True)]
        if isinstance(self.model, DualEncoder):
            return [self.model.embed_cells(torch.stack(parts))]
        return [self.model.embed_views(part) for part in parts]

    @torch.inference_mode()
    def scores(self, photos: torch.Tensor, beam: int | Literal["model", "all"] = "model") -> torch.Tensor:
        """Scores of all terminal cells, float32 (B, N) on the CPU, in the order of `ZoomGrid.flatten`. Higher is better.

        Up to a constant of each photo they are log-probabilities, as far as the learned temperature tells.

        Args:
            photos: Photo vectors (B, D) from `encode_photos`.
            beam: Cells of a level that a hierarchical model follows; "model" for its own setting, "all" for every path.

        Raises:
            ModelError: If the grid has more than `MAX_SCORED_CELLS` terminal cells.
        """
        if self.cells > MAX_SCORED_CELLS:
            raise ModelError("grid", f"{self.cells:,} terminal cells are too many for a score of each",
                             "Use top_cells, or a grid of less depth.")
        model = self.model
        if isinstance(model, CellClassifier):
            return model.cell_scores(photos).float().cpu()
        compared = model.embed_photos(photos)
        if isinstance(model, DualEncoder):
            return (model.scale * compared @ self._levels[0].T).float().cpu()
        steps = [model.weights[level - 1] * model.level_log_probs(compared, views, level)
                 for level, views in enumerate(self._levels, 1)]
        width = model.config.retriever.beam if beam == "model" else self.cells if beam == "all" else beam
        return path_scores(steps, width).float().cpu()

    @torch.inference_mode()
    def top_cells(self, photos: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The best terminal cells of each photo and their scores, (B, K) each, best first.

        A dual encoder's are found by faiss, exactly, without a score of every cell; so its map may have any number of them.

        Args:
            photos: Photo vectors (B, D).
            count: K; no more than there are cells.

        Raises:
            MissingExtraError: If faiss is not installed.
        """
        count = min(count, self.cells)
        if not isinstance(self.model, DualEncoder):
            best = self.scores(photos).topk(count)
            return best.indices, best.values
        compared = self.model.embed_photos(photos).float().cpu().numpy()
        similarities, cells = self._faiss().search(np.ascontiguousarray(compared), count)
        return torch.from_numpy(cells), self.model.scale.float().cpu() * torch.from_numpy(similarities)

    def _faiss(self) -> Any:
        if self._flat is None:
            try:
                import faiss
            except ModuleNotFoundError as error:
                raise MissingExtraError("faiss-cpu", "search") from error
            cells = self._levels[0].float().cpu().numpy()
            self._flat = faiss.IndexFlatIP(cells.shape[1])
            self._flat.add(np.ascontiguousarray(cells))
        return self._flat


def cell_scores(model: MapModel, photos: torch.Tensor, vectors: ViewVectors) -> torch.Tensor:
    """Scores (B, N) of all terminal cells for photo vectors (B, D); see `CellScores`, which to keep for many photos."""
    return CellScores(model, vectors).scores(photos)


def path_scores(steps: list[torch.Tensor], beam: int) -> torch.Tensor:
    """Scores (B, N) of terminal cells from the scores of all cells of each level, through a beam from parents to children.

    A followed path's score is the sum over its levels. A path that the beam lost has the sum up to where it was lost, and from
    there on the worst score of any cell that was looked at on each level. So every cell has a finite score, and none that was
    lost stands above one that was followed to the end.

    Args:
        steps: Scores (B, A ** level) of the cells of levels 1 to T.
        beam: Cells of a level whose children are looked at.
    """
    actions = steps[0].shape[1]
    total, looked_at = torch.zeros_like(steps[0][:, :1]), torch.ones_like(steps[0][:, :1], dtype=torch.bool)
    for level, own in enumerate(steps, 1):
        total, looked_at = total.repeat_interleave(actions, 1), looked_at.repeat_interleave(actions, 1)
        floor = own.masked_fill(~looked_at, torch.inf).amin(1, keepdim=True)
        total = total + torch.where(looked_at, own, floor)
        if level < len(steps) and beam < total.shape[1]:
            kept = total.masked_fill(~looked_at, -torch.inf).topk(beam).indices
            looked_at &= torch.zeros_like(looked_at).scatter(1, kept, True)
    return total
