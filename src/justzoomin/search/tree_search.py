"""Search for the poses of photos by zooming: rough everywhere, exact where the mass is.

The coarse level gives every tile of the region an estimated log-mass. The heaviest tiles are then scored at the finest level,
and what is found replaces the estimate. Tiles that are not looked at keep theirs. So there is a posterior over the whole region
at every moment. A search ends when little mass is left in tiles that it did not look at, or when its budget is used.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from justzoomin.models import RayMatcher
from justzoomin.search.budget import Budget
from justzoomin.search.correlation import Correlation
from justzoomin.search.map_features import MapFeatures
from justzoomin.search.place_lattice import FACTOR

BEARINGS = 16
"""Number of bearings whose probabilities a search returns; bearing k is 360 k / 16 degrees clockwise from north."""
MAX_COARSE = 5 << 18
"""Most places of the level on which the whole region is scored; a larger region starts on a coarser level."""
_COARSE_TILE = 64
_LEAST = 1e-38
"""The smallest mass of a square in proportion to its tile: what is smaller underflows, but is not ruled out."""
_AT_ONCE = 16
_KEPT_TILES = 512

Ints = npt.NDArray[np.int64]


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
        self._parts: dict[int, tuple[Tensor, Tensor]] = {}

    def everywhere(self, templates: Tensor) -> Iterator[Tensor]:
        """Yield the log-masses of all tiles, some at a time and in their order; see `masses`."""
        count = self.tiles**2
        for start in range(0, count, _AT_ONCE):
            part = self._parts.get(start)
            if part is None:
                part = self._joined([self._make(tile) for tile in range(start, min(start + _AT_ONCE, count))])
                if count <= self._keep:
                    self._parts[start] = part
            yield self._masses(templates, *part)

    def masses(self, templates: Tensor, tiles: Ints) -> Tensor:
        """Return log-masses (16, T, tile, tile) of one photo at places of tiles, by bearing, from templates (F, Q, D).

        A place of this level counts for all places of the finest level in it that lie in the region.
        """
        return self._masses(templates, *self._joined([self._seen(int(tile)) for tile in tiles]))

    def _joined(self, seen: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return the transforms (F, D, T) and logits (Q, T, tile, tile) of some tiles."""
        return torch.cat([transform for transform, _ in seen], 2), torch.stack([logits for _, logits in seen], 1)

    def _masses(self, templates: Tensor, transforms: Tensor, logits: Tensor) -> Tensor:
        scores = self.correlation.scores(templates, transforms) + logits
        if self.bearings == BEARINGS:
            return scores
        top = scores.amax(0)
        top = torch.where(top.isfinite(), top, 0.0)
        return torch.einsum("qtij,qk->ktij", (scores - top).exp(), self._bins).log() + top

    def _seen(self, tile: int) -> tuple[Tensor, Tensor]:
        """Return a tile from memory, or make it; see `_make`."""
        if tile not in self._kept:
            self._kept[tile] = self._make(tile)
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(tile)
        return self._kept[tile]

    def _make(self, tile: int) -> tuple[Tensor, Tensor]:
        """Return the transform (F, D, 1) of a tile, and the logits (Q, tile, tile) of its poses without a photo."""
        row, column = (v * self.tile for v in divmod(tile, self.tiles))
        reach = self.correlation.reach
        block = self.features.vectors(self.size, row - reach, column - reach, self.tile + 2 * reach)
        logits = self.features.logits(self.size, row, column, self.tile).to(self.device)
        towards = torch.einsum("khw,qk->qhw", logits.clamp(min=-1e4), self._towards)
        weight = self._inside(row)[:, None] * self._inside(column)
        return self.correlation.transform(block[None].to(self.device)), towards + (weight.to(self.device) / self.bearings).log()

    def _inside(self, first: int) -> Tensor:
        """Return how many rows (tile,) of the finest level each row from `first` on has in the region."""
        starts = (torch.arange(self.tile) + first) * self.size
        return (self.features.lattice.side - starts).clamp(0, self.size).float()


class TreeSearch:
    """The poses of photos in a region, for fans of photos.

    Args:
        matcher: The matcher.
        features: The described region.
        device: Where it computes.

    Attributes:
        unit: Number of finest places along one side of a unit, the square whose mass is kept: a cell, or a tile of a larger
            cell, or a place that holds several cells.
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
        step, bearings = lattice.tile // FACTOR, min(BEARINGS, self.matcher.config.tried)
        tile = step * max(1, round(_COARSE_TILE / step))
        return [Level(self.matcher, self.features, size, tile, bearings, self.device, _KEPT_TILES) for size in reversed(sizes)]

    def search(self, fan: Tensor, budget: Budget) -> Poses:
        """Return what is found about one fan (size,)."""
        if self.fine.tiles**2 <= budget.tiles:
            return Poses(self, [self._everywhere(self.fine, fan)], budget.temperature)
        first, *others = self.coarse
        layers = [self._everywhere(first, fan)]
        for level in (*others, self.fine):
            layers.append(self._refine(layers, level, fan, budget))
        return Poses(self, layers, budget.temperature)

    def _everywhere(self, level: Level, fan: Tensor) -> Layer:
        """Score all tiles of a level."""
        square = self._square(level)
        parts = [_regrid(masses, level.size, square) for masses in level.everywhere(level.correlation.templates(fan[None]))]
        return Layer(level, square, np.arange(level.tiles**2), torch.cat(parts, 1))

    def _refine(self, layers: list[Layer], level: Level, fan: Tensor, budget: Budget) -> Layer:
        """Score tiles of a level in the tiles of the last layer, the heaviest first, until the budget ends.

        What is not scored is corrected by the mean difference between what was found and its estimates: rough places hide
        peaks, so estimates are too low, and tiles are not chosen by what would be found in them.
        """
        templates, square, temperature = level.correlation.templates(fan[None]), self._square(level), budget.temperature
        numbers, before = layers[-1].inside(level, self.unit, temperature)
        order = before.argsort(descending=True)
        ahead = torch.stack([before.new_tensor(layer.left + layer.shift) for layer in layers]).logsumexp(0)
        exact, parts = before[:0], list[Tensor]()
        for start in range(0, min(budget.tiles, len(numbers)), _AT_ONCE):
            some = order[start : min(start + _AT_ONCE, budget.tiles)]
            parts.append(_regrid(level.masses(templates, numbers[some.cpu().numpy()]), level.size, square))
            exact = torch.cat([exact, _flattened(parts[-1].logsumexp(0).flatten(1), square // self.unit, temperature)])
            worst = (exact - before[order[: len(exact)]]).max()
            rest = torch.logaddexp(before[order[len(exact) :]].logsumexp(0), ahead) + worst
            if (rest - torch.logaddexp(rest, exact.logsumexp(0))).exp() < budget.unseen:
                break
        seen, unseen = order[: len(exact)], order[len(exact) :]
        layers[-1].left = float(before[unseen].logsumexp(0))
        found = Layer(level, square, numbers[seen.cpu().numpy()], torch.cat(parts, 1))
        by = float((exact - before[seen]).mean())
        for layer in layers:
            layer.shift += by
        return found

    def _square(self, level: Level) -> int:
        """Return the number of finest places along one side of the squares whose masses are kept for a level."""
        return level.size if level.size % self.unit == 0 else self.unit


@dataclass
class Layer:
    """Tiles of one level with their masses.

    Attributes:
        level: The level.
        square: Number of finest places along one side of a square.
        tiles: Numbers (T,) of the tiles.
        masses: Log-masses (16, T, n, n) of bearings at their squares.
        shift: What was learned later about the size of flattened masses, for the tiles that no later layer replaces.
        left: Flattened log-mass of these tiles without the shift.
    """

    level: Level
    square: int
    tiles: Ints
    masses: Tensor
    shift: float = 0.0
    left: float = -math.inf

    def inside(self, level: Level, unit: int, temperature: float) -> tuple[Ints, Tensor]:
        """Return the numbers (C,) of a finer level's tiles in these tiles, and their flattened log-masses (C,)."""
        edge = level.tile * level.size
        times, per = self.level.tile * self.level.size // edge, edge // self.square
        squares = self.masses.logsumexp(0).view(-1, times, per, times, per).transpose(2, 3).reshape(-1, per * per)
        row, column = (v[:, None, None] * times for v in np.divmod(self.tiles, self.level.tiles))
        rows, columns = (np.broadcast_to(v, (len(self.tiles), times, times)).ravel()
                         for v in (row + np.arange(times)[:, None], column + np.arange(times)))
        there = (rows < level.tiles) & (columns < level.tiles)
        masses = _flattened(squares, self.square // unit, temperature)
        return (rows * level.tiles + columns)[there], masses[torch.from_numpy(there).to(masses.device)]


@dataclass(frozen=True)
class Poses:
    """What a search found about one photo: a mass for every part of the region.

    Attributes:
        search: The search.
        layers: The whole region first, then the tiles that were looked at more closely.
        temperature: Divisor for which the layers were compared.
    """

    search: TreeSearch
    layers: list[Layer]
    temperature: float = 1.0

    def cells(self) -> Tensor:
        """Return the log-masses (16, n, n) of bearings at cells, n cells along one side of the region, north up."""
        lattice, unit = self.search.features.lattice, self.search.unit
        edge = lattice.side // unit
        found = torch.full((BEARINGS, edge, edge), -torch.inf, device=self.search.device)
        for layer in self.layers:
            masses = _regrid(layer.masses + layer.shift * self.temperature, layer.square, unit)
            size = masses.shape[-1]
            for part, tile in zip(masses.unbind(1), layer.tiles.tolist(), strict=True):
                row, column = (v * size for v in divmod(tile, layer.level.tiles))
                into = found[:, row : row + size, column : column + size]
                into.copy_(part[:, : into.shape[1], : into.shape[2]])
        found = _regrid(found, 1, lattice.per_cell // unit)
        return _regrid(found, lattice.cells_per_place, 1)


def _flattened(masses: Tensor, edge: int, temperature: float) -> Tensor:
    """Return the log-masses (T,) of tiles after their units' log-masses were divided by a temperature.

    Args:
        masses: Log-masses (T, n) of the tiles' squares.
        edge: Number of units along one side of a square; the units of a square share its mass.
        temperature: The temperature.
    """
    return (masses / temperature).logsumexp(1) + 2 * math.log(edge) * (1 - 1 / temperature)


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
    if not pooled.all():
        possible = functional.max_pool2d(masses.flatten(0, -3), times).isfinite()
        pooled = torch.where((pooled == 0) & possible, _LEAST, pooled)
    return pooled.view(*masses.shape[:-2], *pooled.shape[-2:]).log() + top


def _between(bearings: int, bins: int, device: torch.device) -> Tensor:
    """Return the shares (Q, K) of the two nearest of K even bearings for each of Q even bearings."""
    place = torch.arange(bearings, device=device) * (bins / bearings)
    apart = (place[:, None] - torch.arange(bins, device=device)).abs()
    return (1 - torch.minimum(apart, bins - apart)).clamp(min=0.0)
