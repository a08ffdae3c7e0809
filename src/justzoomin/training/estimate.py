"""What a training on a vision transformer will cost, estimated before its first step.

A block of P weights takes 2 P L + 4 L^2 D operations for the L tokens of an image, of width D, and twice as many again
to go back through it if it is trained. A trained block keeps about 18 D numbers a token for that: inputs and outputs of its
norms, its products and its activation. One such block more is counted for what lives for a moment only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn

from justzoomin.models import Compute, MapModel, VisionEncoder, memory_bytes
from justzoomin.training.config import TrainConfig

_KEPT = 18
"""Numbers that a trained block keeps for each token and channel."""
_MAPS = 10
"""Maps of the finest resolution that a feature pyramid keeps."""
_MIXED_BYTES = 2.5
"""Bytes of a kept number in mixed precision: norms keep theirs in 32 bits."""
_REACHED = 0.4
"""Share of the speed of a large matrix product that a training reaches."""


@dataclass(frozen=True)
class TrainEstimate:
    """The cost of a training on one device, to within a few tens of percent.

    Attributes:
        weights: Number of all weights.
        trained: Number of the weights that are trained.
        photos: Photos of an optimizer step on one device.
        step_flops: Operations of an optimizer step.
        memory_bytes: Memory of a step: weights, gradients, the optimizer's moments, and what is kept for the way back.
        steps: Optimizer steps of the run.
    """

    weights: int
    trained: int
    photos: int
    step_flops: float
    memory_bytes: float
    steps: int

    def hours(self, flops_per_s: float) -> float:
        """Return the duration of the run at a speed in operations per second, without loading of photos and validation."""
        return self.step_flops * self.steps / flops_per_s / 3600


def estimate_of(model: MapModel, config: TrainConfig, steps: int, compute: Compute) -> TrainEstimate | None:
    """Return the cost of a training; None if the formula does not hold for the model.

    It holds for zoomers and matchers whose encoder is a vision transformer in parts (`VisionEncoder.blocks`).

    Args:
        model: The model, with those parameters frozen that are not trained.
        config: The settings of the run.
        steps: Optimizer steps of the run.
        compute: How the model is computed.
    """
    encoder, matcher = model.encoder, model.matcher
    if not isinstance(encoder, VisionEncoder) or not encoder.blocks or not model.decodes_paths:
        return None
    settings, photos, values = model.config, config.batch_size, 0.0
    shown: list[tuple[VisionEncoder, int, int]] = []
    own, edge = encoder, settings.image_pixels  # what sees the photos, and at which size
    if matcher is not None:
        own = model.matcher_encoder if isinstance(model.matcher_encoder, VisionEncoder) else encoder
        edge, window = settings.photo_pixels, matcher.config.window_pixels
        shown.append((own, 1, window))
        finest = max((*matcher.config.scales, 1))
        for count, size in ((2 * photos, edge), (1, window)):
            places = count * (size // own.stride) ** 2
            values += places * (2 * sum(own.stage_widths) + _MAPS * matcher.config.width * finest**2)
        values += 4 * config.matching.poses * matcher.size
    shown.append((own, 2 * photos, edge))
    if matcher is None or config.matching.zoom_weight:
        views = photos * settings.depth  # at most: a distinct view of a batch is encoded once
        apart = own is not encoder or edge != settings.image_pixels
        shown.append((encoder, views + 2 * photos * apart, settings.image_pixels))
    flops = 0.0
    for each, count, edge in shown:
        tokens = (edge // each.stride) ** 2 + 1
        trained = [_is_trained(block) for block in each.blocks]
        for block, goes_back in zip(each.blocks, trained, strict=True):
            one = 2 * _count(block) * tokens + 4 * tokens**2 * each.width
            flops += count * one * (3 if goes_back else 1)
        values += count * tokens * each.width * _KEPT * (sum(trained) + any(trained))
    weights, learned = _count(model), sum(p.numel() for p in model.parameters() if p.requires_grad)
    memory = 4.0 * weights + 12.0 * learned + values * (4.0 if compute.precision == "fp32" else _MIXED_BYTES)
    return TrainEstimate(weights, learned, photos * config.accumulate, flops * config.accumulate, memory, steps)


def memory_of(device: str) -> int | None:
    """Return the bytes of memory of the first device of a kind (`cpu`, `cuda`, `mps`); None if it is unknown."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    if device == "mps":
        return int(torch.mps.recommended_max_memory())
    return memory_bytes()


def speed_of(compute: Compute) -> float:
    """Measure how many operations per second a training reaches on a device: 40 % of what a large matrix product does."""
    edge, best = 1024 if compute.device == "cpu" else 8192, float("inf")
    one = torch.ones(edge, edge, device=compute.device)
    with torch.no_grad(), compute.autocast():
        for _ in range(3):
            began = time.perf_counter()
            (one @ one).sum().item()  # waits for the device
            best = min(best, time.perf_counter() - began)
    return _REACHED * 2 * edge**3 / best


def _is_trained(block: nn.Module) -> bool:
    return any(p.requires_grad for p in block.parameters())


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
