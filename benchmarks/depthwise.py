"""The gradient of depthwise convolutions: ours against torch's, and a training step of the matcher's encoder with both.

    python benchmarks/depthwise.py

On one thread, in turns. The shapes are those of the preset best with photos of 64 px: 112 halves of 56 photos, and one piece of
map. `whole` is an encoding of both with its backward pass, weights and all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import nn

from justzoomin.models import VisionEncoder, model_preset
from justzoomin.models.depthwise import quicken_depthwise
from timing import Row, in_turns, medians

ROUNDS, KERNEL = 9, 7
HALVES, MAP = (112, 3, 64, 64), (1, 3, 544, 544)
SHAPES = {"photos, stage 1": (112, 48, 16, 16), "photos, stage 2": (112, 96, 8, 8), "photos, stage 3": (112, 192, 4, 4),
          "map, stage 1": (1, 48, 136, 136), "map, stage 2": (1, 96, 68, 68), "map, stage 3": (1, 192, 34, 34)}


def main() -> None:
    """Run it."""
    torch.set_num_threads(1)
    for name, shape in SHAPES.items():
        maps = torch.randn(shape)
        rivals = {}
        for who in ("ours", "torch"):
            layer = nn.Sequential(nn.Conv2d(shape[1], shape[1], KERNEL, padding=KERNEL // 2, groups=shape[1]))
            rivals[who] = _step(layer, who, [maps.clone().requires_grad_()])
        _print(name, rivals)
    rivals = {}
    for who in ("ours", "torch"):
        encoder = VisionEncoder(model_preset("best").encoder)
        rivals[who] = _step(encoder, who, [torch.randn(HALVES), torch.randn(MAP)])
    _print("whole", rivals)


def _step(model: nn.Module, who: str, inputs: list[torch.Tensor]) -> Callable[[], object]:
    """Return a function that goes forwards and backwards."""
    if who == "ours":
        quicken_depthwise(model)

    def run() -> None:
        model.zero_grad()
        for values in inputs:
            found = model.stages(values)[1] if isinstance(model, VisionEncoder) else [model(values)]
            sum(part.square().mean() for part in found).backward()

    return run


def _print(name: str, rivals: dict[str, Callable[[], object]]) -> None:
    found = medians(in_turns(rivals, ROUNDS))
    print(Row(name, 1e3 * found["ours"], 1e3 * found["torch"], "ms", "torch").text(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
