"""Search for the poses of photos by zooming: rough everywhere, exact where the mass is.

The coarse level gives every tile of the region an estimated log-mass. The heaviest tiles are then scored at the finest level,
and what is found replaces the estimate. Tiles that are not looked at keep theirs. So there is a posterior over the whole region
at every moment. A search ends when little mass is left in tiles that it did not look at, or when its budget is used.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from justzoomin.models import RayMatcher
from justzoomin.search.correlation import Correlation
from justzoomin.search.map_features import MapFeatures
from justzoomin.search.place_lattice import FACTOR

BEARINGS = 16
"""Number of bearings whose probabilities a search returns; bearing k is 360 k / 16 degrees clockwise from north."""
MAX_COARSE = 1 << 20
"""Most places of the level on which the whole region is scored; a larger region starts on a coarser level."""
BUDGET = 64
"""Most tiles that are scored at the finest level for one photo."""
UNSEEN = 1e-3
"""A search ends when the tiles that it did not look at hold less mass than this."""
_COARSE_TILE = 64
_AT_ONCE = 16
_KEPT_TILES = 512

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Budget:
    """How long a search goes on.

    Attributes:
        tiles: Most tiles that are scored on the next finer level, for one photo and level.
        unseen: Share of the mass in other tiles below which it ends.
    """

    tiles: int = BUDGET
    unseen: float = UNSEEN


class Level:
    """One size of place: scores of the poses in its tiles.

    Args:
        matcher: The matcher.
        features: The described region.
        size: Places of the finest level along one side of a place of this one.
        tile: Places of this level along one side of a tile.
        bearings: Number of bearings tried.
        device: Where it computes.
        keep: Most tiles whose transforms are kept in memory.
    """

    def __init__(self, matcher: RayMatcher, features: MapFeatures, size: int, tile: int, bearings: int, device: torch.device,
                 keep: int) -> None:
        self.features, self.size, self.tile, self.bearings, self.device = features, size, tile, bearings, device
        lattice = features.lattice
        self.correlation = Correlation(matcher, lattice.place_m * size, tile, bearings, device)
        self.places = math.ceil(lattice.side / size)
        self.tiles = math.ceil(self.places / tile)
        self._towards = _between(bearings, features.headings, device)                    # (Q, K)
        self._bins = _between(bearings, BEARINGS, device)                                # (Q, 16)
        self._keep = keep
        self._kept: OrderedDict[int, tuple[Tensor, Tensor]] = OrderedDict()

    def masses(self, templates: Tensor, tiles: Ints) -> Tensor:
        """Return log-masses (16, T, tile, tile) of one photo at places of tiles, by bearing, from templates (F, Q, D).

        A place of this level counts for all places of the finest level in it that lie in the region.
        """
        seen = [self._seen(int(tile)) for tile in tiles]
        transforms = torch.cat([transform for transform, _ in seen], 2)
        logits = torch.stack([logits for _, logits in seen], 1)                          # (Q, T, tile, tile)
        scores = self.correlation.scores(templates, transforms) + logits
        if self.bearings == BEARINGS:
            return scores
        top = scores.amax(0)
        top = torch.where(top.isfinite(), top, 0.0)
        return torch.einsum("qtij,qk->ktij", (scores - top).exp(), self._bins).log() + top

    def _seen(self, tile: int) -> tuple[Tensor, Tensor]:
        """Return the transform (F, D, 1) of a tile, and the logits (Q, tile, tile) of its poses without a photo."""
        if tile not in self._kept:
            row, column = (v * self.tile for v in divmod(tile, self.tiles))
            reach = self.correlation.reach
            block = self.features.vectors(self.size, row - reach, column - reach, self.tile + 2 * reach)
            logits = self.features.logits(self.size, row, column, self.tile).to(self.device)
            towards = torch.einsum("khw,qk->qhw", logits.clamp(min=-1e4), self._towards)
            weight = self._inside(row)[:, None] * self._inside(column)
            self._kept[tile] = (self.correlation.transform(block[None].to(self.device)),
                                towards + (weight.to(self.device) / self.bearings).log())
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(tile)
        return self._kept[tile]

    def _inside(self, first: int) -> Tensor:
        """Return how many rows (tile,) of the finest level each row from `first` on has in the region."""
        starts = (torch.arange(self.tile) + first) * self.size
        return (self.features.lattice.side - starts).clamp(0, self.size).float()


class TreeSearch:
    """Log-masses of all terminal cells and bearings of a region, for fans of photos.

    Args:
        matcher: The matcher.
        features: The described region.
        cells: Number of terminal cells along one side of the region.
        device: Where it computes.
    """

    def __init__(self, matcher: RayMatcher, features: MapFeatures, cells: int, device: torch.device) -> None:
        self.matcher, self.features, self.cells, self.device = matcher, features, cells, device
        lattice = features.lattice
        self.fine = Level(matcher, features, 1, lattice.tile, matcher.config.tried, device, _KEPT_TILES)
        self._coarse: list[Level] = []

    @property
    def coarse(self) -> list[Level]:
        """Levels above the finest, the coarsest first."""
        if not self._coarse:
            lattice, sizes = self.features.lattice, [FACTOR]
            while math.ceil(lattice.side / sizes[-1]) ** 2 > MAX_COARSE * 1.1:
                sizes.append(sizes[-1] * FACTOR)
            step = lattice.tile // FACTOR
            tile = step * max(1, round(_COARSE_TILE / step))
            bearings = min(BEARINGS, self.matcher.config.tried)
            self._coarse = [Level(self.matcher, self.features, size, tile, bearings, self.device, 1 << 16)
                            for size in reversed(sizes)]
        return self._coarse

    def everywhere(self, fans: Tensor) -> Tensor:
        """Return log-masses (B, 16, n, n) of the cells by bearing, n cells along one side, with all tiles at the finest level."""
        return torch.stack([self._of_photo(self.fine.correlation.templates(fan[None]))
                            for fan in fans])

    def _of_photo(self, templates: Tensor) -> Tensor:
        found = torch.full((BEARINGS, self.cells, self.cells), -torch.inf, device=self.device)
        self._look(templates, np.arange(self.fine.tiles**2), found)
        return found

    def search(self, fan: Tensor, budget: Budget = Budget()) -> tuple[Tensor, dict]:
        """Experimental: return log-masses (16, n, n) for one fan."""
        level = self.coarse[0]
        templates = level.correlation.templates(fan[None])
        found = torch.full((BEARINGS, self.cells, self.cells), -torch.inf, device=self.device)
        tile_mass = torch.full((self.fine.tiles, self.fine.tiles), -torch.inf)
        lattice = self.features.lattice
        per_tile = lattice.tile // FACTOR
        for start in range(0, level.tiles**2, _AT_ONCE):
            tiles = np.arange(start, min(start + _AT_ONCE, level.tiles**2))
            masses = level.masses(templates, tiles)
            self._into_cells(masses, tiles, level, found)
            whole = _pooled(masses.logsumexp(0)[None], per_tile)[0]
            for t, tile in enumerate(tiles.tolist()):
                r, c = (v * whole.shape[-1] for v in divmod(tile, level.tiles))
                part = tile_mass[r:r + whole.shape[-2], c:c + whole.shape[-1]]
                part.copy_(whole[t, :part.shape[0], :part.shape[1]])
        estimate = tile_mass.flatten()
        order = estimate.argsort(descending=True)
        exact = {}
        templates = self.fine.correlation.templates(fan[None])
        tiles = order[:budget.tiles].numpy()
        masses = self._look(templates, tiles, found)
        return found, {"estimate": estimate, "tiles": tiles, "exact": masses}

    def _look(self, templates: Tensor, tiles: Ints, found: Tensor) -> Tensor:
        """Score tiles at the finest level, replace the masses of their cells, and return the tiles' log-masses (T,)."""
        masses = []
        for start in range(0, len(tiles), _AT_ONCE):
            some = tiles[start:start + _AT_ONCE]
            here = self.fine.masses(templates, some)
            self._into_cells(here, some, self.fine, found)
            masses.append(here.transpose(0, 1).flatten(1).logsumexp(1))
        return torch.cat(masses)

    def _into_cells(self, masses: Tensor, tiles: Ints, level: Level, found: Tensor) -> None:
        """Write the masses of places of tiles into the cells."""
        lattice = self.features.lattice
        per_cell = lattice.per_cell
        if per_cell % level.size:  # a cell's border lies within places: spread their mass
            masses = masses.repeat_interleave(level.size, -1).repeat_interleave(level.size, -2) - 2 * math.log(level.size)
            unit = 1
        else:
            unit = level.size
        pool = min(per_cell // unit, masses.shape[-1])
        cells = _pooled(masses, pool)
        if lattice.cells_per_place > 1:
            n = lattice.cells_per_place
            cells = cells.repeat_interleave(n, -1).repeat_interleave(n, -2) - 2 * math.log(n)
        edge = cells.shape[-1]
        for t, tile in enumerate(tiles.tolist()):
            row, column = divmod(tile, level.tiles)
            if per_cell > level.tile * level.size:
                raise NotImplementedError
            part = found[:, row * edge : (row + 1) * edge, column * edge : (column + 1) * edge]
            part.copy_(cells[:, t, : part.shape[1], : part.shape[2]])


def _pooled(masses: Tensor, size: int) -> Tensor:
    """Return log-masses (..., h / size, w / size) of squares of places (..., h, w)."""
    if size == 1:
        return masses
    h, w = masses.shape[-2:]
    squares = masses.reshape(*masses.shape[:-2], h // size, size, w // size, size).transpose(-3, -2).flatten(-2)
    return squares.logsumexp(-1)


def _between(bearings: int, bins: int, device: torch.device) -> Tensor:
    """Return the shares (Q, K) of the two nearest of K even bearings for each of Q even bearings."""
    place = torch.arange(bearings, device=device) * (bins / bearings)
    apart = (place[:, None] - torch.arange(bins, device=device)).abs()
    return (1 - torch.minimum(apart, bins - apart)).clamp(min=0.0)
