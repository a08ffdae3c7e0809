"""The exact posterior of a zoom model: the log-probability of every terminal cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.models import ZoomModel
from justzoomin.search.view_vectors import ViewVectors

STATES = 8192
"""Decoder states that are in memory at once."""


@torch.inference_mode()
def exact(model: ZoomModel, photos: torch.Tensor, vectors: ViewVectors, depth: int,
          temperatures: Sequence[float] | None = None) -> npt.NDArray[np.float32]:
    """Log-probabilities (B, N) of all terminal cells, in the order of `ZoomGrid.flatten`; prefixes are decoded once.

    Args:
        model: The model, in evaluation mode.
        photos: Photo vectors (B, D).
        vectors: The map's view vectors under the same model.
        depth: Steps of a path.
        temperatures: Divisors of each step's logits; None for ones.
    """
    actions = model.config.actions
    group = max(1, STATES // actions ** (depth - 1))
    parts = [_exact(model, photos[k:k + group], vectors, temperatures or (1.0,) * depth) for k in range(0, len(photos), group)]
    return np.concatenate(parts) if parts else np.empty((0, actions**depth), np.float32)


def _exact(model: ZoomModel, photos: torch.Tensor, vectors: ViewVectors, temperatures: Sequence[float],
           ) -> npt.NDArray[np.float32]:
    actions, count = model.config.actions, len(photos)
    cache, action, first = model.begin(photos), None, 0
    total = torch.zeros(count, 1, device=photos.device)
    for step, temperature in enumerate(temperatures):
        cells = actions**step
        views = vectors.at(np.arange(first, first + cells)).repeat(count, 1)                 # (B cells, D), all of one level
        logits = model.step(views, action, cache).float() / temperature                      # (B cells, A)
        total = (total[..., None] + logits.log_softmax(-1).view(count, cells, actions)).flatten(1)
        if step + 1 < len(temperatures):
            cache = cache.select(torch.arange(count * cells, device=photos.device).repeat_interleave(actions))
            action = torch.arange(actions, device=photos.device).repeat(count * cells)
        first += cells
    return total.cpu().numpy()
