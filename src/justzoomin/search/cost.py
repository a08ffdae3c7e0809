"""The cost of a map's posterior, measured on a small part of the map before all of it is computed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from justzoomin.search.matching import GroundMap
    from justzoomin.search.tree_search import Level

CHEAP_PIECES = 4
"""Number of map pieces up to which their cost is not measured: a few seconds of one core."""


@dataclass(frozen=True)
class MatchingCost:
    """The cost of a matcher's posterior.

    Attributes:
        pieces: Number of map pieces that must be described first.
        places: Number of places of the region.
        looked: Number of places that are scored exactly for a photo, at most.
        bearings: Number of bearings tried at each of these.
        map_seconds: Estimated time to describe the pieces.
        photo_seconds: Estimated upper limit of the time to search for one photo.
    """

    pieces: int
    places: int
    looked: int
    bearings: int
    map_seconds: float
    photo_seconds: float


@torch.inference_mode()
def matching_cost(ground: GroundMap) -> MatchingCost:
    """Measure the cost of a matcher's posterior: one piece of map is described, and one tile of each level is scored.

    Raises:
        TileError: If the map cannot give the piece.
    """
    from justzoomin.search.budget import Budget
    from justzoomin.search.matching import describe_piece

    missing = ground.missing
    began = time.perf_counter()
    if missing:
        describe_piece(ground.model, ground.windows, ground.lattice, 0)
    per_piece = time.perf_counter() - began
    tree, most = ground.tree, Budget().tiles
    fine = min(tree.fine.tiles**2, most)
    seconds = fine * _tile_seconds(tree.fine)
    if tree.fine.tiles**2 > most:
        seconds += sum((min(most, level.tiles**2) if k else level.tiles**2) * _tile_seconds(level)
                       for k, level in enumerate(tree.coarse))
    return MatchingCost(missing, ground.lattice.side**2, min(fine * tree.fine.tile**2, ground.lattice.side**2),
                        tree.fine.bearings, per_piece * missing, seconds)


def _tile_seconds(level: Level) -> float:
    """Return the time to score one tile of a level, without reading it."""
    correlation, count = level.correlation, 4
    edge, channels = level.tile + 2 * correlation.reach, level.features.channels
    fan = torch.zeros(1, correlation.matcher.size, device=level.device)
    for _ in range(2):  # the first one also warms up
        began = time.perf_counter()
        transforms = correlation.transform(torch.zeros(count, channels, edge, edge, device=level.device))
        correlation.scores(correlation.templates(fan), transforms).exp().sum().item()
        taken = time.perf_counter() - began
    return taken / count
