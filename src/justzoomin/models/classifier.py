"""A control experiment without a map: the model classifies a photo into the cells of one known place.

It never sees the map, so its correct answers come from memory of the photos it was trained on. It knows no other map.
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
        """Return no views: the model does not see the map."""
        return ViewLayers(grid, ())

    def cell_scores(self, photos: Tensor, cells: list[Tensor]) -> Tensor:
        """Score all terminal cells (B, N) for photo vectors (B, D): log-probabilities up to a constant."""
        scores: Tensor = self.cells(photos)
        return scores
