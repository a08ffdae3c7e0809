"""A control without a map: a photo is told apart by which cell of one known place it was taken in.

It never sees the overhead side, so what it gets right is memory of the photos it was trained on. It knows no other map.
"""

from __future__ import annotations

from torch import Tensor, nn

from justzoomin.geometry import ViewLayers, ZoomGrid
from justzoomin.models.config import ModelConfig
from justzoomin.models.map_model import MapModel


class CellClassifier(MapModel):
    """An encoder and a linear layer over the terminal cells of the grid it is trained on."""

    family = "classifier"
    any_depth = False
    one_map = True

    def _build(self, config: ModelConfig) -> None:
        self.cells = nn.Linear(self.encoder.width, config.actions**config.depth)

    def layers(self, grid: ZoomGrid) -> ViewLayers:
        """None: it looks at no map."""
        return ViewLayers(grid, ())

    def cell_scores(self, photos: Tensor, cells: list[Tensor]) -> Tensor:
        """Score all terminal cells (B, N) for photo vectors (B, D): log-probabilities up to a constant."""
        scores: Tensor = self.cells(photos)
        return scores
