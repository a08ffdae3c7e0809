"""What stands between an encoder's vector and a compared one: projection, experts, a learned temperature."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_SCALE = 100.0
"""Similarities are multiplied by no more than this, as in CLIP (Radford et al. 2021) and Sample4Geo."""


class Experts(nn.Module):
    """A layer of experts with soft gates: the vector plus the networks' outputs, weighted by a softmax of the vector itself.

    All experts run; with vectors (not tokens) that costs little, and no load has to be balanced. The last layers begin at
    zero, so that the vector passes unchanged at the start.

    Args:
        width: Length of the vectors.
        count: Number of experts.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.norm, self.gate = nn.LayerNorm(width), nn.Linear(width, count)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(count))
        for expert in self.experts:
            last = expert[-1]  # type: ignore[index]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (N, D) to vectors (N, D)."""
        normed = self.norm(vectors)
        gates = self.gate(normed).softmax(-1)                                  # (N, E)
        outputs = torch.stack([expert(normed) for expert in self.experts], 1)  # (N, E, D)
        changed: Tensor = vectors + (gates.unsqueeze(-1) * outputs).sum(1)
        return changed


def head(width: int, out: int | None, experts: int) -> nn.Module:
    """From vectors of a width to those that are compared: a projection where asked for, then experts where asked for."""
    parts: list[nn.Module] = [] if out is None else [nn.Linear(width, out)]
    if experts:
        parts.append(Experts(out or width, experts))
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def log_scales(temperature: float, count: int) -> nn.Parameter:
    """Learned logarithms (count,) of what similarities are multiplied by."""
    return nn.Parameter(torch.full((count,), math.log(1.0 / temperature)))


def scale_of(logarithm: Tensor) -> Tensor:
    """What similarities are multiplied by, at most `MAX_SCALE`."""
    return logarithm.clamp(max=math.log(MAX_SCALE)).exp()


def unit(vectors: Tensor) -> Tensor:
    """Vectors (..., D) of length 1."""
    return functional.normalize(vectors, dim=-1)
