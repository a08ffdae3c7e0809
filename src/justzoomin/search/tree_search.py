"""Search for the poses of photos by zooming: rough everywhere, exact where the mass is.

The coarse level gives every tile of the region an estimated log-mass. The heaviest tiles are then scored at the finest level,
and what is found replaces the estimate. Tiles that are not looked at keep theirs. So there is a posterior over the whole region
at every moment. A search ends when little mass is left in tiles that it did not look at, or when its budget is used.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from justzoomin.models import RayMatcher
from justzoomin.search.correlation import Correlation
from justzoomin.search.map_features import MapFeatures
from justzoomin.search.place_lattice import FACTOR

BEARINGS = 16
"""Number of bearings whose probabilities a search returns; bearing k is 360 k / 16 degrees clockwise from north."""
MAX_COARSE = 5 << 18
"""Most places of the level on which the whole region is scored; a larger region starts on a coarser level."""
BUDGET = 64
"""Most tiles that are scored at the finest level for one photo."""
UNSEEN = 1e-3
"""A search ends when the tiles that it did not look at hold less mass than this."""
_COARSE_TILE = 64
_AT_ONCE = 16
_KEPT_TILES, _KEPT_COARSE = 512, 320

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Budget:
    """How long a search goes on.

    Attributes:
        tiles: Most tiles that are scored on the next finer level, for one photo and level.
        unseen: Share of the mass in other tiles below which it ends.
        temperature: Divisor of log-masses by which a calibration will flatten the result. Masses are compared after it:
            a rough level spreads what a fine one finds in few cells, and flattening counts the former more.
    """

    tiles: int = BUDGET
    unseen: float = UNSEEN
    temperature: float = 1.0


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
        device: Where it computes.
    """

    def __init__(self, matcher: RayMatcher, features: MapFeatures, device: torch.device) -> None:
        self.matcher, self.features, self.device = matcher, features, device
        lattice = features.lattice
        self.unit = min(lattice.per_cell, lattice.tile)
        self.fine = Level(matcher, features, 1, lattice.tile, matcher.config.tried, device, _KEPT_TILES)

    @cached_property
    def coarse(self) -> list[Level]:
        """Levels above the finest, the coarsest first."""
        lattice, sizes = self.features.lattice, [FACTOR]
        while math.ceil(lattice.side / sizes[-1]) ** 2 > MAX_COARSE:
            sizes.append(sizes[-1] * FACTOR)
        steps = {size: lattice.tile // math.gcd(lattice.tile, size) for size in sizes}
        bearings = min(BEARINGS, self.matcher.config.tried)
        return [Level(self.matcher, self.features, size, steps[size] * max(1, round(_COARSE_TILE / steps[size])), bearings,
                      self.device, _KEPT_COARSE) for size in reversed(sizes)]

    def search(self, fan: Tensor, budget: Budget) -> Tensor:
        """Return the log-masses (16, n, n) of bearings at cells for one fan (size,), n cells along one side of the region."""
        state = _State.empty(self)
        if self.fine.tiles**2 > budget.tiles:
            first, *others = self.coarse
            self._everywhere(state, first, fan)
            for level in (*others, self.fine):
                self._refine(state, level, fan, budget)
        else:
            self._everywhere(state, self.fine, fan)
        return self._of_cells(state.found)

    def _everywhere(self, state: _State, level: Level, fan: Tensor) -> None:
        """Score all tiles of a level."""
        templates, tiles = level.correlation.templates(fan[None]), np.arange(level.tiles**2)
        for start in range(0, len(tiles), _AT_ONCE):
            some = tiles[start : start + _AT_ONCE]
            state.put(level, some, level.masses(templates, some))

    def _refine(self, state: _State, level: Level, fan: Tensor, budget: Budget) -> None:
        """Score tiles of a level, the heaviest first, until the budget ends.

        What is found replaces the estimates of these tiles. Tiles that were not scored are corrected by the mean difference
        between both: rough places hide peaks, so estimates are too low, and tiles are not chosen by what would be found.
        """
        templates = level.correlation.templates(fan[None])
        before = state.of_tiles(level, budget.temperature)
        tiles = before.argsort(descending=True)[: budget.tiles].cpu().numpy()
        exact = before[:0]
        for start in range(0, len(tiles), _AT_ONCE):
            some = tiles[start : start + _AT_ONCE]
            units = state.put(level, some, level.masses(templates, some))
            exact = torch.cat([exact, _flattened(units.logsumexp(0).flatten(1), budget.temperature)])
            if _unseen(before, tiles[: len(exact)], exact, budget.temperature) < budget.unseen:
                break
        seen = tiles[: len(exact)]
        state.correct(level, seen, (exact - before[torch.from_numpy(seen)]).mean())

    def _of_cells(self, found: Tensor) -> Tensor:
        """Return log-masses of cells from those of units."""
        lattice = self.features.lattice
        found = _regrid(found, 1, lattice.per_cell // self.unit)
        n = lattice.cells_per_place
        return _regrid(found, n, 1)


@dataclass
class _State:
    """What a search knows of one photo.

    Attributes:
        search: The search.
        found: Log-masses (16, u, u) of bearings at units: cells, or tiles of larger cells, or places of smaller ones.
    """

    search: TreeSearch
    found: Tensor

    @classmethod
    def empty(cls, search: TreeSearch) -> _State:
        units = search.features.lattice.side // search.unit
        return cls(search, torch.full((BEARINGS, units, units), -torch.inf, device=search.device))

    def of_tiles(self, level: Level, temperature: float) -> Tensor:
        """Return the log-masses (T,) of all tiles of a level; see `_flattened`."""
        per_tile = level.tile * level.size // self.search.unit
        masses = self.found.logsumexp(0)
        missing = level.tiles * per_tile - masses.shape[-1]
        masses = functional.pad(masses, (0, missing, 0, missing), value=-torch.inf)
        squares = masses.view(level.tiles, per_tile, level.tiles, per_tile).transpose(1, 2).flatten(2).flatten(0, 1)
        return _flattened(squares, temperature)

    def put(self, level: Level, tiles: Ints, masses: Tensor) -> Tensor:
        """Write masses (16, T, tile, tile) of the places of tiles, and return those of their units (16, T, n, n)."""
        units = _regrid(masses, level.size, self.search.unit)
        edge = units.shape[-1]
        for part, tile in zip(units.unbind(1), tiles.tolist(), strict=True):
            row, column = (v * edge for v in divmod(tile, level.tiles))
            into = self.found[:, row : row + edge, column : column + edge]
            into.copy_(part[:, : into.shape[1], : into.shape[2]])
        return units

    def correct(self, level: Level, seen: Ints, by: Tensor) -> None:
        """Add to the log-masses of all tiles but those seen."""
        edge = level.tile * level.size // self.search.unit
        change = torch.full((level.tiles, level.tiles), float(by), device=self.found.device)
        change.view(-1)[torch.from_numpy(seen).to(change.device)] = 0.0
        wide = change.repeat_interleave(edge, 0).repeat_interleave(edge, 1)
        self.found += wide[: self.found.shape[1], : self.found.shape[2]]


def _flattened(masses: Tensor, temperature: float) -> Tensor:
    """Return log-masses (T,) of tiles from those of their units (T, n), as they are after a flattening, in nats before it."""
    return temperature * (masses / temperature).logsumexp(1)


def _unseen(before: Tensor, seen: Ints, exact: Tensor, temperature: float) -> float:
    """Return the share of the mass that is in tiles not seen, at most, if no estimate is worse than those of the tiles seen.

    Args:
        before: Estimates (T,) of all tiles.
        seen: Numbers (S,) of the tiles that were seen.
        exact: Their masses (S,).
        temperature: See `Budget`.
    """
    which = torch.from_numpy(seen).to(before.device)
    off = (exact - before[which]) / temperature
    rest = before / temperature
    rest[which] = -torch.inf
    left = rest.logsumexp(0) + off.max()
    return float((left - torch.logaddexp(left, (exact / temperature).logsumexp(0))).exp())


def _regrid(masses: Tensor, have: int, want: int) -> Tensor:
    """Return log-masses (..., m, m) on squares of `want` places from those (..., n, n) on squares of `have` places.

    Masses are summed into larger squares and divided evenly among smaller ones.
    """
    if want % have and have % want:
        return _regrid(_regrid(masses, have, 1), 1, want)
    if want < have:
        times = have // want
        return masses.repeat_interleave(times, -1).repeat_interleave(times, -2) - 2 * math.log(times)
    times = want // have
    if times == 1:
        return masses
    top = masses.amax((-2, -1), keepdim=True)
    top = torch.where(top.isfinite(), top, 0.0)
    flat = (masses - top).exp().flatten(0, -3)
    pooled = functional.avg_pool2d(flat, times) * times**2
    return pooled.view(*masses.shape[:-2], *pooled.shape[-2:]).log() + top


def _between(bearings: int, bins: int, device: torch.device) -> Tensor:
    """Return the shares (Q, K) of the two nearest of K even bearings for each of Q even bearings."""
    place = torch.arange(bearings, device=device) * (bins / bearings)
    apart = (place[:, None] - torch.arange(bins, device=device)).abs()
    return (1 - torch.minimum(apart, bins - apart)).clamp(min=0.0)
