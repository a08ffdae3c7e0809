"""The one place where a model and its map become scores of all terminal cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.models import ZoomModel
from justzoomin.search.exact import exact
from justzoomin.search.view_vectors import ViewVectors

Scorer = Callable[[torch.Tensor], npt.NDArray[np.floating]]
"""From photo vectors (B, D) to scores (B, N), log-probabilities up to a constant, in the order of `ZoomGrid.flatten`."""


def scorer(model: ZoomModel, vectors: ViewVectors) -> Scorer:
    """What scores all terminal cells, by the family of the model.

    Args:
        model: The model, in evaluation mode.
        vectors: The map's view vectors under the same model.
    """
    depth = vectors.views.grid.depth
    return lambda photos: exact(model, photos, vectors, depth)
