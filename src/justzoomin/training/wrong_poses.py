"""The poses that a photo's true pose is compared with: many are drawn, and the most probable teach."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from justzoomin.models import Ground, RayMatcher


class Poses(NamedTuple):
    """Poses on a piece of map: metres east (P,) and south (P,) of the picture's corner, bearings (P,) in radians."""

    across: Tensor
    down: Tensor
    bearing: Tensor

    def part(self, which: Tensor) -> Poses:
        """Return some of the poses."""
        return Poses(*(values[which] for values in self))


def scored(matcher: RayMatcher, ground: Ground, scaled: Tensor, poses: Poses, close: Tensor,
           exact: int) -> Tensor:
    """Return the log-sum (B,) of the scores of poses.

    Reading the map with a graph costs most. Only the `exact` poses that the photos find most probable are read so; the others
    are part of the sum, and their gradient reaches the photos alone.

    Args:
        matcher: The matcher.
        ground: The described piece.
        scaled: Fans (B, size), multiplied by the matcher's scale.
        poses: The poses (P,).
        close: Pairs (B, P) of photos and poses that must not count, because they are too near the true pose.
        exact: Number of poses that teach the map's description.
    """
    if exact >= len(poses.across):
        under = _read(matcher, ground, poses)
        return _scores(scaled, under).masked_fill(close, -torch.inf).logsumexp(1)
    with torch.no_grad():
        under = _read(matcher, ground, poses)
        rough = _scores(scaled, under).masked_fill(close, -torch.inf)
        order = rough.softmax(1).nan_to_num().sum(0).argsort(descending=True)
    best, rest = order[:exact], order[exact:]
    taught = _scores(scaled, _read(matcher, ground, poses.part(best)))
    every = torch.cat([taught, _scores(scaled, under[rest])], 1)
    return every.masked_fill(close[:, order], -torch.inf).logsumexp(1)


def _read(matcher: RayMatcher, ground: Ground, poses: Poses) -> Tensor:
    """Return what the map shows to each pose, and last the pose's own logit: (P, size + 1)."""
    return torch.cat([matcher.read(ground, *poses), matcher.prior(ground, *poses)[:, None]], 1)


def _scores(scaled: Tensor, under: Tensor) -> Tensor:
    return scaled @ under[:, :-1].t() + under[:, -1]
