"""Retrieval level by level: one encoder, cells of all levels, paths ranked by the scores of all their levels.

The recipe is that of GeoMoE (arXiv 2608.01060): contrastive learning at each level without negatives across levels, a
learned temperature per level, dense references at the coarse levels, a beam of 4 through parents and children, and a small
calibrator that ranks the paths by their scores. Its layer of experts is optional. Encoder, sizes and schedule are our own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from justzoomin.geometry import Layer, ViewLayers, ZoomGrid
from justzoomin.models.config import ModelConfig
from justzoomin.models.heads import head, log_scales, scale_of, unit
from justzoomin.models.map_model import MapModel


class HierarchicalRetriever(MapModel):
    """One encoder for photos and for views of every level.

    A cell of a coarse level is represented by windows of its size, one centred on each of its children: with a grid of 4 the
    centres are a quarter of a cell apart. The cell's score is that of its best window. Terminal cells have one view each.

    The calibrator is a logistic regression on the candidates of a photo, with one weight for the log-probability of each level.
    No weight is negative, so a higher score at a level never lowers the rank of a path. Before training, all weights are one
    and the score is the sum over the path.
    """

    family = "hierarchical"
    any_depth = False

    def _build(self, config: ModelConfig) -> None:
        settings = config.retriever
        self.head: nn.Module = head(self.encoder.width, settings.width, settings.experts)
        self.log_scale = log_scales(settings.temperature, config.depth)
        self.path_weights = nn.Parameter(torch.full((config.depth,), _SOFTPLUS_OF_ONE))

    def layers(self, grid: ZoomGrid) -> ViewLayers:
        """Return the windows of levels 1 to depth - 1, then the terminal cells."""
        windows = [Layer(level + 1, grid.grid) for level in range(1, grid.depth)]
        return ViewLayers(grid, (*windows, Layer(grid.depth)))

    def embed_photos(self, photos: Tensor) -> Tensor:
        """Return the compared vectors (B, P), of length 1, of photo vectors (B, D) from `encode_photos`."""
        return unit(self.head(photos))

    def embed_views(self, views: Tensor) -> Tensor:
        """Return the compared vectors (N, P), of length 1, of view vectors (N, D)."""
        return unit(self.head(views))

    @property
    def scales(self) -> Tensor:
        """Factors (T,) of the similarities of each level."""
        return scale_of(self.log_scale)

    @property
    def weights(self) -> Tensor:
        """Weights (T,) of each level's log-probability in the score of a path: 0 or more."""
        return functional.softplus(self.path_weights)

    def level_log_probs(self, photos: Tensor, views: Tensor, level: int) -> Tensor:
        """Return log-probabilities (B, A ** level) of a level's cells, normalized over the level.

        Args:
            photos: Compared vectors (B, P).
            views: Compared vectors (N, P) of the level's windows, or of the terminal cells.
            level: The level, from 1.
        """
        scores = self.scales[level - 1] * photos @ views.T                     # (B, N)
        best = scores.view(len(scores), self.config.actions**level, -1).amax(-1)
        return best.log_softmax(-1)

    def describe_cells(self, layers: list[Tensor]) -> list[Tensor]:
        """Return the compared vectors of each level's windows, and of the terminal cells."""
        return [self.embed_views(views) for views in layers]

    def cell_scores(self, photos: Tensor, cells: list[Tensor]) -> Tensor:
        """Score all terminal cells (B, N) through a beam of the configured width; see `path_scores`."""
        compared = self.embed_photos(photos)
        steps = [self.weights[level - 1] * self.level_log_probs(compared, views, level) for level, views in enumerate(cells, 1)]
        return path_scores(steps, self.config.retriever.beam)


def path_scores(steps: list[Tensor], beam: int) -> Tensor:
    """Return scores (B, N) of terminal cells from the scores of all levels' cells, through a beam from parents to children.

    The score of a path that stays in the beam is the sum over its levels. A path that drops out of the beam keeps its sum up to
    there; each later level adds the worst score of the cells that the beam reached on that level. So every cell has a finite
    score, and no dropped path ranks above a path that was followed to the end.

    Args:
        steps: Scores (B, A ** level) of the cells of levels 1 to T.
        beam: Number of cells per level whose children the beam reaches.
    """
    actions = steps[0].shape[1]
    total, reached = torch.zeros_like(steps[0][:, :1]), torch.ones_like(steps[0][:, :1], dtype=torch.bool)
    for level, own in enumerate(steps, 1):
        total, reached = total.repeat_interleave(actions, 1), reached.repeat_interleave(actions, 1)
        floor = own.masked_fill(~reached, torch.inf).amin(1, keepdim=True)
        total = total + torch.where(reached, own, floor)
        if level < len(steps) and beam < total.shape[1]:
            kept = total.masked_fill(~reached, -torch.inf).topk(beam).indices
            reached &= torch.zeros_like(reached).scatter(1, kept, True)
    return total


_SOFTPLUS_OF_ONE = 0.5413248546129181
"""softplus of this is 1."""
