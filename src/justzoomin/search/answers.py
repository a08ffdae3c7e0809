"""Results of a search for some photos: log-probabilities of cells for tables, and the fields of a Fix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.geometry import ZoomGrid, to_local
from justzoomin.posterior import CREDIBLE_LEVELS, Decision, Posterior, decide
from justzoomin.search.beam_search import Beam
from justzoomin.search.fix import CREDIBLE_PROBABILITY, HIGH_PROBABILITY, credible_radius_m
from justzoomin.search.greedy_search import Paths
from justzoomin.search.map_posteriors import Beliefs, MapPosteriors

LISTED = 10
"""Number of most probable cells that a Fix lists."""
PERCENTS = tuple(round(100 * level) for level in CREDIBLE_LEVELS)
"""Names of the regions in a Fix, in per cent."""

Fields = dict[str, Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Found(Protocol):
    """Result of a search for B photos."""

    @property
    def cells(self) -> Ints | None:
        """Numbers (B, K) of the terminal cells that were found, most probable first; None if all N are scored, in order."""

    @property
    def log_probs(self) -> Floats:
        """Log-probabilities (B, K) of these cells, or (B, N) of all cells."""

    def fields(self) -> list[Fields]:
        """Return the fields of each photo's Fix, except those that are the same for all photos."""

    def headings(self, answers: Floats) -> Floats | None:
        """Return headings and their spreads (B, 2) in degrees at answers (B, 2), latitude and longitude; None if unknown.

        NaN for an answer where the photo cannot be.
        """


@dataclass(frozen=True)
class FoundPath:
    """Result of greedy zooming: one path per photo.

    Attributes:
        grid: The zoom grid.
        paths: The paths of B photos.
    """

    grid: ZoomGrid
    paths: Paths

    @property
    def cells(self) -> Ints:
        """Numbers (B, 1) of the paths' terminal cells."""
        return self.grid.flatten(self.paths.sequences.numpy())[:, None]

    @property
    def log_probs(self) -> Floats:
        """Log-probabilities (B, 1) of the complete paths."""
        steps = self.paths.probabilities.numpy().astype(np.float64)
        return np.asarray(np.log(np.maximum(steps, np.finfo(np.float64).tiny)).sum(1)[:, None])

    def fields(self) -> list[Fields]:
        """Return the centre of each path's terminal cell and the probabilities of its steps."""
        return _centres(self.grid, self.paths.sequences.numpy(), self.paths.probabilities.tolist())

    def headings(self, answers: Floats) -> None:
        """Return None, because paths have no bearings."""


@dataclass(frozen=True)
class FoundBeam:
    """Result of a beam search: the most probable paths of each photo.

    Attributes:
        grid: The zoom grid.
        beam: The paths of B photos.
        along: Function that returns log-probabilities (B, T, A) of all actions along paths (B, T); see `along_path`.
    """

    grid: ZoomGrid
    beam: Beam
    along: Callable[[torch.Tensor], torch.Tensor]

    @property
    def cells(self) -> Ints:
        """Numbers (B, K) of the paths' terminal cells."""
        paths = self.beam.sequences.numpy()
        return self.grid.flatten(paths.reshape(-1, self.grid.depth)).reshape(paths.shape[:2])

    @property
    def log_probs(self) -> Floats:
        """Log-probabilities (B, K) of the complete paths."""
        return self.beam.log_probs.numpy().astype(np.float64)

    def fields(self) -> list[Fields]:
        """Return the best path of each photo, and the next ones."""
        best = self.beam.sequences[:, 0]
        steps = self.along(best).exp().gather(-1, best[..., None]).squeeze(-1)
        fields = _centres(self.grid, best.numpy(), steps.tolist())
        for k, answer in enumerate(fields):
            chances = self.beam.log_probs[k, :LISTED].exp().tolist()
            answer["top_cells"] = tuple(zip(map(tuple, self.beam.sequences[k, :LISTED].tolist()), chances, strict=True))
            answer["expected"] = chances[0]
        return fields

    def headings(self, answers: Floats) -> None:
        """Return None, because paths have no bearings."""


@dataclass(frozen=True)
class FoundPosteriors:
    """The posteriors of some photos.

    Attributes:
        posteriors: The source of the posteriors.
        decision: The rule that picks the answer.
        own: Calibrated log-probabilities (B, N) without a prior.
        beliefs: What is believed with the priors.
    """

    posteriors: MapPosteriors
    decision: Decision
    own: Floats
    beliefs: Beliefs
    cells: None = None

    @property
    def log_probs(self) -> Floats:
        """Log-probabilities (B, N) with the priors."""
        return self.beliefs.log_probs

    def fields(self) -> list[Fields]:
        """Return the fields of the posteriors, with the answers of the decision."""
        answers = posterior_answers(self.beliefs.posteriors(self.posteriors.grid), self.decision)
        return [{**answer, "on_map": here} for answer, here in zip(answers, self.posteriors.on_map(self.own), strict=True)]

    def headings(self, answers: Floats) -> Floats | None:
        """Return headings and their spreads (B, 2) at answers (B, 2); see `Found`."""
        if self.beliefs.headings is None:
            return None
        found = [one.heading(self.decision, lat, lon) for one, (lat, lon) in
                 zip(self.beliefs.posteriors(self.posteriors.grid), answers.tolist(), strict=True)]
        return np.array([(np.nan, np.nan) if one is None else (one.deg, one.sigma_deg) for one in found])


def posterior_answers(posteriors: Sequence[Posterior], decision: Decision) -> list[Fields]:
    """Return the fields of posteriors on one grid, with the answers of a decision.

    An answer in a cell that a prior has ruled out is moved to the nearest cell that is possible.

    Args:
        posteriors: One posterior per photo.
        decision: The rule that picks the answer.
    """
    if not posteriors:
        return []
    grid = posteriors[0].grid
    lats, lons = _allowed(posteriors, *decide(grid, np.stack([p.log_probs for p in posteriors]), decision))
    sequences = grid.encode(lats, lons).tolist()
    answers: list[Fields] = []
    for found, lat, lon, sequence in zip(posteriors, lats.tolist(), lons.tolist(), sequences, strict=True):
        cells, probs = found.top(LISTED)
        regions = dict(zip(PERCENTS, found.regions(CREDIBLE_LEVELS), strict=True))
        (ee, en), (ne, nn) = found.moments().covariance_m2.tolist()
        facing = found.heading(decision, lat, lon)
        answers.append({
            "lat": lat, "lon": lon, "sequence": tuple(sequence), "probabilities": found.along(tuple(sequence)),
            "credible_radius_m": found.radius_about(lat, lon, CREDIBLE_PROBABILITY),
            "radius_90_m": found.radius_about(lat, lon, HIGH_PROBABILITY),
            "expected": found.expected(decision, lat, lon),
            "top_cells": tuple(zip(map(tuple, grid.unflatten(cells, grid.depth).tolist()), probs.tolist(), strict=True)),
            "regions": {level: region.area_m2 for level, region in regions.items()}, "region_90": regions[90].runs(),
            "other_regions": {level: region.runs() for level, region in regions.items() if level != 90},
            "covariance_m2": ((ee, en), (ne, nn)), "entropy_bits": found.entropy_bits,
            **({} if facing is None else {"heading_deg": facing.deg, "heading_sigma_deg": facing.sigma_deg,
                                          "heading_probs": facing.probs}),
        })
    return answers


def _allowed(posteriors: Sequence[Posterior], lats: Floats, lons: Floats) -> tuple[Floats, Floats]:
    """Return answers (B,), those in ruled-out cells replaced by the centres of the nearest cells that are not."""
    grid = posteriors[0].grid
    cells, chosen = posteriors[0].lattice, grid.flatten(grid.encode(lats, lons))
    lats, lons = lats.copy(), lons.copy()
    for k, (found, cell) in enumerate(zip(posteriors, chosen.tolist(), strict=True)):
        if found.log_probs[cell] == -np.inf:
            possible = np.flatnonzero(found.log_probs > -np.inf)
            east, north = to_local(*grid.region.centre, lats[k], lons[k])
            nearest = possible[np.hypot(cells.east_m[possible] - east, cells.north_m[possible] - north).argmin()]
            lats[k], lons[k] = cells.lat[nearest], cells.lon[nearest]
    return lats, lons


def _centres(grid: ZoomGrid, sequences: np.ndarray[Any, np.dtype[np.int64]], chances: list[list[float]]) -> list[Fields]:
    """Return fields whose positions are the centres of terminal cells."""
    lats, lons = grid.centres(sequences)
    return [{"lat": lat, "lon": lon, "sequence": tuple(sequence), "probabilities": tuple(path),
             "credible_radius_m": credible_radius_m(grid, tuple(path)),
             "radius_90_m": credible_radius_m(grid, tuple(path), HIGH_PROBABILITY), "expected": float(np.prod(path))}
            for lat, lon, sequence, path in zip(lats.tolist(), lons.tolist(), sequences.tolist(), chances, strict=True)]
