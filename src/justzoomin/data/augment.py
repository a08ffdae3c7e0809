"""Photometric augmentation of photos and views, on batches of tensors, on any device.

The published recipe: JPEG quality 90-100 (p .5), colour jitter (p .5), grey (p .1, photos only), blur or sharpen
(p .3), then grid or coarse dropout (p .3) on each half of a photo and on each view. There are two differences. Photos are
cropped at random while they are decoded, in `torch_data`, so the crop comes before the JPEG step. Blur and sharpening are
kornia's: they have the published strengths, but plain Gaussian and unsharp kernels.
"""

from __future__ import annotations

from typing import Any

import kornia.augmentation as kornia
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from justzoomin.data.transforms import halves


class AugmentConfig(BaseModel):
    """Strengths and probabilities of the augmentation; the defaults are the published ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    crop_scale: tuple[float, float] | None = (0.7, 1.0)
    jpeg_p: float = Field(0.5, ge=0, le=1)
    jpeg_quality: tuple[float, float] = (90.0, 100.0)
    jitter_p: float = Field(0.5, ge=0, le=1)
    brightness: float = Field(0.2, ge=0, le=1)
    contrast: float = Field(0.2, ge=0, le=1)
    saturation: float = Field(0.2, ge=0, le=1)
    hue: float = Field(0.05, ge=0, le=0.5)
    grey_p: float = Field(0.1, ge=0, le=1)
    blur_p: float = Field(0.3, ge=0, le=1)
    dropout_p: float = Field(0.3, ge=0, le=1)
    views: bool = True

    @model_validator(mode="after")
    def _ranges(self) -> AugmentConfig:
        for name, values, top in (("crop_scale", self.crop_scale, 1.0), ("jpeg_quality", self.jpeg_quality, 100.0)):
            if values is not None and not 0.0 < values[0] <= values[1] <= top:
                raise ValueError(f"{name} {values} must be a range (lower, upper) between 0 and {top:g}")
        return self


class Augment:
    """Augmentation of a batch. Every random draw comes from a seed given with the batch, so runs can be repeated."""

    def __init__(self, config: AugmentConfig) -> None:
        self.config = config
        c = config
        photometric: list[Any] = []
        if c.jpeg_p:
            photometric.append(kornia.RandomJPEG(jpeg_quality=c.jpeg_quality, p=c.jpeg_p))
        if c.jitter_p:
            photometric.append(kornia.ColorJitter(c.brightness, c.contrast, c.saturation, c.hue, p=c.jitter_p))
        self._views = list(photometric)
        self._photos = list(photometric)
        if c.grey_p:
            self._photos.append(kornia.RandomGrayscale(p=c.grey_p))
        self._blur = kornia.RandomGaussianBlur((7, 7), (0.2, 1.0), p=1.0)
        self._sharpen = kornia.RandomSharpness((0.2, 0.8), p=1.0)

    def photos(self, wide: torch.Tensor, seed: int) -> torch.Tensor:
        """Augment wide photos, uint8 (B, 3, H, 2H), and cut them into halves: float in [0, 1] (B, 2, 3, H, H)."""
        if not self.config.enabled:
            return halves(wide).float() / 255.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pictures = self._apply(self._photos, wide.float() / 255.0)
            cut = halves(pictures)
            flat = cut.reshape(-1, *cut.shape[2:])
            return self._dropout(flat, 0.5).reshape(cut.shape)

    def views(self, views: torch.Tensor, seed: int, keep: torch.Tensor) -> torch.Tensor:
        """Augment distinct views, uint8 (V, 3, H, H), to float in [0, 1], with one draw per view and batch.

        Args:
            views: The distinct views of a batch.
            seed: Seed of the draws.
            keep: Mask (V,) of views to leave unchanged; the root is never augmented. It is on the CPU, so that reading it does
                not wait for a GPU.
        """
        plain = views.float() / 255.0
        if not (self.config.enabled and self.config.views) or bool(keep.all()):
            return plain
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            changed = self._dropout(self._apply(self._views, plain), 0.4)
        return torch.where(keep.to(plain.device).view(-1, 1, 1, 1), plain, changed)

    def _apply(self, steps: list[Any], pictures: torch.Tensor) -> torch.Tensor:
        for step in steps:
            pictures = step(pictures)
        if self.config.blur_p:
            draw = torch.rand(len(pictures))
            blur, sharpen = draw < self.config.blur_p / 2, draw > 1 - self.config.blur_p / 2
            for mask, step in ((blur, self._blur), (sharpen, self._sharpen)):
                chosen = mask.nonzero().squeeze(1)
                if len(chosen):
                    chosen = chosen.to(pictures.device)
                    pictures = pictures.index_copy(0, chosen, step(pictures[chosen]))
        return pictures.clamp(0.0, 1.0)

    def _dropout(self, pictures: torch.Tensor, grid_share: float) -> torch.Tensor:
        """Return pictures (N, 3, H, H), a share `dropout_p` of them with black holes from grid or coarse dropout."""
        count, size = len(pictures), pictures.shape[-1]
        if not self.config.dropout_p or not count:
            return pictures
        draw = torch.rand(count)
        masks = torch.zeros(count, size, size, dtype=torch.bool)
        for i in torch.nonzero(draw < self.config.dropout_p).flatten().tolist():
            masks[i] = _grid_mask(size, grid_share) if torch.rand(()) < 0.5 else _coarse_mask(size)
        return pictures.masked_fill(masks.to(pictures.device).unsqueeze(1), 0.0)


def _grid_mask(size: int, share: float) -> torch.Tensor:
    """Return a mask with a regular grid of square holes whose edge is `share` of the period; True is a hole."""
    period = int(torch.randint(max(4, size // 10), max(5, size // 3), ()))
    shift = torch.randint(0, period, (2,))
    hole = (torch.arange(size).unsqueeze(0) + shift.unsqueeze(1)) % period < round(share * period)  # (2, size)
    return hole[0].unsqueeze(1) & hole[1].unsqueeze(0)


def _coarse_mask(size: int) -> torch.Tensor:
    """Return a mask with 10 to 25 holes, each edge a tenth to a fifth of the picture; True is a hole."""
    mask = torch.zeros(size, size, dtype=torch.bool)
    low, high = max(1, size // 10), max(2, size // 5)
    for _ in range(int(torch.randint(10, 26, ()))):
        height, width = torch.randint(low, high + 1, (2,)).tolist()
        top, left = int(torch.randint(0, size - height + 1, ())), int(torch.randint(0, size - width + 1, ()))
        mask[top:top + height, left:left + width] = True
    return mask
