"""The ray matcher: compares what a photo shows along its rays with the ground around a pose.

A column of a photo shows the ground along one ray. Attention assigns its rows to distances along that ray; it starts from flat
ground and learns the rest. The result is a fan of descriptions in polar coordinates around the camera. The map is described on
an even lattice. For a pose (place and bearing), the map is read at the points of the fan, and both are compared.
The matcher does not memorize places: if a photo's map is turned, its scores turn with it.

The idea of comparing a photo's bird's-eye view with a map over all poses comes from OrienterNet (Sarlin et al., CVPR 2023).
Here cameras are not calibrated, the fan is never turned into a picture, and poses are compared by one matrix product.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from justzoomin.models.config import MatcherConfig
from justzoomin.models.rescaling import ChannelNorm, Rescaling

_START_SCALE = 25.0
"""Initial factor from a cosine to a score, so that scores of places at first differ by a few tenths."""


class Ground(NamedTuple):
    """A described piece of map.

    Attributes:
        places: (D, h, w) unit vectors, the north-west place first, after subtraction of the mean over the piece.
        headings: (K, h, w) logits of how likely a photo there faces each bearing, whatever it shows.
    """

    places: Tensor
    headings: Tensor


class Pyramid(nn.Module):
    """Merges feature maps of several resolutions into one map of the finest: coarser maps are enlarged and added."""

    def __init__(self, channels: tuple[int, ...], width: int, out: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Sequential(ChannelNorm(c), nn.Conv2d(c, width, 1)) for c in channels)
        self.head = nn.Sequential(nn.GELU(), nn.Conv2d(width, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, out, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return one map (N, out, h_0, w_0) of maps (N, C_i, h_i, w_i), the finest first."""
        merged: Tensor = self.laterals[-1](maps[-1])
        for lateral, finer in zip(reversed(self.laterals[:-1]), reversed(maps[:-1]), strict=True):
            enlarged = functional.interpolate(merged, size=finer.shape[-2:], mode="bilinear", align_corners=False)
            merged = enlarged + lateral(finer)
        out: Tensor = self.head(merged)
        return out


class RayMatcher(nn.Module):
    """Fans of photos, descriptions of ground, and scores of poses.

    Args:
        config: The settings.
        channels: Channels of the encoder's feature maps, the finest first.
        stride: Pixels between places of the encoder's finest feature map.
        pixels: Edge of a photo half in pixels.

    Attributes:
        rows: Rows of a photo's finest feature map, after `config.scales`, which is also its number of rays.
        size: Length of a fan as one vector.
    """

    ranges_m: Tensor
    azimuths: Tensor

    def __init__(self, config: MatcherConfig, channels: tuple[int, ...], stride: int, pixels: int) -> None:
        super().__init__()
        self.config = config
        scale = config.scales[0] if config.scales else 1
        self.rows = self.rays = pixels // stride * scale
        stride //= scale
        self.photo_scaled, self.map_scaled = (
            Rescaling(channels, config.width, config.scales) if config.scales else nn.Identity() for _ in range(2))
        if config.scales:
            channels = (config.width,) * len(config.scales)
        self.size = self.rays * config.ranges * config.channels
        self.place_m = config.metres_per_pixel * stride
        self.photo_pyramid = Pyramid(channels, config.width, config.channels + config.ranges)
        self.map_pyramid = Pyramid(channels, config.width, config.channels + config.headings)
        self.log_scale = nn.Parameter(torch.tensor(math.log(_START_SCALE)))
        self.range_gain = nn.Parameter(torch.zeros(config.ranges))
        ranges, azimuths, expected = _camera(config, self.rows, self.rays, stride, pixels)
        self.row_bias = nn.Parameter(expected)                                   # (rows, R)
        self.register_buffer("ranges_m", ranges, persistent=False)               # (R,)
        self.register_buffer("azimuths", azimuths, persistent=False)             # (rays,)

    def fans(self, maps: list[Tensor]) -> Tensor:
        """Return fans of photos as unit vectors (B, size), from the feature maps (2 B, C, h, w) of their halves."""
        maps = self.photo_scaled(maps)
        wide = [m.reshape(-1, 2, *m.shape[1:]).permute(0, 2, 3, 1, 4).flatten(3) for m in maps]  # (B, C, h, 2 w)
        # Two columns become one ray; a stage that is too coarse for that is enlarged by the pyramid.
        wide = [functional.avg_pool2d(m, (1, 2)) if m.shape[-1] % 2 == 0 and m.shape[-1] * 2 > self.rays else m for m in wide]
        out: Tensor = self.photo_pyramid(wide)                                                   # (B, D + R, rows, rays)
        described, depth = out[:, : self.config.channels], out[:, self.config.channels :]
        share = (depth + self.row_bias.t()[None, :, :, None]).softmax(2)                         # (B, R, rows, rays)
        fan = torch.einsum("bdvc,brvc->bcrd", described, share) * self.range_gain.exp()[:, None]  # (B, rays, R, D)
        return functional.normalize(fan.flatten(1), dim=1)

    def ground(self, maps: list[Tensor]) -> Ground:
        """Return the description of a piece of map from the feature maps (1, C, h, w) of its picture."""
        out: Tensor = self.map_pyramid(self.map_scaled(maps))[0]
        places = out[: self.config.channels]
        places = functional.normalize(places - places.mean((1, 2), keepdim=True), dim=0)
        return Ground(places, out[self.config.channels :])

    def read(self, ground: Ground, across: Tensor, down: Tensor, bearing: Tensor) -> Tensor:
        """Return the map's descriptions at the points of the fan of each pose: vectors (P, size) of length at most one.

        Args:
            ground: The piece of map.
            across: (P,) places east of the piece's western border, in metres.
            down: (P,) places south of its northern border.
            bearing: (P,) bearings in radians, clockwise from north.
        """
        angle = bearing[:, None] + self.azimuths                                                 # (P, rays)
        east = across[:, None, None] + angle.sin()[:, :, None] * self.ranges_m                   # (P, rays, R)
        south = down[:, None, None] - angle.cos()[:, :, None] * self.ranges_m
        found = self._sample(ground.places, east.flatten(1), south.flatten(1))                   # (D, P, rays R)
        return found.permute(1, 2, 0).flatten(1) / math.sqrt(self.rays * self.config.ranges)

    def splats(self, bearings: Tensor, place_m: float, reach: int) -> Tensor:
        """Return the weights (Q, K, n n) of the n = 2 reach + 1 places squared around a pose, for all K parts of a fan.

        Reading a lattice at a point is a weighted sum of the four nearest places. Around the middle of a place these are the
        same places for every pose of one bearing.

        Args:
            bearings: (Q,) bearings in radians, clockwise from north.
            place_m: Edge of a place in metres.
            reach: Number of places on each side; at least `reach_m / place_m`.
        """
        angle = bearings[:, None] + self.azimuths                                                # (Q, rays)
        east = (angle.sin()[:, :, None] * self.ranges_m).flatten(1) / place_m + reach            # (Q, K)
        south = (-angle.cos()[:, :, None] * self.ranges_m).flatten(1) / place_m + reach
        steps = torch.arange(2 * reach + 1, device=bearings.device)
        across, down = ((1 - (v[..., None] - steps).abs()).clamp(min=0.0) for v in (east, south))
        return (down[..., :, None] * across[..., None, :]).flatten(2)

    def prior(self, ground: Ground, across: Tensor, down: Tensor, bearing: Tensor) -> Tensor:
        """Return logits (P,) of poses without any photo; the arguments are those of `read`."""
        found = self._sample(ground.headings, across[:, None], down[:, None])[:, :, 0]           # (K, P)
        k = bearing / (2 * math.pi) * self.config.headings
        low = k.floor()
        part, index, row = k - low, low.long() % self.config.headings, torch.arange(len(k), device=k.device)
        return found[index, row] * (1 - part) + found[(index + 1) % self.config.headings, row] * part

    @property
    def scale(self) -> Tensor:
        """Factor from the cosine of a fan and the map under it to a logit."""
        return self.log_scale.exp()

    def _sample(self, lattice: Tensor, east: Tensor, south: Tensor) -> Tensor:
        """Return values (C, P, n) of a lattice (C, h, w) at places (P, n), metres from its north-western corner; 0 outside."""
        return functional.grid_sample(lattice[None], self._spot(lattice, east, south)[None], align_corners=False)[0]

    def _spot(self, lattice: Tensor, east: Tensor, south: Tensor) -> Tensor:
        """Return `grid_sample` coordinates (..., 2) on a lattice (..., h, w), from metres off its north-western corner."""
        height, width = lattice.shape[-2:]
        return torch.stack([east * (2 / (width * self.place_m)) - 1, south * (2 / (height * self.place_m)) - 1], -1)


def _camera(config: MatcherConfig, rows: int, rays: int, stride: int, pixels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return ranges (R,) in metres, azimuths (rays,) in radians, and logits (rows, R) of the row that shows flat ground there.

    A photo is 2 x pixels wide; its horizon is assumed to be in the middle.
    """
    half_width = math.tan(math.radians(config.assumed_fov_deg / 2))
    focal = pixels / half_width                                                   # pixels; half the width is `pixels`
    ranges = torch.logspace(math.log10(config.nearest_m), math.log10(config.reach_m), config.ranges)
    column = (torch.arange(rows) + 0.5) * stride                                  # pixels; an incomplete patch is not seen
    pair = torch.cat([column, column + pixels]).view(rays, 2).mean(1)
    azimuths = torch.atan((pair / pixels - 1) * half_width)
    below = (torch.arange(rows) + 0.5) * stride - pixels / 2                      # row centres below the horizon, pixels
    seen_at = config.camera_height_m / ranges * focal
    near = -0.5 * ((below[:, None] - seen_at) / stride).square()                  # (rows, R)
    return ranges, azimuths, (near - near.amax(0)).clamp(min=-6.0)                # ground below the photo: its last row
