"""Feature maps of one resolution as feature maps of several.

The blocks of a vision transformer give tokens of equal resolution: early ones say more about edges and surfaces, late ones more
about things. Dense prediction with vision transformers (DPT; Ranftl et al., ICCV 2021) merges several of them at different
resolutions. This is that first step; the pyramid of the ray matcher merges the maps.
"""

from __future__ import annotations

from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Layer norm over the channels of a map (N, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map with normed channels."""
        normed: Tensor = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return normed


class Rescaling(nn.Module):
    """Norms, projects and enlarges each feature map by its own learned weights.

    Args:
        channels: Channels of the maps.
        width: Channels of all maps afterwards.
        scales: By how much each map is enlarged.
    """

    def __init__(self, channels: tuple[int, ...], width: int, scales: tuple[int, ...]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Sequential(ChannelNorm(c), nn.Conv2d(c, width, 1),
                          nn.ConvTranspose2d(width, width, scale, stride=scale) if scale > 1 else nn.Identity())
            for c, scale in zip(channels, scales, strict=True))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return maps (N, width, scale h, scale w) of maps (N, C, h, w)."""
        return [change(each) for change, each in zip(self.maps, maps, strict=True)]
