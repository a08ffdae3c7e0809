"""The exact posterior of a zoom model: the log-probability of every terminal cell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.errors import ModelError
from justzoomin.models import MapModel
from justzoomin.search.view_vectors import ViewVectors

if TYPE_CHECKING:
    from justzoomin.models import DecoderCache

STATES = 1024
"""Largest number of decoder states of a level in memory at once."""


@torch.inference_mode()
def exact(model: MapModel, photos: torch.Tensor, vectors: ViewVectors, depth: int,
          temperatures: Sequence[float] | None = None) -> npt.NDArray[np.float32]:
    """Return log-probabilities (B, N) of all terminal cells, in the order of `ZoomGrid.flatten`.

    Every prefix of a path is decoded once, and the common past of its children is read once. States are followed down the tree
    in groups: memory holds at most `STATES` states of each level, the result, and the vectors of all views.

    Args:
        model: The model, in evaluation mode.
        photos: Photo vectors (B, D) from `model.encode_photos`.
        vectors: The map's view vectors under the same model.
        depth: Steps of a path.
        temperatures: Divisors of each step's logits; None for ones.

    Raises:
        ModelError: If there is not one temperature for each step.
        TileError: If the map cannot give a view.
    """
    divisors = (1.0,) * depth if temperatures is None else tuple(temperatures)
    if len(divisors) != depth:
        raise ModelError("temperatures", f"{len(divisors)} temperatures were given for {depth} steps", "Give one per step.")
    tree = _Tree(model, vectors, divisors)
    found = torch.empty(len(photos), model.config.actions**depth, device=photos.device)
    for start in range(0, len(photos), STATES):
        some = photos[start:start + STATES]
        cache = model.begin(some)
        logits = model.step(tree.root.expand(len(some), -1), None, cache)
        tree.descend(logits, torch.zeros(len(some), device=some.device), cache, torch.arange(start, start + len(some)),
                     torch.zeros(len(some), dtype=torch.int64), found)
    return found.cpu().numpy()


class _Tree:
    """The views of all levels, and the walk from states to terminal cells."""

    def __init__(self, model: MapModel, vectors: ViewVectors, temperatures: tuple[float, ...]) -> None:
        self.model, self.temperatures, self.actions = model, temperatures, model.config.actions
        ends = np.cumsum([0, *(self.actions**level for level in range(len(temperatures)))])
        self._levels = [vectors.at(np.arange(a, b)) for a, b in pairwise(ends)]

    @property
    def root(self) -> torch.Tensor:
        """Vector (1, D) of the view of the whole region."""
        return self._levels[0]

    def descend(self, logits: torch.Tensor, total: torch.Tensor, cache: DecoderCache, photo: torch.Tensor, cell: torch.Tensor,
                found: torch.Tensor, level: int = 0) -> None:
        """Write the log-probabilities of all terminal cells below R states.

        Args:
            logits: Of the states' actions (R, A).
            total: Log-probability (R,) of each state's path.
            cache: Their decoder cache.
            photo: Row (R,) of each state in `found`.
            cell: Number (R,) of each state's cell on its level.
            found: Result (B, N).
            level: Level of the states.
        """
        chances = total[:, None] + (logits.float() / self.temperatures[level]).log_softmax(-1)      # (R, A)
        if level + 1 == len(self.temperatures):
            found.view(len(found), -1, self.actions)[photo.to(found.device), cell.to(found.device)] = chances
            return
        children = cell[:, None] * self.actions + torch.arange(self.actions)                        # (R, A)
        last = level + 2 == len(self.temperatures)
        for part in torch.split(torch.arange(len(cell)), max(1, STATES // self.actions)):
            rows = part.to(found.device)
            views = self._levels[level + 1][children[part].to(found.device)]                        # (R, A, D)
            some = cache if len(part) == len(cell) else cache.select(rows)
            below, next_cache = self.model.fan_out(views, some, keep=not last)
            self.descend(below.flatten(0, 1), chances[rows].flatten(), next_cache, photo[part].repeat_interleave(self.actions),
                         children[part].flatten(), found, level + 1)
