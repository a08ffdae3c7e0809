"""Layers between the encoder's vectors and the compared vectors: projection, experts, a learned temperature."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_SCALE = 100.0
"""Largest factor of similarities, as in CLIP (Radford et al. 2021) and Sample4Geo."""


class Experts(nn.Module):
    """A layer of experts with soft gates: the vector plus the networks' outputs, weighted by a softmax of the vector itself.

    All experts run: for vectors (unlike tokens) that costs little, and no load needs to be balanced. The last layers start at
    zero, so that the vector passes unchanged at first.

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
        """Return vectors (N, D) of vectors (N, D)."""
        normed = self.norm(vectors)
        gates = self.gate(normed).softmax(-1)                                  # (N, E)
        outputs = torch.stack([expert(normed) for expert in self.experts], 1)  # (N, E, D)
        changed: Tensor = vectors + (gates.unsqueeze(-1) * outputs).sum(1)
        return changed


def head(width: int, out: int | None, experts: int) -> nn.Module:
    """Return the layers from vectors of a width to compared vectors: a projection unless `out` is None, then any experts."""
    parts: list[nn.Module] = [] if out is None else [nn.Linear(width, out)]
    if experts:
        parts.append(Experts(out or width, experts))
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def log_scales(temperature: float, count: int) -> nn.Parameter:
    """Return the learned logarithms (count,) of the factors of similarities."""
    return nn.Parameter(torch.full((count,), math.log(1.0 / temperature)))


def scale_of(logarithm: Tensor) -> Tensor:
    """Return the factor of similarities, at most `MAX_SCALE`."""
    return logarithm.clamp(max=math.log(MAX_SCALE)).exp()


def unit(vectors: Tensor) -> Tensor:
    """Return vectors (..., D) scaled to length 1."""
    return functional.normalize(vectors, dim=-1)
