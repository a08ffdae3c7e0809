"""Fans compared with the places of a map at all poses of some tiles at once, by Fourier transforms.

On an even lattice the points of a fan for one bearing lie at the same offsets from every place. So the products of a fan with
the map at all places are a correlation, which is a product of transforms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from justzoomin.models import RayMatcher


class Correlation:
    """Scores of fans at the places of tiles, for one size of place.

    Args:
        matcher: The matcher.
        place_m: Edge of a place in metres.
        tile: Number of places along one side of a tile.
        bearings: Number of bearings tried; bearing k is k / `bearings` of a turn clockwise from north.
        device: Where it computes.

    Attributes:
        reach: Number of places around a tile that its scores depend on.
        size: Edge of the transformed squares in places: the tile with its surroundings, rounded up.
    """

    def __init__(self, matcher: RayMatcher, place_m: float, tile: int, bearings: int, device: torch.device) -> None:
        from scipy.fft import next_fast_len

        self.matcher, self.tile, self.bearings = matcher, tile, bearings
        self.reach = math.ceil(matcher.config.reach_m / place_m)
        self.size = int(next_fast_len(tile + 2 * self.reach, real=True))
        angles = torch.arange(bearings, device=device) * (2 * math.pi / bearings)
        self._splats = matcher.splats(angles, place_m, self.reach)                       # (Q, K, n n)

    def templates(self, fans: Tensor) -> Tensor:
        """Return transforms (F, B Q, D) of fans (B, size) at Q bearings, for `scores`."""
        matcher, edge, channels = self.matcher, 2 * self.reach + 1, self.matcher.config.channels
        parts = fans.view(len(fans), -1, channels) * (matcher.scale / math.sqrt(matcher.rays * matcher.config.ranges))
        laid = torch.einsum("bkd,qkn->bqdn", parts, self._splats).view(-1, channels, edge, edge)
        return self._forward(laid).conj().resolve_conj()

    def transform(self, blocks: Tensor) -> Tensor:
        """Return transforms (F, D, T) of tiles with their surroundings, blocks (T, D, n, n) with n = tile + 2 reach."""
        return self._forward(blocks).transpose(1, 2)

    def scores(self, templates: Tensor, transforms: Tensor) -> Tensor:
        """Return the products (P, T, tile, tile) of fans and the map under them, of templates (F, P, D) and tiles (F, D, T)."""
        product = torch.bmm(templates, transforms)                                       # (F, P, T)
        lines = product.view(self.size, self.size // 2 + 1, -1)
        found = _inverse(lines, self.size, self.tile)[:, : self.tile]
        return found.permute(2, 0, 1).reshape(templates.shape[1], transforms.shape[2], self.tile, self.tile)

    def _forward(self, squares: Tensor) -> Tensor:
        """Return transforms (F, P, D) of squares (P, D, n, n)."""
        size = (self.size, self.size)
        if squares.device.type == "cpu":  # scipy's transforms are faster than torch's there
            import scipy.fft

            workers = torch.get_num_threads()
            lines = scipy.fft.rfft(squares.numpy(), self.size, workers=workers)  # only of the n rows: the others are zero
            found = torch.from_numpy(np.asarray(scipy.fft.fft(lines, self.size, axis=-2, overwrite_x=True, workers=workers)))
        else:
            found = torch.fft.rfft2(squares, size)
        return found.flatten(2).permute(2, 0, 1).contiguous()


def _inverse(lines: Tensor, size: int, rows: int) -> Tensor:
    """Return the first rows (rows, n, P) of real values (n, n, P) from transforms (n, n / 2 + 1, P)."""
    if lines.device.type == "cpu":
        import scipy.fft

        workers = torch.get_num_threads()
        columns = scipy.fft.ifft(lines.numpy(), axis=0, workers=workers)[:rows]
        return torch.from_numpy(np.asarray(scipy.fft.irfft(columns, size, axis=1, workers=workers)))
    values: Tensor = torch.fft.irfft2(lines, (size, size), dim=(0, 1))[:rows]
    return values
