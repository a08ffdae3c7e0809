"""The zoomer: photo halves and views in, logits of every step out."""

from __future__ import annotations

from torch import Tensor

from justzoomin.geometry import ViewLayers, ZoomGrid, zoom_layers
from justzoomin.models.config import ModelConfig
from justzoomin.models.decoder import Decoder, DecoderCache
from justzoomin.models.map_model import MapModel


class ZoomModel(MapModel):
    """One encoder for photos and views, and a decoder that picks cells. See `MapModel` for its arguments."""

    family = "zoom"

    def _build(self, config: ModelConfig) -> None:
        self.decoder = Decoder(config.decoder, self.encoder.width, config.actions)

    def layers(self, grid: ZoomGrid) -> ViewLayers:
        """All cells but the terminal ones."""
        return zoom_layers(grid)

    def decode(self, photo: Tensor, views: Tensor, actions: Tensor) -> Tensor:
        """Logits (B, T, A) from vectors: photo (B, D), views (B, T, D), actions (B, T - 1) or (B, T)."""
        logits: Tensor = self.decoder(photo, views, actions)
        return logits

    def begin(self, photo: Tensor) -> DecoderCache:
        """Begin to decode step by step from photo vectors (B, D); see `Decoder.begin`."""
        return self.decoder.begin(photo)

    def step(self, view: Tensor, action: Tensor | None, cache: DecoderCache) -> Tensor:
        """Logits (B, A) after one more view vector (B, D) and the action (B,) that led to it; see `Decoder.step`."""
        return self.decoder.step(view, action, cache)

    def fan_out(self, views: Tensor, cache: DecoderCache, *, keep: bool = True) -> tuple[Tensor, DecoderCache]:
        """Logits (B, A, A) after every action and the view (B, A, D) it leads to; see `Decoder.fan_out`."""
        return self.decoder.fan_out(views, cache, keep=keep)

    def forward(self, photos: Tensor, views: Tensor, view_index: Tensor, actions: Tensor) -> Tensor:
        """Score every step of known paths (teacher forcing), encoding each distinct view once.

        Args:
            photos: (B, 2, 3, H, W), normalized halves.
            views: (V, 3, H, W), the distinct views of the batch, normalized.
            view_index: (B, T), which of them each step sees.
            actions: (B, T) or (B, T - 1), the true actions.

        Returns:
            (B, T, A) logits.
        """
        photo = self.encode_photos(photos)                                    # (B, D)
        vectors = self.encode_views(views)                                    # (V, D)
        return self.decode(photo, vectors[view_index], actions)
