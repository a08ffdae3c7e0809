"""The kinds of search, each from photo vectors to answers. Only this file chooses between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch

from justzoomin.geometry import ZoomGrid
from justzoomin.models import MapModel
from justzoomin.posterior import Decision, HeadingPrior
from justzoomin.search.answers import Found, FoundBeam, FoundPath, FoundPosteriors
from justzoomin.search.beam_search import beam
from justzoomin.search.greedy_search import along_path, greedy
from justzoomin.search.map_posteriors import MapPosteriors
from justzoomin.search.searches import Search
from justzoomin.search.view_vectors import ViewVectors

MAX_VALUES = 1 << 22
"""Largest number of cell probabilities in memory at once, over all photos."""
BEARINGS_COST = 4
"""Cell probabilities of a photo count this often if each cell has probabilities of bearings."""


class Answering(Protocol):
    """A search: from photo vectors to the values of tables and Fixes."""

    @property
    def views(self) -> int:
        """Number of map views that are scored for a photo."""

    @property
    def listed(self) -> int | None:
        """Number of cells that are found for a photo; None if all cells are scored."""

    @property
    def posteriors(self) -> MapPosteriors | None:
        """The source of posteriors; None if the search follows paths."""

    def find(self, photos: torch.Tensor, headings: Sequence[HeadingPrior | None] = ()) -> Iterator[Found]:
        """Search for photos with vectors (B, D), some at a time and in their order.

        Args:
            photos: The vectors.
            headings: What is known of each photo's heading; empty if nothing is known. Only for posteriors.

        Raises:
            ModelError: If a score is not a number.
            TileError: If the map cannot give a view.
            GeometryError: If the prior leaves no cell.
        """


@dataclass(frozen=True)
class Greedy:
    """A search that follows the most probable cell at every step."""

    model: MapModel
    vectors: ViewVectors
    grid: ZoomGrid
    listed: int = 1
    posteriors: None = None

    @property
    def views(self) -> int:
        """Number of scored views: one per step."""
        return self.grid.depth

    def find(self, photos: torch.Tensor, headings: Sequence[HeadingPrior | None] = ()) -> Iterator[FoundPath]:
        """Follow one path per photo, for all photos at once; see `Answering`."""
        yield FoundPath(self.grid, greedy(self.model, photos, self.vectors, self.grid.depth))


@dataclass(frozen=True)
class Beams:
    """A search that follows the most probable prefixes at every step."""

    model: MapModel
    vectors: ViewVectors
    grid: ZoomGrid
    width: int
    posteriors: None = None

    @property
    def views(self) -> int:
        """Number of scored views: one per prefix and step."""
        return sum(self._prefixes(level) for level in range(self.grid.depth))

    @property
    def listed(self) -> int:
        """Number of found cells: the width, or all cells if there are fewer."""
        return self._prefixes(self.grid.depth)

    def _prefixes(self, level: int) -> int:
        return min(self.width, int(self.grid.actions**level))

    def find(self, photos: torch.Tensor, headings: Sequence[HeadingPrior | None] = ()) -> Iterator[FoundBeam]:
        """Follow the paths of all photos at once; see `Answering`."""
        yield FoundBeam(self.grid, beam(self.model, photos, self.vectors, self.grid.depth, self.width),
                        partial(along_path, self.model, photos, self.vectors))


@dataclass(frozen=True)
class AllCells:
    """A search that scores all cells and answers by a decision."""

    posteriors: MapPosteriors
    decision: Decision
    listed: None = None

    @property
    def views(self) -> int:
        """Number of scored views: all views that the model uses."""
        return len(self.posteriors.vectors.model.layers(self.posteriors.grid))

    def find(self, photos: torch.Tensor, headings: Sequence[HeadingPrior | None] = ()) -> Iterator[FoundPosteriors]:
        """Score all cells, for as many photos at a time as the memory limit allows; see `Answering`."""
        grid, with_bearings = self.posteriors.grid, self.posteriors.vectors.model.matcher is not None
        step = max(1, MAX_VALUES // grid.actions**grid.depth // (BEARINGS_COST if with_bearings else 1))
        for start in range(0, len(photos), step):
            own = self.posteriors.own(photos[start:start + step])
            found = self.posteriors.with_prior(own, headings[start:start + step])
            yield FoundPosteriors(self.posteriors, self.decision, own.log_probs, found)


def answering(search: Search, posteriors: MapPosteriors, decision: Decision) -> Answering:
    """Return the implementation of a search.

    Args:
        search: The search.
        posteriors: The source of the model's posteriors on the map; a search along paths uses its model and views.
        decision: The rule that picks the answer from a posterior.
    """
    vectors, grid = posteriors.vectors, posteriors.grid
    if search.kind == "greedy":
        return Greedy(vectors.model, vectors, grid)
    if search.kind == "beam":
        return Beams(vectors.model, vectors, grid, search.width)
    return AllCells(posteriors, decision)
