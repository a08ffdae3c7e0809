"""A region as a matcher describes it, in eight bits a number: piece by piece, in memory or on the disk."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from justzoomin.models import Ground
from justzoomin.search.place_lattice import FACTOR, PlaceLattice

HALF = 2
"""Bearings' logits are kept for squares of this many places: they change more slowly than what a place looks like."""
_VECTOR_STEP = 1 / 127
_LOGIT_STEP, _LOGIT_MIDDLE = 0.15, -8.0
_OUTSIDE = -128
"""Stored logit outside the described area: no pose."""

Piece = npt.NDArray[np.void]
"""One described piece; see `piece_dtype`."""


def piece_dtype(lattice: PlaceLattice, channels: int, headings: int) -> np.dtype[np.void]:
    """Return the layout of a described piece with its margin.

    Fields: `fine` and `coarse`, vectors of places of one and of `FACTOR` places along a side; `fine_logits` and
    `coarse_logits`, of squares of `HALF` and of `FACTOR` places. All have their channels first.
    """
    edge = lattice.window + 2 * lattice.margin
    fields = (("fine", channels, 1), ("coarse", channels, FACTOR),
              ("fine_logits", headings, HALF), ("coarse_logits", headings, FACTOR))
    return np.dtype([(name, "i1", (count, edge // size, edge // size)) for name, count, size in fields])


def to_piece(ground: Ground, lattice: PlaceLattice) -> Piece:
    """Return a description of a piece of map with its margin in eight bits; that of larger places is the mean over the places.

    Logits of larger squares are the log of the mean of their exponentials: the mass of all poses in them.
    """
    places, logits = ground.places.float().cpu(), ground.headings.float().cpu()
    record = np.zeros((), piece_dtype(lattice, len(places), len(logits)))
    record["fine"] = _vectors(places)
    record["coarse"] = _vectors(functional.avg_pool2d(places, FACTOR))
    record["fine_logits"], record["coarse_logits"] = _logits(logits, HALF), _logits(logits, FACTOR)
    return record


class MapFeatures:
    """The described region, read in blocks.

    Args:
        lattice: The lattice of its places.
        channels: Length of a place's vector.
        headings: Number of bearings with a logit.
        fetch: Returns a piece by its number, row by row from the north-western corner.
    """

    def __init__(self, lattice: PlaceLattice, channels: int, headings: int, fetch: Callable[[int], Piece]) -> None:
        self.lattice, self.channels, self.headings, self.fetch = lattice, channels, headings, fetch

    def vectors(self, level: int, top: int, left: int, size: int) -> Tensor:
        """Return the vectors (D, size, size) of a square of places, 0 outside the described area.

        Args:
            level: Places along one side of a place of this level: 1 or `FACTOR` or a multiple of it.
            top: Row of its first place; rows and columns count from the region's north-western corner.
            left: Column of its first place.
            size: Edge of the square in places of the level.
        """
        field, stored = ("fine", 1) if level == 1 else ("coarse", FACTOR)
        times = level // stored
        found = self._block(field, stored, self.channels, top * times, left * times, size * times, 0)
        vectors = torch.from_numpy(found).float() * _VECTOR_STEP
        return functional.avg_pool2d(vectors, times) if times > 1 else vectors

    def logits(self, level: int, top: int, left: int, size: int) -> Tensor:
        """Return the logits (K, size, size) of bearings in a square of places, -inf outside; see `vectors`."""
        field, stored = ("fine_logits", HALF) if level == 1 else ("coarse_logits", FACTOR)
        if level == 1:
            first, over = divmod(top, HALF), divmod(left, HALF)
            rough = math.ceil((size + HALF) / HALF)
            found = _from_logits(self._block(field, stored, self.headings, first[0], over[0], rough, _OUTSIDE))
            wide = found.repeat_interleave(HALF, 1).repeat_interleave(HALF, 2)
            return wide[:, first[1] : first[1] + size, over[1] : over[1] + size]
        times = level // stored
        found = _from_logits(self._block(field, stored, self.headings, top * times, left * times, size * times, _OUTSIDE))
        if times > 1:
            squares = found.view(len(found), size, times, size, times).transpose(2, 3).flatten(3)
            found = squares.logsumexp(3) - 2 * math.log(times)
        return found

    def _block(self, field: str, stored: int, channels: int, top: int, left: int, size: int,
               outside: int) -> npt.NDArray[np.int8]:
        """Return a square of stored values; the inner part of a piece counts where it overlaps the margins of others."""
        window, margin, windows = self.lattice.window // stored, self.lattice.margin // stored, self.lattice.windows
        found = np.full((channels, size, size), outside, np.int8)
        for row in _pieces(top, size, window, windows):
            for column in _pieces(left, size, window, windows):
                (r0, r1, s0), (c0, c1, t0) = (_overlap(start, size, index, window, margin, windows)
                                              for start, index in ((top, row), (left, column)))
                if r1 > r0 and c1 > c0:
                    piece = self.fetch(row * windows + column)[field]
                    found[:, r0:r1, c0:c1] = piece[:, s0 : s0 + r1 - r0, t0 : t0 + c1 - c0]
        return found


def _pieces(start: int, size: int, window: int, windows: int) -> range:
    """Return the numbers of the pieces along one side that a range of places touches."""
    first, last = (min(max(v // window, 0), windows - 1) for v in (start, start + size - 1))
    return range(first, last + 1)


def _overlap(start: int, size: int, index: int, window: int, margin: int, windows: int) -> tuple[int, int, int]:
    """Return the part of a range that a piece gives, from and to, and where it begins in the piece."""
    low = index * window - (margin if index == 0 else 0)
    high = (index + 1) * window + (margin if index == windows - 1 else 0)
    first, last = max(start, low), min(start + size, high)
    return first - start, last - start, first - index * window + margin


def _vectors(values: Tensor) -> npt.NDArray[np.int8]:
    return np.asarray((values / _VECTOR_STEP).round().clamp(-127, 127).to(torch.int8).numpy())


def _logits(values: Tensor, size: int) -> npt.NDArray[np.int8]:
    edge = values.shape[-1] // size
    squares = values.reshape(len(values), edge, size, edge, size).transpose(2, 3).flatten(3)
    pooled = squares.logsumexp(3) - 2 * math.log(size)
    return np.asarray(((pooled - _LOGIT_MIDDLE) / _LOGIT_STEP).round().clamp(-127, 127).to(torch.int8).numpy())


def _from_logits(stored: npt.NDArray[np.int8]) -> Tensor:
    values = torch.from_numpy(stored)
    return torch.where(values == _OUTSIDE, -torch.inf, values.float() * _LOGIT_STEP + _LOGIT_MIDDLE)
