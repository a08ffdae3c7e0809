"""Accuracy of each step given the true path before it: the second figure of the published protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.search import Localizer, along_path


@dataclass(frozen=True)
class Steps:
    """Results of a model that decodes paths along N true paths of T steps (teacher forcing).

    Attributes:
        right: Whether (N, T) the most probable action is the true one, given the true path before it.
        true_log_prob: Log-probability (N,) of the complete true path.
    """

    right: npt.NDArray[np.bool_]
    true_log_prob: npt.NDArray[np.float64]

    @classmethod
    def along(cls, localizer: Localizer, photos: torch.Tensor, true: npt.NDArray[np.int64]) -> Steps:
        """Follow the true sequences (B, T) of photos with vectors (B, D).

        Raises:
            TileError: If a view of the map cannot be drawn.
        """
        path = torch.from_numpy(true)
        chances = along_path(localizer.model, photos, localizer.vectors, path)
        likelihood = chances.gather(-1, path.unsqueeze(-1)).squeeze(-1).sum(-1)
        return cls((chances.argmax(-1) == path).numpy(), likelihood.numpy().astype(np.float64))

    @classmethod
    def joined(cls, parts: Sequence[Steps]) -> Steps:
        """Join the steps of several batches into one."""
        return cls(np.concatenate([part.right for part in parts]), np.concatenate([part.true_log_prob for part in parts]))
