"""Training of the control without a map."""

from __future__ import annotations

import torch
from torch.nn import functional

from justzoomin.data import Batch
from justzoomin.models import CellClassifier
from justzoomin.training.task import Found, Task, best_cells


class ClassifierTask(Task):
    """A classifier of the cells of one map in training; see `Task` for its arguments."""

    model: CellClassifier

    def losses(self, photos: torch.Tensor, batch: Batch, seed: int) -> torch.Tensor:
        """Return the cross-entropy (B,) of the true terminal cell."""
        scores = self.model.cell_scores(photos, [])
        true = torch.zeros_like(batch["sequence"][:, 0])
        for action in batch["sequence"].unbind(1):
            true = true * self.grids[0].actions + action
        return functional.cross_entropy(scores, true, reduction="none", label_smoothing=self.config.label_smoothing)

    def find(self, number: int, photos: torch.Tensor, truth: torch.Tensor) -> Found:
        """Score all cells, whatever their number."""
        return best_cells(self.model.cell_scores(photos, []).float().cpu(), self.grids[number], truth)
