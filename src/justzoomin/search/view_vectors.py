"""Vectors of a map's views under one model: each view is rendered and encoded once, when first needed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from justzoomin.data import normalize, to_tensor
from justzoomin.maps import GridViews
from justzoomin.models import ZoomModel


class ViewVectors:
    """Encoded views of a grid, kept in memory (a depth-4 grid of the `paper` model: 13 MB).

    Args:
        model: The model that encodes, in evaluation mode.
        views: The views to encode, at the model's pixel size.
        batch_size: Views encoded at once.
    """

    def __init__(self, model: ZoomModel, views: GridViews, batch_size: int = 32) -> None:
        self.model, self.views, self.batch_size = model, views, batch_size
        self._known: dict[tuple[int, ...], torch.Tensor] = {}

    def get(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """Vectors (N, D) of the views that N sequences lead to, on the model's device.

        Raises:
            TileError: If the map cannot give one of the views.
        """
        keys = [tuple(int(a) for a in s) for s in sequences]
        new = [k for k in dict.fromkeys(keys) if k not in self._known]
        config, device = self.model.config, self.model.device
        for start in range(0, len(new), self.batch_size):
            part = new[start:start + self.batch_size]
            images = torch.stack([to_tensor(self.views.get(k)) for k in part]).to(device)
            with torch.inference_mode():
                vectors = self.model.encode_views(normalize(images, config.mean, config.std))
            self._known.update(zip(part, vectors, strict=True))
        return torch.stack([self._known[k] for k in keys])

    def no_data(self, sequence: Sequence[int]) -> tuple[float, ...]:
        """Shares without data of the views along a path, root first, the terminal cell not looked at."""
        return tuple(self.views.no_data(sequence[:level]) for level in range(len(sequence)))

    def __len__(self) -> int:
        return len(self._known)
