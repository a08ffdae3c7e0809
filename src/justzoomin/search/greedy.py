"""Greedy zooming: at every step the most probable cell, seen through the views the model itself chose."""

from __future__ import annotations

from typing import NamedTuple

import torch

from justzoomin.models import ZoomModel
from justzoomin.search.view_vectors import ViewVectors


class Paths(NamedTuple):
    """Paths of B photos over T steps.

    Attributes:
        sequences: int64 (B, T) actions picked.
        probabilities: float32 (B, T) probability of each, given those before.
    """

    sequences: torch.Tensor
    probabilities: torch.Tensor


@torch.inference_mode()
def greedy(model: ZoomModel, photos: torch.Tensor, vectors: ViewVectors, depth: int) -> Paths:
    """Decode greedily with cached keys and values.

    Args:
        model: The model, in evaluation mode.
        photos: Photo vectors (B, D) from `model.encode_photos`.
        vectors: The map's view vectors under the same model.
        depth: Steps to take.

    Returns:
        The paths, on the CPU.
    """
    count = len(photos)
    sequences = torch.empty((count, 0), dtype=torch.int64)
    probabilities = torch.empty((count, 0))
    cache = model.begin(photos)
    action: torch.Tensor | None = None
    for _ in range(depth):
        view = vectors.get(sequences.tolist())  # (B, D)
        chances = model.step(view, action, cache).float().softmax(-1)  # (B, A)
        best, action = chances.max(-1)
        sequences = torch.cat([sequences, action.cpu().unsqueeze(1)], 1)
        probabilities = torch.cat([probabilities, best.cpu().unsqueeze(1)], 1)
    return Paths(sequences, probabilities)


@torch.inference_mode()
def along_path(model: ZoomModel, photos: torch.Tensor, vectors: ViewVectors, sequences: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (B, T, A) of every action along given paths (B, T): teacher forcing, nothing chosen."""
    paths = sequences.tolist()
    views = torch.stack([vectors.get([path[:level] for path in paths]) for level in range(sequences.shape[1])], 1)
    return model.decode(photos, views, sequences.to(photos.device)).float().log_softmax(-1).cpu()
