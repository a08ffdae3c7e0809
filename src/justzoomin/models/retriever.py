"""The dual encoder of the retrieval field: photo and terminal cell as two vectors, compared by their cosine.

The recipe is that of Sample4Geo (Deuser, Habel and Oswald, ICCV 2023): one encoder for both sides, vectors of length 1, a
learned temperature. Its loss and its batches are in `training`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from justzoomin.geometry import Layer, ViewLayers, ZoomGrid
from justzoomin.models.config import ModelConfig
from justzoomin.models.heads import head, log_scales, scale_of, unit
from justzoomin.models.map_model import MapModel


class DualEncoder(MapModel):
    """One encoder for photos and views; a cell's score is its cosine with the photo over a learned temperature.

    A cell with several contexts has one view per context. Their vectors are concatenated and projected. A mean would be a
    special case of this, and could not tell the cell from its surroundings. The map's index holds the vectors before this step.
    """

    family = "retriever"

    def _build(self, config: ModelConfig) -> None:
        settings, width = config.retriever, self.encoder.width
        self.photo_head = head(width, settings.width, settings.experts)
        contexts = len(settings.contexts)
        out = settings.width if contexts == 1 else settings.width or width
        self.view_head: nn.Module = head(contexts * width, out, settings.experts)
        self.log_scale = log_scales(settings.temperature, 1)

    def layers(self, grid: ZoomGrid) -> ViewLayers:
        """Return the terminal cells, once per context."""
        return ViewLayers(grid, tuple(Layer(grid.depth, scale) for scale in self.config.retriever.contexts))

    def embed_photos(self, photos: Tensor) -> Tensor:
        """Return the compared vectors (B, P), of length 1, of photo vectors (B, D) from `encode_photos`."""
        return unit(self.photo_head(photos))

    def embed_cells(self, views: Tensor) -> Tensor:
        """Return the compared vectors (N, P), of length 1, of cells whose views in each context have the vectors (C, N, D)."""
        return unit(self.view_head(views.transpose(0, 1).flatten(1)))

    def describe_cells(self, layers: list[Tensor]) -> list[Tensor]:
        """Return the compared vectors (N, P) of the cells."""
        return [self.embed_cells(torch.stack(layers))]

    def queries(self, photos: Tensor) -> Tensor:
        """Return the photos' compared vectors (B, P), scaled."""
        return self.scale * self.embed_photos(photos)

    @property
    def scale(self) -> Tensor:
        """Factor of similarities: one over the temperature."""
        return scale_of(self.log_scale)[0]
