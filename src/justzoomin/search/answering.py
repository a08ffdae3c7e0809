"""The one place where a search is chosen: each kind of search is one way from photo vectors to answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch

from justzoomin.geometry import ZoomGrid
from justzoomin.models import MapModel
from justzoomin.posterior import Decision
from justzoomin.search.answers import Found, FoundBeam, FoundPath, FoundPosteriors
from justzoomin.search.beam_search import beam
from justzoomin.search.greedy_search import along_path, greedy
from justzoomin.search.map_posteriors import MapPosteriors
from justzoomin.search.searches import Search
from justzoomin.search.view_vectors import ViewVectors

MAX_VALUES = 1 << 22
"""Probabilities of cells that are in memory at once, photos together."""


class Answering(Protocol):
    """A way from photo vectors to what tables and Fixes are made of."""

    @property
    def views(self) -> int:
        """Views of the map that are scored for a photo."""

    @property
    def listed(self) -> int | None:
        """Cells that are found for a photo; None where all are scored."""

    @property
    def posteriors(self) -> MapPosteriors | None:
        """What makes the posteriors; None where paths are followed."""

    def find(self, photos: torch.Tensor) -> Iterator[Found]:
        """Search for photos with vectors (B, D), some at a time and in their order.

        Raises:
            ModelError: If a score is not a number.
            TileError: If the map cannot give a view.
            GeometryError: If the prior leaves no cell.
        """


@dataclass(frozen=True)
class Greedy:
    """At every step the most probable cell."""

    model: MapModel
    vectors: ViewVectors
    grid: ZoomGrid
    listed: int = 1
    posteriors: None = None

    @property
    def views(self) -> int:
        """One view a step."""
        return self.grid.depth

    def find(self, photos: torch.Tensor) -> Iterator[FoundPath]:
        """Follow one path a photo, all photos at once; see `Answering`."""
        yield FoundPath(self.grid, greedy(self.model, photos, self.vectors, self.grid.depth))


@dataclass(frozen=True)
class Beams:
    """At every step the most probable prefixes."""

    model: MapModel
    vectors: ViewVectors
    grid: ZoomGrid
    width: int
    posteriors: None = None

    @property
    def views(self) -> int:
        """As many views a step as there are prefixes."""
        return sum(self._prefixes(level) for level in range(self.grid.depth))

    @property
    def listed(self) -> int:
        """The width, or all cells where there are fewer."""
        return self._prefixes(self.grid.depth)

    def _prefixes(self, level: int) -> int:
        return min(self.width, int(self.grid.actions**level))

    def find(self, photos: torch.Tensor) -> Iterator[FoundBeam]:
        """Follow the paths of all photos at once; see `Answering`."""
        yield FoundBeam(self.grid, beam(self.model, photos, self.vectors, self.grid.depth, self.width),
                        partial(along_path, self.model, photos, self.vectors))


@dataclass(frozen=True)
class AllCells:
    """The whole posterior, answered by a decision."""

    posteriors: MapPosteriors
    decision: Decision
    listed: None = None

    @property
    def views(self) -> int:
        """All views that the model looks at."""
        return len(self.posteriors.vectors.model.layers(self.posteriors.grid))

    def find(self, photos: torch.Tensor) -> Iterator[FoundPosteriors]:
        """Score all cells, for as many photos at a time as memory is bound to; see `Answering`."""
        for some in torch.split(photos, max(1, MAX_VALUES // self.posteriors.grid.actions**self.posteriors.grid.depth)):
            own = self.posteriors.own(some)
            yield FoundPosteriors(self.posteriors, self.decision, own, self.posteriors.with_prior(own))


def answering(search: Search, posteriors: MapPosteriors, decision: Decision) -> Answering:
    """Return the way to answer that a search asks for.

    Args:
        search: The search.
        posteriors: What makes posteriors of the model on the map; a search along paths takes model and views from it.
        decision: What picks the answer from a posterior.
    """
    vectors, grid = posteriors.vectors, posteriors.grid
    if search.kind == "greedy":
        return Greedy(vectors.model, vectors, grid)
    if search.kind == "beam":
        return Beams(vectors.model, vectors, grid, search.width)
    return AllCells(posteriors, decision)
