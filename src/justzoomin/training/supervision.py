"""Supervision by labels: a ray matcher also learns what photos and map show, where that is known exactly.

Small linear probes on the features of both pyramids predict kinds of surface, heights (map) and distances (photos). Only the
features are of use; the probes are not part of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from justzoomin.city import KINDS, LABELS_FILE, SKY, TownLabels
from justzoomin.errors import DataError
from justzoomin.maps import Windows
from justzoomin.models import RayMatcher


class Supervision(nn.Module):
    """The probes, and the labels of the training maps.

    Args:
        matcher: The matcher in training.
        labels: The labels of each map in use; None for a map without training photos.
        windows: The pieces of each map.
        photos: Number of training photos of each map.
        seed: Seed of the probes' weights. The global random state is not changed.

    Raises:
        DataError: If a map has no labels, or these are of other photos.
    """

    edges: Tensor

    def __init__(self, matcher: RayMatcher, labels: Sequence[TownLabels | None], windows: Sequence[Windows],
                 photos: Sequence[int], seed: int = 0) -> None:
        super().__init__()
        for each, count in zip(labels, photos, strict=True):
            if each is not None and len(each.ranges) != count:
                raise DataError(LABELS_FILE, f"it has labels of {len(each.ranges)} photos, but the split has {count}",
                                "Make the town again with jzi data synth --labels.")
        width, ranges = matcher.config.width, matcher.config.ranges
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.map_kinds, self.map_height = nn.Conv2d(width, len(KINDS), 1), nn.Conv2d(width, 1, 1)
            self.photo_kinds, self.photo_ranges = nn.Conv2d(width, len(KINDS) + 1, 1), nn.Conv2d(width, ranges + 2, 1)
        self._labels, self._windows = labels, windows
        self._first = np.cumsum([0, *photos])
        middle = matcher.ranges_m.log()
        edges = torch.cat([(middle[1:] + middle[:-1]) / 2, middle[-1:] * 1.5 - middle[-2:-1] * 0.5])
        self.register_buffer("edges", edges, persistent=False)
        self._features: dict[str, Tensor] = {}
        for name, pyramid in (("photos", matcher.photo_pyramid), ("map", matcher.map_pyramid)):
            last = pyramid.head[-1]
            assert isinstance(last, nn.Module)
            last.register_forward_pre_hook(self._keeper(name))

    def of_photos(self, maps: Sequence[int], indices: Sequence[int], mirrored: bool) -> Tensor:
        """Return the loss (B,) of the photos whose fans were made last.

        Args:
            maps: Number of each photo's map.
            indices: Index of each photo among all training photos.
            mirrored: Whether the photos are mirrored.
        """
        features = self._features.pop("photos")
        found = [(self._labels[m], i - self._first[m]) for m, i in zip(maps, indices, strict=True)]
        seen, ranges = (torch.from_numpy(np.stack([getattr(each, name)[k] for each, k in found])).to(features.device)
                        for name in ("seen", "ranges"))
        kinds = functional.one_hot(torch.where(seen == SKY, len(KINDS), seen.long()), len(KINDS) + 1)
        ranges = ranges.float()
        bins = torch.bucketize(ranges.clamp(min=0.1).log(), self.edges)      # the last but one: beyond the reach
        bins = torch.where(ranges.isinf(), len(self.edges) + 1, bins)
        wanted = functional.one_hot(bins, len(self.edges) + 2)
        losses = []
        for probe, target in ((self.photo_kinds, kinds), (self.photo_ranges, wanted)):
            shares = functional.adaptive_avg_pool2d(target.permute(0, 3, 1, 2).float(), _size(features))
            losses.append(_cross_entropy(probe(features), shares.flip(-1) if mirrored else shares).mean((1, 2)))
        return losses[0] + losses[1]

    def of_piece(self, number: int, piece: int, mirrored: bool, turns: int) -> Tensor:
        """Return the loss of the piece of map that was described last.

        Args:
            number: Number of the map.
            piece: Number of the piece.
            mirrored: Whether its picture was mirrored, before it was turned.
            turns: Number of quarter turns clockwise.
        """
        features, labels, windows = self._features.pop("map"), self._labels[number], self._windows[number]
        assert labels is not None
        shown = labels.window(*windows.corner(piece), windows.size_m)
        kinds, heights = (torch.from_numpy(values).to(features.device) for values in shown)
        shares = functional.one_hot(kinds.long(), len(KINDS)).permute(2, 0, 1).float()
        wanted = torch.cat([shares, heights.float().clamp(min=0)[None]])
        wanted = (wanted.flip(-1) if mirrored else wanted).rot90(-turns, (1, 2))
        wanted = functional.adaptive_avg_pool2d(wanted[None], _size(features))
        height = functional.smooth_l1_loss(self.map_height(features)[:, 0], wanted[:, -1].log1p())
        return _cross_entropy(self.map_kinds(features), wanted[:, :-1]).mean() + height

    def _keeper(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._features[name] = inputs[0]

        return keep


def _size(features: Tensor) -> tuple[int, int]:
    return features.shape[-2], features.shape[-1]


def _cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Return the cross-entropy (B, h, w) of logits (B, K, h, w) and shares of the same shape."""
    return -(shares * logits.log_softmax(1)).sum(1)
