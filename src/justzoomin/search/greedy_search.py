"""Greedy zooming: it picks the most probable cell at every step, with the views that the model itself chose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from justzoomin.geometry import view_numbers
from justzoomin.models import MapModel
from justzoomin.search.view_vectors import ViewVectors, refuse_undefined


class Paths(NamedTuple):
    """Paths of B photos over T steps.

    Attributes:
        sequences: int64 (B, T) picked actions.
        probabilities: float32 (B, T) probability of each action, given those before it.
    """

    sequences: torch.Tensor
    probabilities: torch.Tensor


@torch.inference_mode()
def greedy(model: MapModel, photos: torch.Tensor, vectors: ViewVectors, depth: int) -> Paths:
    """Decode greedily with cached keys and values.

    Args:
        model: The model, in evaluation mode.
        photos: Photo vectors (B, D) from `model.encode_photos`.
        vectors: The map's view vectors under the same model.
        depth: Steps to take.

    Returns:
        The paths, on the CPU.
    """
    numbers = np.zeros(len(photos), np.int64)  # of the current views
    picked: list[torch.Tensor] = []
    chances: list[torch.Tensor] = []
    cache = model.begin(photos)
    action: torch.Tensor | None = None
    for _ in range(depth):
        logits = model.step(vectors.at(numbers), action, cache)  # (B, A)
        best, action = logits.float().softmax(-1).max(-1)
        picked.append(action.cpu())
        chances.append(best.cpu())
        numbers = numbers * model.config.actions + 1 + picked[-1].numpy()
    found = Paths(torch.stack(picked, 1), torch.stack(chances, 1))
    refuse_undefined(found.probabilities.numpy())
    return found


@torch.inference_mode()
def along_path(model: MapModel, photos: torch.Tensor, vectors: ViewVectors, sequences: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities (B, T, A) of every action along given paths (B, T) (teacher forcing)."""
    numbers = view_numbers(vectors.views.grid, sequences.numpy())  # (B, T)
    views = vectors.at(numbers.ravel()).view(*numbers.shape, -1)
    found = model.decode(photos, views, sequences.to(photos.device)).float().log_softmax(-1).cpu()
    refuse_undefined(found.numpy().max(-1))
    return found
