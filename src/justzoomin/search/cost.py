"""The cost of a map's posterior, measured on a small part of the map before all of it is computed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from justzoomin.data import normalize

if TYPE_CHECKING:
    from justzoomin.search.matching import GroundMap

CHEAP_POSES = 1 << 23
"""Number of poses (places times bearings) up to which cost is not measured: a few seconds of one core at most."""
_PROBE = 1024


@dataclass(frozen=True)
class MatchingCost:
    """The cost of a matcher's posterior.

    Attributes:
        pieces: Number of map pieces that are described first, once.
        places: Number of places that each photo is compared with.
        bearings: Number of bearings tried at each place.
        map_seconds: Estimated time to describe the map.
        photo_seconds: Estimated upper limit of the time to compare one photo; photos of a batch share part of it.
    """

    pieces: int
    places: int
    bearings: int
    map_seconds: float
    photo_seconds: float


@torch.inference_mode()
def matching_cost(ground: GroundMap) -> MatchingCost:
    """Measure the cost of a matcher's posterior: one piece of map is described and compared at some places.

    Raises:
        TileError: If the map cannot give the piece.
    """
    from justzoomin.search.matching import describe

    model, matcher, windows = ground.model, ground.matcher, ground.windows
    settings = model.config
    for number in range(2):  # the first one also warms up
        began = time.perf_counter()
        picture = torch.from_numpy(windows.picture(number % len(windows))).permute(2, 0, 1).to(model.device)
        piece = describe(model, normalize(picture[None], settings.mean, settings.std)[0])
        per_piece = time.perf_counter() - began
    east = torch.linspace(windows.margin_m, windows.margin_m + windows.window_m, _PROBE, device=model.device)
    towards = torch.zeros_like(east)
    began = time.perf_counter()
    under = matcher.read(piece, east, east, towards)
    (torch.zeros(1, under.shape[1], device=under.device) @ under.t() + matcher.prior(piece, east, east, towards)).sum().item()
    per_pose = (time.perf_counter() - began) / _PROBE
    cells = ground.grid.actions**ground.grid.depth
    places, bearings = ground.places * cells, matcher.config.tried
    return MatchingCost(len(windows), places, bearings, per_piece * len(windows), per_pose * places * bearings)
