"""The zoomer: photo halves and views in, logits of every step out."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from justzoomin.errors import ModelError
from justzoomin.geometry import ViewLayers, ZoomGrid, zoom_layers
from justzoomin.models.config import MatcherConfig, ModelConfig
from justzoomin.models.decoder import Decoder, DecoderCache
from justzoomin.models.encoder import VisionEncoder
from justzoomin.models.map_model import MapModel

if TYPE_CHECKING:
    from justzoomin.models.ray_matcher import Ground


class ZoomModel(MapModel):
    """One encoder for photos and views, a decoder that picks cells, and a ray matcher if the settings have one.

    See `MapModel` for the arguments.
    """

    family = "zoom"
    decodes_paths = True

    def _build(self, config: ModelConfig) -> None:
        self.decoder = Decoder(config.decoder, self.encoder.width, config.actions)
        if config.matcher is None:
            return
        own = None
        if config.matcher.own_encoder:  # a torch encoder starts as a copy of the model's
            own = deepcopy(self.encoder) if isinstance(self.encoder, VisionEncoder) else self.encoder.matcher
        through = own or self.encoder
        from justzoomin.models.ray_matcher import RayMatcher

        self.matcher = RayMatcher(config.matcher, through.stage_widths, through.stride, config.photo_pixels)
        self.matcher_encoder = own

    def layers(self, grid: ZoomGrid) -> ViewLayers:
        """Return all cells except the terminal cells."""
        return zoom_layers(grid)

    def encode_photos(self, photos: Tensor) -> Tensor:
        """Encode photos as the mean of their halves' vectors, followed by the photo's fan if the model has a matcher.

        Args:
            photos: (B, 2, 3, H, W), normalized, H and W being the settings' `photo_pixels`; (B, 4, 3, H, W) if the settings'
                frame has two parts, the matcher's halves last.

        Returns:
            (B, D), or (B, D + F).

        Raises:
            ModelError: If there are not as many halves as the settings' frame has.
        """
        if self.matcher is None:
            return super().encode_photos(photos)
        if photos.shape[1] != (needed := 2 * len(self.config.frame.parts)):
            raise ModelError("photos", f"they have {photos.shape[1]} halves, but this model needs {needed}",
                             "Bring them into the model's frame (framed_photo with its config.frame), or use load_photo.")
        pixels = self.config.image_pixels
        if self.matcher_encoder is not None or photos.shape[-1] != pixels or photos.shape[1] > 2:
            own = photos[:, :2]
            reduced = functional.adaptive_avg_pool2d(own.flatten(0, 2), pixels).view(*own.shape[:3], pixels, pixels)
            return torch.cat([super().encode_photos(reduced), self.photo_fans(photos)], dim=1)
        halves, maps = self.encoder.stages(photos.flatten(0, 1))
        return torch.cat([halves.view(-1, 2, halves.shape[-1]).mean(dim=1), self.matcher.fans(maps)], dim=1)

    def photo_fans(self, photos: Tensor) -> Tensor:
        """Return the fans (B, F) of photos (B, 2 or 4, 3, H, W), normalized, without their other vectors.

        Raises:
            ModelError: If the model has no matcher.
        """
        if self.matcher is None:
            return super().photo_fans(photos)
        return self.matcher.fans((self.matcher_encoder or self.encoder).stages(photos[:, -2:].flatten(0, 1))[1])

    def fans(self, photos: Tensor) -> Tensor:
        """Return the fans (B, F) that are part of the photo vectors (B, D + F) from `encode_photos`."""
        return photos[:, self.encoder.width :]

    def describe_ground(self, picture: Tensor) -> Ground:
        """Return the matcher's description of a piece of map, from its normalized picture (3, H, W).

        Raises:
            ModelError: If the model has no matcher.
        """
        if self.matcher is None:
            raise ModelError("model", "it has no ray matcher", "Train one with the preset best.")
        encoder = self.encoder if self.matcher_encoder is None else self.matcher_encoder
        return self.matcher.ground(encoder.stages(picture[None])[1])

    def decode(self, photo: Tensor, views: Tensor, actions: Tensor) -> Tensor:
        """Return logits (B, T, A) from vectors: photo (B, D) or (B, D + F), views (B, T, D), actions (B, T - 1) or (B, T)."""
        logits: Tensor = self.decoder(photo[:, : self.encoder.width], views, actions)
        return logits

    def begin(self, photo: Tensor) -> DecoderCache:
        """Begin to decode step by step from photo vectors (B, D); see `Decoder.begin`."""
        return self.decoder.begin(photo[:, : self.encoder.width])

    def step(self, view: Tensor, action: Tensor | None, cache: DecoderCache) -> Tensor:
        """Return logits (B, A) after one more view vector (B, D) and the action (B,) that led to it; see `Decoder.step`."""
        return self.decoder.step(view, action, cache)

    def fan_out(self, views: Tensor, cache: DecoderCache, *, keep: bool = True) -> tuple[Tensor, DecoderCache]:
        """Return logits (B, A, A) after every action and the view (B, A, D) it leads to; see `Decoder.fan_out`."""
        return self.decoder.fan_out(views, cache, keep=keep)

    def forward(self, photos: Tensor, views: Tensor, view_index: Tensor, actions: Tensor) -> Tensor:
        """Score every step of known paths (teacher forcing), encoding each distinct view once.

        Args:
            photos: (B, 2, 3, H, W), normalized halves.
            views: (V, 3, H, W), the distinct views of the batch, normalized.
            view_index: (B, T), the index of each step's view among them.
            actions: (B, T) or (B, T - 1), the true actions.

        Returns:
            (B, T, A) logits.
        """
        photo = self.encode_photos(photos)                                    # (B, D)
        vectors = self.encode_views(views)                                    # (V, D)
        return self.decode(photo, vectors[view_index], actions)


Model = TypeVar("Model", bound=MapModel)


def with_photo_scale(model: Model, scale: float) -> Model:
    """Return the same model whose ray matcher sees photos at another scale, to train it further.

    Its rows and rays become finer. What the matcher knows of each row's distance is interpolated, and all other weights stay.

    Args:
        model: A model with a ray matcher; it is not changed.
        scale: The matcher's new `photo_scale`.

    Raises:
        ModelError: If it has no matcher.
    """
    if model.matcher is None:
        raise ModelError("model", "it has no ray matcher", "Train one with the preset best.")
    matcher = model.matcher.config.model_copy(update={"photo_scale": scale})
    found = type(model)(model.config.model_copy(update={"matcher": matcher}), pretrained=False)
    weights = dict(model.state_dict())
    rows = weights["matcher.row_bias"]                                        # (rows, R)
    assert found.matcher is not None
    weights["matcher.row_bias"] = functional.interpolate(rows.t()[None], size=found.matcher.rows, mode="linear",
                                                         align_corners=False)[0].t()
    found.load_state_dict(weights)
    found.provenance = model.provenance
    return found


def with_matcher(model: Model, matcher: MatcherConfig, preset: str | None = None, seed: int = 0,
                 stages: tuple[int, ...] = ()) -> Model:
    """Return the same zoomer with a fresh ray matcher to train; a separate encoder starts as a copy of the zoomer's.

    Args:
        model: A model without a matcher; it is not changed.
        matcher: Settings of the matcher.
        preset: Name of the preset of the new model.
        seed: Seed of the matcher's weights.
        stages: Blocks of the encoder that give the matcher's feature maps; see `EncoderConfig`.
    """
    encoder = model.config.encoder.model_copy(update={"stages": stages})
    config = model.config.model_copy(update={"matcher": matcher, "preset": preset, "encoder": encoder})
    found = type(model)(config, pretrained=False, seed=seed)
    found.load_state_dict({**found.state_dict(), **model.state_dict()})
    if found.matcher_encoder is not None:
        found.matcher_encoder.load_state_dict(model.encoder.state_dict())
    found.provenance = model.provenance
    return found
