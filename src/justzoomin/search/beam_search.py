"""Beam search: it follows the K most probable paths at every step, each with the views that the path chose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from justzoomin.models import MapModel
from justzoomin.search.view_vectors import ViewVectors, refuse_undefined


class Beam(NamedTuple):
    """The paths of B photos that were followed to the end, the most probable first.

    Attributes:
        sequences: int64 (B, K, T) actions.
        log_probs: float32 (B, K) log-probability of each complete path.
    """

    sequences: torch.Tensor
    log_probs: torch.Tensor


@torch.inference_mode()
def beam(model: MapModel, photos: torch.Tensor, vectors: ViewVectors, depth: int, width: int) -> Beam:
    """Follow the `width` most probable prefixes of every level; a width of 1 is a greedy search.

    Args:
        model: The model, in evaluation mode.
        photos: Photo vectors (B, D) from `model.encode_photos`.
        vectors: The map's view vectors under the same model.
        depth: Steps to take.
        width: Number of prefixes to keep and of paths to return; fewer if the grid has fewer.

    Returns:
        The paths, on the CPU.
    """
    B, A, device = len(photos), model.config.actions, photos.device
    cache = model.begin(photos)
    numbers = np.zeros(B, np.int64)                                                     # of the views of the B K prefixes
    sequences = torch.zeros(B, 1, 0, dtype=torch.int64, device=device)
    total, action = torch.zeros(B, 1, device=device), None
    for _ in range(depth):
        logits = model.step(vectors.at(numbers), action, cache)                        # (B K, A)
        chances = total[..., None] + logits.float().log_softmax(-1).view(B, -1, A)     # (B, K, A)
        total, best = chances.flatten(1).topk(min(width, chances[0].numel()), 1)       # (B, K')
        parent = best // A
        picked = best % A
        sequences = torch.cat([sequences.gather(1, parent[..., None].expand(-1, -1, sequences.shape[2])), picked[..., None]], 2)
        rows = (parent + torch.arange(B, device=device)[:, None] * chances.shape[1]).flatten()
        cache, action = cache.select(rows), picked.flatten()
        numbers = numbers[rows.cpu().numpy()] * A + 1 + action.cpu().numpy()
    found = Beam(sequences.cpu(), total.cpu())
    refuse_undefined(found.log_probs.numpy()[:, 0])
    return found
