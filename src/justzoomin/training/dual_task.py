"""Training of dual encoders: symmetric InfoNCE of photos and terminal cells."""

from __future__ import annotations

import numpy as np
import torch

from justzoomin.models import DualEncoder
from justzoomin.training.contrast import References, info_nce
from justzoomin.training.retrieval_task import Ints, RetrievalTask


class DualTask(RetrievalTask):
    """A dual encoder in training; see `RetrievalTask` for its arguments."""

    model: DualEncoder

    def compare(self, photos: torch.Tensor, chosen: References, maps: Ints, real: torch.Tensor, seed: int) -> torch.Tensor:
        """Return the symmetric InfoNCE (B,)."""
        logits = self.model.scale * photos @ self.embed_cells(chosen.maps, chosen.cells, seed).float().T
        target = torch.from_numpy(chosen.target).to(logits.device)
        return info_nce(logits, target, torch.ones_like(logits, dtype=torch.bool), real, self.config.label_smoothing)

    def embed_cells(self, maps: Ints, cells: Ints, seed: int | None) -> torch.Tensor:
        """Return the compared vectors (R, P) of terminal cells, each from its views in all contexts."""
        numbers = np.concatenate([maps * len(self._layers) + start + cells for start in self._layers.starts[:-1]])
        vectors = self.encode_views(torch.from_numpy(numbers), seed)
        return self.model.embed_cells(vectors.view(len(self._layers.layers), len(cells), -1))
