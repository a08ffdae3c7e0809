"""From what a search found to the fields of a Fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from justzoomin.geometry import ZoomGrid
from justzoomin.models import MapModel
from justzoomin.posterior import Decision, Posterior, decide
from justzoomin.search.beam_search import beam
from justzoomin.search.fix import CREDIBLE_PROBABILITY, HIGH_PROBABILITY, credible_radius_m
from justzoomin.search.greedy_search import along_path, greedy
from justzoomin.search.view_vectors import ViewVectors

LISTED = 10
"""Most probable cells that a Fix lists."""
LEVELS = (50, 90, 95)
"""Per cent of the posterior that its regions stand for."""

Fields = dict[str, Any]


def greedy_answers(model: MapModel, photos: torch.Tensor, vectors: ViewVectors, grid: ZoomGrid) -> list[Fields]:
    """What greedy zooming says of photos (B, D)."""
    paths = greedy(model, photos, vectors, grid.depth)
    return _centres(grid, paths.sequences.numpy(), paths.probabilities.tolist())


def beam_answers(model: MapModel, photos: torch.Tensor, vectors: ViewVectors, grid: ZoomGrid, width: int) -> list[Fields]:
    """What a beam says of photos (B, D): its most probable path, and the next ones."""
    found = beam(model, photos, vectors, grid.depth, width)
    best = found.sequences[:, 0]
    steps = along_path(model, photos, vectors, best).exp().gather(-1, best[..., None]).squeeze(-1)
    fields = _centres(grid, best.numpy(), steps.tolist())
    for k, answer in enumerate(fields):
        chances = found.log_probs[k, :LISTED].exp().tolist()
        answer["top_cells"] = tuple(zip(map(tuple, found.sequences[k, :LISTED].tolist()), chances, strict=True))
        answer["expected"] = chances[0]
    return fields


def posterior_answers(posteriors: Sequence[Posterior], decision: Decision) -> list[Fields]:
    """What posteriors of one grid say, answered by a decision.

    Args:
        posteriors: One for each photo.
        decision: The rule that picks the answer.
    """
    if not posteriors:
        return []
    grid = posteriors[0].grid
    lats, lons = decide(grid, np.stack([p.log_probs for p in posteriors]), decision)
    sequences = grid.encode(lats, lons).tolist()
    answers: list[Fields] = []
    for found, lat, lon, sequence in zip(posteriors, lats.tolist(), lons.tolist(), sequences, strict=True):
        cells, probs = found.top(LISTED)
        regions = dict(zip(LEVELS, found.regions([level / 100 for level in LEVELS]), strict=True))
        (ee, en), (ne, nn) = found.moments().covariance_m2.tolist()
        answers.append({
            "lat": lat, "lon": lon, "sequence": tuple(sequence), "probabilities": found.along(tuple(sequence)),
            "credible_radius_m": found.radius_about(lat, lon, CREDIBLE_PROBABILITY),
            "radius_90_m": found.radius_about(lat, lon, HIGH_PROBABILITY),
            "expected": found.expected(decision, lat, lon),
            "top_cells": tuple(zip(map(tuple, grid.unflatten(cells, grid.depth).tolist()), probs.tolist(), strict=True)),
            "regions": {level: region.area_m2 for level, region in regions.items()}, "region_90": regions[90].runs(),
            "covariance_m2": ((ee, en), (ne, nn)), "entropy_bits": found.entropy_bits,
        })
    return answers


def _centres(grid: ZoomGrid, sequences: np.ndarray[Any, np.dtype[np.int64]], chances: list[list[float]]) -> list[Fields]:
    """Answers with the centres of terminal cells."""
    lats, lons = grid.centres(sequences)
    return [{"lat": lat, "lon": lon, "sequence": tuple(sequence), "probabilities": tuple(path),
             "credible_radius_m": credible_radius_m(grid, tuple(path)),
             "radius_90_m": credible_radius_m(grid, tuple(path), HIGH_PROBABILITY), "expected": float(np.prod(path))}
            for lat, lon, sequence, path in zip(lats.tolist(), lons.tolist(), sequences.tolist(), chances, strict=True)]
