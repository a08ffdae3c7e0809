"""Motion of probability mass over a lattice between two photos: speed limits and odometry."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.posterior.lattices import Floats, Lattice

_DIRECT_CELLS = 31
"""Wider kernels use FFTs, whose rounding errors hide masses below `_ROUNDING` times the greatest."""
_ROUNDING = 1e-14
_SAMPLES = 64
_SIGMAS = 5.0
_COARSE_SIGMA = 4.0
"""Rings with a wider error, in cells, are computed at the offsets themselves."""


@dataclass(frozen=True, eq=False)
class Motion:
    """Possible moves from a cell: probabilities of row and column offsets, the same for every cell.

    The position within a cell is assumed to be uniform, so even a displacement shorter than a cell may leave it.

    Attributes:
        kernel: Weights (2 R + 1, 2 R + 1) of offsets, north up. They are probabilities if all offsets stay on the map.
        keeps: Whether mass that would leave the map is shared among the cell's other targets. A driver turns at the map's
            border, but an odometer continues.
    """

    kernel: Floats
    keeps: bool

    def forward(self, image: Floats) -> Floats:
        """Return the masses (side, side) after the motion."""
        return _convolve(image / self._kept(image.shape[0]), self.kernel)

    def backward(self, image: Floats) -> Floats:
        """Return the expected values (side, side) after the motion for every cell before it: the transpose of `forward`."""
        back: Floats = _convolve(image, self.kernel[::-1, ::-1]) / self._kept(image.shape[0])
        return back

    def forward_poses(self, masses: Floats) -> Floats:
        """Return the masses (K, side, side) of bearings and cells after the motion; bearings stay."""
        return np.stack([self.forward(image) for image in masses])

    def forward_places(self, masses: Floats) -> Floats:
        """Return the masses (side, side) of cells after the motion of masses (K, side, side)."""
        return self.forward(masses.sum(0))

    def backward_poses(self, values: Floats) -> Floats:
        """Return the expected values (K, side, side) after the motion, for every pose before it."""
        return np.stack([self.backward(image) for image in values])

    def backward_places(self, values: Floats) -> Floats:
        """Return the expected values (1, side, side) of cells (side, side) after the motion, the same for all bearings."""
        return self.backward(values)[None]

    def reach(self, side: int) -> float:
        """Return the share of a map of (side, side) cells that can be reached from a cell, averaged over all cells."""
        radius = len(self.kernel) // 2
        pairs = np.maximum(side - np.abs(np.arange(-radius, radius + 1)), 0)  # cells from which an offset stays on the map
        return float(pairs @ (self.kernel > 0) @ pairs / side**4)

    def _kept(self, side: int) -> Floats:
        """Return the share (side, side) of each cell's mass that stays on the map; 1 if lost mass is not shared out."""
        if not self.keeps:
            return np.ones((side, side))
        kept = _convolve(np.ones((side, side)), self.kernel[::-1, ::-1])
        return np.maximum(kept, 1e-12)


def speed_limit(cells: Lattice, seconds: float, speed: float) -> Motion:
    """Return a motion to any place within reach at a speed, with equal probability in that disk.

    Args:
        cells: The lattice.
        seconds: Time between the photos.
        speed: Speed limit in metres per second.

    Raises:
        ConfigError: If a number is negative or not finite.
    """
    if not (0 <= seconds < math.inf and 0 <= speed < math.inf):
        raise ConfigError("motion", f"time and speed must not be negative (got {seconds} s, {speed} m/s)",
                          "Put photos in the order of their times, and give a speed of at least 0 m/s.")
    if seconds * speed >= math.sqrt(2) * cells.grid.region.size_m:  # every place of the map from every other
        return Motion(np.full((2 * cells.side - 1,) * 2, 1.0 / cells.side**2), keeps=True)
    reach = seconds * speed / cells.cell_m
    count = max(_SAMPLES, 4 * math.ceil(reach))
    steps = ((np.arange(count) + 0.5) / count * 2 - 1) * reach
    east, north = (a.ravel() for a in np.meshgrid(steps, steps))
    inside = east**2 + north**2 <= reach**2
    return Motion(_splat(east[inside], north[inside], np.ones(int(inside.sum())), cells.side), keeps=True)


def odometry(cells: Lattice, east_m: float, north_m: float, sigma_m: float) -> Motion:
    """Return a motion by a measured displacement with a Gaussian error.

    Args:
        cells: The lattice.
        east_m: Metres moved to the east.
        north_m: Metres moved to the north.
        sigma_m: Standard deviation of each in metres; 0 for no error.

    Raises:
        ConfigError: If a number is not finite, or sigma is negative.
    """
    if not (math.isfinite(east_m) and math.isfinite(north_m) and 0 <= sigma_m < math.inf):
        raise ConfigError("odometry", f"a number is wrong (got {east_m} m east, {north_m} m north, sigma {sigma_m} m)",
                          "Give finite metres and a sigma of at least 0.")
    limit = 2 * cells.grid.region.size_m
    sigma = min(sigma_m, limit) / cells.cell_m
    east, north = (max(-limit, min(limit, v)) / cells.cell_m for v in (east_m, north_m))
    count = max(_SAMPLES, 4 * math.ceil(_SIGMAS * sigma))
    steps = ((np.arange(count) + 0.5) / count * 2 - 1) * _SIGMAS * sigma
    weights = np.exp(-0.5 * (steps / sigma) ** 2) if sigma else np.ones(count)
    x, y = (a.ravel() for a in np.meshgrid(steps, steps))
    return Motion(_splat(x + east, y + north, np.outer(weights, weights).ravel(), cells.side), keeps=False)


def travelled(cells: Lattice, distance_m: float, sigma_m: float) -> Motion:
    """Return a motion by a measured distance into an unknown direction, with a Gaussian error of the distance.

    Args:
        cells: The lattice.
        distance_m: Metres in a straight line between the two places.
        sigma_m: Standard deviation in metres; 0 for no error.

    Raises:
        ConfigError: If a number is negative or not finite.
    """
    if not (0 <= distance_m < math.inf and 0 <= sigma_m < math.inf):
        raise ConfigError("odometry", f"a number is wrong (got {distance_m} m, sigma {sigma_m} m)",
                          "Give finite metres of at least 0.")
    limit = 2 * cells.grid.region.size_m
    middle, sigma = min(distance_m, limit) / cells.cell_m, min(sigma_m, limit) / cells.cell_m
    if sigma > _COARSE_SIGMA:  # the place in a cell makes no difference; samples would be very many
        radius = min(math.ceil(middle + _SIGMAS * sigma), cells.side - 1)
        offsets = np.hypot(*np.mgrid[-radius:radius + 1, -radius:radius + 1])
        kernel = np.exp(-0.5 * np.minimum((offsets - middle) / sigma, _SIGMAS + 1) ** 2) / np.maximum(offsets, 0.5)
        return Motion(np.where(np.abs(offsets - middle) <= _SIGMAS * sigma, kernel, 0.0) / kernel.sum(), keeps=True)
    count = max(_SAMPLES, 4 * math.ceil(_SIGMAS * sigma))
    steps = (np.arange(count) + 0.5) / count * 2 - 1
    distance = np.abs(middle + steps * _SIGMAS * sigma)
    weights = np.exp(-0.5 * (steps * _SIGMAS) ** 2) if sigma else np.ones(count)
    number = max(_SAMPLES, 4 * math.ceil(2 * math.pi * float(distance.max())))
    angle = (np.arange(number) + 0.5) / number * 2 * math.pi
    return Motion(_splat(np.outer(distance, np.cos(angle)).ravel(), np.outer(distance, np.sin(angle)).ravel(),
                         np.repeat(weights, number), cells.side), keeps=True)


def _splat(east: Floats, north: Floats, weights: Floats, side: int) -> Floats:
    """Return the kernel of displacements in cells: each is shared among four offsets, for a uniform position in a cell."""
    radius = min(math.ceil(max(np.abs(east).max(), np.abs(north).max()) - 1e-9), side - 1)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    col0, row0 = np.floor(east).astype(np.int64), np.floor(-north).astype(np.int64)
    right, down = east - col0, -north - row0
    total = weights.sum()
    for d_row, d_col, share in ((0, 0, (1 - down) * (1 - right)), (0, 1, (1 - down) * right), (1, 0, down * (1 - right)),
                                (1, 1, down * right)):
        row, col = row0 + d_row + radius, col0 + d_col + radius
        fits = (row >= 0) & (row <= 2 * radius) & (col >= 0) & (col <= 2 * radius)  # else it leaves the map from every cell
        np.add.at(kernel, (row[fits], col[fits]), (weights * share)[fits] / total)
    return kernel


def _convolve(image: Floats, kernel: Floats) -> Floats:
    """Convolve a picture with a kernel, with zeros beyond the border; cells out of reach stay exactly zero."""
    side, radius = len(image), len(kernel) // 2
    if len(kernel) <= _DIRECT_CELLS:
        from scipy.ndimage import convolve

        return np.asarray(convolve(image, kernel, mode="constant"))
    size = (1 << (side + 2 * radius - 1).bit_length(),) * 2

    def through_fft(a: Floats, b: Floats) -> Floats:
        moved = np.fft.irfft2(np.fft.rfft2(a, size) * np.fft.rfft2(b, size), size)
        return np.asarray(moved[radius:radius + side, radius:radius + side])

    reached = through_fft((image > 0).astype(np.float64), (kernel > 0).astype(np.float64)) > 0.5
    values = through_fft(image, kernel)
    return np.where(reached, np.maximum(values, _ROUNDING * values.max()), 0.0)
