"""Retrieval level by level: one encoder, cells of all levels, paths ranked by what all their levels say.

The recipe is that of GeoMoE (arXiv 2608.01060): contrastive learning at each level with no negatives across levels, a
learned temperature for each, dense references at the coarse levels, a beam of 4 through parents and children, and a small
calibrator that ranks the paths from their scores; its layer of experts is an option. Encoder, sizes and schedule are ours.
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

    A cell of a coarse level is referred to by windows of its size, one centred on each of its children: with a grid of 4 they
    stand a quarter of a cell apart. It is as good as the best of them. Terminal cells have one view each.

    The calibrator is a logistic regression on the candidates of a photo: a weight for the log-probability of each level, none
    below zero. So a path never falls because a level likes it more, and without training it is the sum over the path.
    """

    family = "hierarchical"
    any_depth = False

    def _build(self, config: ModelConfig) -> None:
        settings = config.retriever
        self.head: nn.Module = head(self.encoder.width, settings.width, settings.experts)
        self.log_scale = log_scales(settings.temperature, config.depth)
        self.path_weights = nn.Parameter(torch.full((config.depth,), _SOFTPLUS_OF_ONE))

    def layers(self, grid: ZoomGrid) -> ViewLayers:
        """The windows of levels 1 to depth - 1, then the terminal cells."""
        windows = [Layer(level + 1, grid.grid) for level in range(1, grid.depth)]
        return ViewLayers(grid, (*windows, Layer(grid.depth)))

    def embed_photos(self, photos: Tensor) -> Tensor:
        """Compared vectors (B, P), of length 1, of photo vectors (B, D) from `encode_photos`."""
        return unit(self.head(photos))

    def embed_views(self, views: Tensor) -> Tensor:
        """Compared vectors (N, P), of length 1, of view vectors (N, D)."""
        return unit(self.head(views))

    @property
    def scales(self) -> Tensor:
        """What the similarities of each level (T,) are multiplied by."""
        return scale_of(self.log_scale)

    @property
    def weights(self) -> Tensor:
        """What a level's log-probability (T,) counts in a path's score: 0 or more."""
        return functional.softplus(self.path_weights)

    def level_log_probs(self, photos: Tensor, views: Tensor, level: int) -> Tensor:
        """Log-probabilities (B, A ** level) of a level's cells, among themselves.

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
        """Score all terminal cells (B, N) through a beam of the width in the settings; see `path_scores`."""
        compared = self.embed_photos(photos)
        steps = [self.weights[level - 1] * self.level_log_probs(compared, views, level) for level, views in enumerate(cells, 1)]
        return path_scores(steps, self.config.retriever.beam)


def path_scores(steps: list[Tensor], beam: int) -> Tensor:
    """Return scores (B, N) of terminal cells from those of all cells of each level, through a beam from parents to children.

    A followed path's score is the sum over its levels. A path that the beam lost has the sum up to where it was lost, and from
    there on the worst score of any cell that was looked at on each level. So every cell has a finite score, and none that was
    lost stands above one that was followed to the end.

    Args:
        steps: Scores (B, A ** level) of the cells of levels 1 to T.
        beam: Cells of a level whose children are looked at.
    """
    actions = steps[0].shape[1]
    total, looked_at = torch.zeros_like(steps[0][:, :1]), torch.ones_like(steps[0][:, :1], dtype=torch.bool)
    for level, own in enumerate(steps, 1):
        total, looked_at = total.repeat_interleave(actions, 1), looked_at.repeat_interleave(actions, 1)
        floor = own.masked_fill(~looked_at, torch.inf).amin(1, keepdim=True)
        total = total + torch.where(looked_at, own, floor)
        if level < len(steps) and beam < total.shape[1]:
            kept = total.masked_fill(~looked_at, -torch.inf).topk(beam).indices
            looked_at &= torch.zeros_like(looked_at).scatter(1, kept, True)
    return total


_SOFTPLUS_OF_ONE = 0.5413248546129181
"""softplus of this is 1."""
