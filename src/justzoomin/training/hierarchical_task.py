"""Training of hierarchical retrievers: symmetric InfoNCE at each level, and weights of levels from the ranking of paths."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from justzoomin.models import HierarchicalRetriever
from justzoomin.training.contrast import References, info_nce
from justzoomin.training.retrieval_task import Ints, RetrievalTask


class HierarchicalTask(RetrievalTask):
    """A hierarchical retriever in training; see `RetrievalTask` for its arguments."""

    model: HierarchicalRetriever

    def compare(self, photos: torch.Tensor, chosen: References, maps: Ints, real: torch.Tensor, seed: int) -> torch.Tensor:
        """Return the mean InfoNCE (B,) of the levels with the calibrator's loss; no views of different levels are compared."""
        grid, device = self.grids[0], photos.device
        windows = []  # per level: distinct (map, window), and the index of each reference's own among them
        for level in range(1, grid.depth + 1):
            finer = min(level + 1, grid.depth)
            key = chosen.maps * grid.actions**finer + chosen.cells // grid.actions**(grid.depth - finer)
            distinct, place = np.unique(key, return_inverse=True)
            windows.append((distinct // grid.actions**finer, distinct % grid.actions**finer, place.reshape(-1)))
        numbers = np.concatenate([m * len(self._layers) + start + w
                                  for (m, w, _), start in zip(windows, self._layers.starts, strict=False)])
        vectors = self.model.embed_views(self.encode_views(torch.from_numpy(numbers), seed)).float()
        losses, path = torch.zeros(len(photos), device=device), torch.zeros(len(photos), len(chosen.cells), device=device)
        parts = torch.split(vectors, [len(m) for m, _, _ in windows])
        for level, ((m, w, place), views) in enumerate(zip(windows, parts, strict=True), 1):
            logits = self.model.scales[level - 1] * photos @ views.T
            cell = m * grid.actions**level + w // (grid.actions if level < grid.depth else 1)
            target = place[chosen.target]
            allowed = torch.from_numpy(cell[target][:, None] != cell).to(device)  # other windows of its cell are not negatives
            losses = losses + info_nce(logits, torch.from_numpy(target).to(device), allowed, real, self.config.label_smoothing)
            path = path + self.model.weights[level - 1] * logits.detach()[:, torch.from_numpy(place).to(device)]
        elsewhere = torch.from_numpy(maps[:, None] != chosen.maps).to(device)
        ranked = functional.cross_entropy(path.masked_fill(elsewhere, -torch.inf),
                                                   torch.from_numpy(chosen.target).to(device), reduction="none")
        return losses / grid.depth + ranked - ranked.detach()  # the calibrator's loss trains its weights, but is not reported

    def embed_cells(self, maps: Ints, cells: Ints, seed: int | None) -> torch.Tensor:
        """Return the compared vectors (R, P) of terminal cells."""
        numbers = maps * len(self._layers) + self._layers.starts[-2] + cells
        return self.model.embed_views(self.encode_views(torch.from_numpy(numbers), seed))
