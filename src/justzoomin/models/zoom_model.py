"""The whole model: photo halves and views in, logits of every step out."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from justzoomin.errors import ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.models.config import ModelConfig
from justzoomin.models.decoder import Decoder, DecoderCache
from justzoomin.models.encoder import VisionEncoder
from justzoomin.models.onnx_encoder import OnnxEncoder
from justzoomin.models.ray_matcher import Ground, RayMatcher
from justzoomin.models.unset import UnsetWeights


class ZoomModel(nn.Module):
    """One encoder for photos and views, and a decoder that picks cells.

    Args:
        config: The settings, often `model_preset("paper")` or `model_preset("small")`.
        pretrained: Take the encoder's weights from its source where it has one (a hub id needs the network on first
            use); False leaves fresh weights for others to follow.
        seed: Seed of fresh weights. The global random state is left as it was.
        fresh: Draw fresh weights; False leaves them unset (with `pretrained` False) where all are read from a file next.
        encoder: An exported encoder to use in the place of torch's.

    Attributes:
        config: The settings with the encoder's complete architecture filled in.
        grid: The grid it was trained on; None if not trained yet or not known.
        provenance: What is known about its making, from `provenance.json`.
    """

    def __init__(self, config: ModelConfig, *, pretrained: bool = True, seed: int = 0, fresh: bool = True,
                 encoder: OnnxEncoder | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = encoder or VisionEncoder(config.encoder, pretrained=pretrained, fresh=fresh)
            with contextlib.nullcontext() if fresh else UnsetWeights():
                self.decoder = Decoder(config.decoder, self.encoder.width, config.actions)
                self.matcher = None if config.matcher is None else RayMatcher(
                    config.matcher, self.torch_encoder.stage_widths, self.torch_encoder.stride, config.image_pixels)
        self.config = config.model_copy(update={"encoder": self.encoder.config})
        self.grid: ZoomGrid | None = None
        self.provenance: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def torch_encoder(self) -> VisionEncoder:
        """The encoder with weights of its own, which can be trained.

        Raises:
            ModelError: If an exported one stands in its place.
        """
        if isinstance(self.encoder, OnnxEncoder):
            raise ModelError(self.encoder.path, "an exported encoder has no parts and cannot be trained",
                             "Use the runtime torch.")
        return self.encoder

    def encode_photos(self, photos: Tensor) -> Tensor:
        """Encode photos as the mean of their left and right half's vectors.

        Args:
            photos: (B, 2, 3, H, W), normalized.

        Returns:
            (B, D); where the model has a matcher, (B, D + F) with the photo's fan behind.
        """
        if self.matcher is None:
            halves: Tensor = self.encoder(photos.flatten(0, 1))               # (2 B, D)
            return halves.view(-1, 2, halves.shape[-1]).mean(dim=1)           # (B, D)
        halves, maps = self.torch_encoder.stages(photos.flatten(0, 1))
        return torch.cat([halves.view(-1, 2, halves.shape[-1]).mean(dim=1), self.matcher.fans(maps)], dim=1)

    def fans(self, photos: Tensor) -> Tensor:
        """The fans (B, F) in what `encode_photos` gave (B, D + F)."""
        return photos[:, self.encoder.width :]

    def describe_ground(self, picture: Tensor) -> Ground:
        """What the matcher sees of a piece of map, from its normalized picture (3, H, W).

        Raises:
            ModelError: If the model has no matcher.
        """
        if self.matcher is None:
            raise ModelError("model", "it has no ray matcher", "Train one with the preset best.")
        return self.matcher.ground(self.torch_encoder.stages(picture[None])[1])

    def encode_views(self, views: Tensor) -> Tensor:
        """Encode views (N, 3, H, W), normalized, to (N, D)."""
        vectors: Tensor = self.encoder(views)
        return vectors

    def decode(self, photo: Tensor, views: Tensor, actions: Tensor) -> Tensor:
        """Logits (B, T, A) from vectors: photo (B, D) or (B, D + F), views (B, T, D), actions (B, T - 1) or (B, T)."""
        logits: Tensor = self.decoder(photo[:, : self.encoder.width], views, actions)
        return logits

    def begin(self, photo: Tensor) -> DecoderCache:
        """Begin to decode step by step from photo vectors (B, D); see `Decoder.begin`."""
        return self.decoder.begin(photo[:, : self.encoder.width])

    def step(self, view: Tensor, action: Tensor | None, cache: DecoderCache) -> Tensor:
        """Logits (B, A) after one more view vector (B, D) and the action (B,) that led to it; see `Decoder.step`."""
        return self.decoder.step(view, action, cache)

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

    def fingerprint(self) -> str:
        """Sixty-four hex digits that change with any setting or weight: what caches and reports name it by.

        A model with an exported encoder has the fingerprint of the model it was exported from: its vectors are the same
        to rounding.
        """
        if isinstance(self.encoder, OnnxEncoder):
            return self.encoder.header.model
        left_out = {"matcher"} if self.config.matcher is None else None  # models of before keep their fingerprints
        digest = hashlib.sha256(self.config.model_dump_json(exclude=left_out).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def save_pretrained(self, folder: str | Path, grid: ZoomGrid | None = None,
                        extra: dict[str, Any] | None = None, *, half: bool = False) -> Path:
        """Write the model folder; returns its path.

        Args:
            folder: Where; made if missing, replaced file by file if there.
            grid: The grid it was trained on; None for `self.grid`.
            extra: What to record in `provenance.json`; None for `self.provenance`.
            half: Store weights as 16-bit floats, half the size: for sharing, not for training on. The model opened
                from there computes in 32 bits, with rounded weights and so another fingerprint.

        Raises:
            ModelError: The grid's number of actions is not the model's, or the folder cannot be written.
        """
        from justzoomin.models.checkpoints import save_checkpoint

        return save_checkpoint(self, Path(folder), grid if grid is not None else self.grid,
                               self.provenance if extra is None else extra, half=half)

    @classmethod
    def from_pretrained(cls, folder_or_hub_id: str | Path, device: str | torch.device = "cpu",
                        revision: str | None = None, runtime: str = "torch") -> ZoomModel:
        """Open a model folder, or a repository of the hub, in evaluation mode.

        Args:
            folder_or_hub_id: A folder that `save_pretrained` wrote, or `owner/name` on the hub.
            device: Where the weights go: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best there is.
            revision: Branch, tag or commit of the hub's repository.
            runtime: What runs the encoder: "torch"; "onnx" for the `encoder.onnx` that `export_onnx` wrote into the folder;
                or the path of such a file. Anything but torch is for the CPU, cannot be trained, and needs no transformers.

        Raises:
            ModelError: It cannot be found, a file is missing or broken, weights and settings contradict each other,
                the device is not there, or the exported encoder is missing, broken or another model's.
            MissingExtraError: The runtime needs a package that is not installed.
        """
        from justzoomin.models.checkpoints import load_checkpoint

        return load_checkpoint(folder_or_hub_id, device, revision, runtime)
