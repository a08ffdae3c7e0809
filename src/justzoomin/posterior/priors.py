"""Prior knowledge about a photo's position, as weights of the terminal cells."""

from __future__ import annotations

import io
import math
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ConfigError, GeometryError
from justzoomin.geometry import LatLon, ZoomGrid, haversine_m
from justzoomin.posterior.lattices import MAX_TERMINAL_CELLS, Floats, lattice
from justzoomin.posterior.normalizing import log_normalized
from justzoomin.posterior.posterior import Posterior
from justzoomin.untrusted import printable, read_limited

_SWAPPED = "; latitude and longitude look swapped"
_EARTH_M = 20_100_000.0
"""More than half of the way round the earth: no place is farther away."""


class Prior(Protocol):
    """Anything that weighs terminal cells."""

    def log_weights(self, grid: ZoomGrid) -> Floats:
        """Return natural log-weights (N,) of the terminal cells, up to a constant; -inf rules a cell out."""
        ...

    def exchanged(self) -> Prior | None:
        """Return the prior with latitude and longitude swapped; None if it has no position or cannot be swapped."""
        ...

    def __str__(self) -> str:
        """Return a description for error texts: `within 500 m of 54.5, 3.0`."""
        ...


@dataclass(frozen=True)
class Circle:
    """A prior within a distance of a position, with a hard edge or a Gaussian one.

    The weight of a cell is the share of its area that is inside. With `soft_m` it is exp(-d^2 / (2 soft_m^2)) at a distance d
    outside the circle, measured from the cell's centre; a radius of 0 makes that a Gaussian around the position.

    Args:
        lat: Latitude of the centre in degrees.
        lon: Longitude of the centre in degrees.
        radius_m: Radius in metres.
        soft_m: Standard deviation of the Gaussian edge in metres; 0 for a hard edge.

    Raises:
        ConfigError: If a number is not finite or out of range, or the circle has zero size.
    """

    lat: float
    lon: float
    radius_m: float
    soft_m: float = 0.0

    def __post_init__(self) -> None:
        if not (abs(self.lat) <= 90 and abs(self.lon) <= 360):
            swapped = _SWAPPED if abs(self.lon) <= 90 and abs(self.lat) <= 360 else ""
            raise ConfigError("prior", f"{self.lat}, {self.lon} is not a position{swapped}",
                              "Give latitude and longitude in degrees, latitude first.")
        if not (0 <= self.radius_m <= _EARTH_M and 0 <= self.soft_m <= _EARTH_M and self.radius_m + self.soft_m > 0):
            raise ConfigError("prior", f"the circle has no valid size (radius {self.radius_m} m, soft {self.soft_m} m)",
                              "Give a radius above 0 m and smaller than the earth.")

    def log_weights(self, grid: ZoomGrid) -> Floats:
        """Return the log (N,) of the share inside, or of the Gaussian edge."""
        cells = lattice(grid)
        if self.soft_m:
            beyond = np.maximum(haversine_m(cells.lat, cells.lon, self.lat, self.lon) - self.radius_m, 0.0)
            return np.asarray(-0.5 * (beyond / self.soft_m) ** 2)
        from justzoomin.posterior.coverage import circle_coverage

        return log(circle_coverage(cells, LatLon(self.lat, self.lon), self.radius_m))

    def exchanged(self) -> Prior | None:
        """Return the circle around the position with latitude and longitude swapped; None if that is not a position."""
        return Circle(self.lon, self.lat, self.radius_m, self.soft_m) if abs(self.lon) <= 90 else None

    def __str__(self) -> str:
        soft = f", {self.soft_m:g} m soft" if self.soft_m else ""
        return f"within {self.radius_m:g} m of {self.lat:.6f}, {self.lon:.6f}{soft}"


def last_fix(lat: float, lon: float, seconds: float, speed: float, radius_m: float = 0.0, sigma_m: float = 0.0) -> Circle:
    """Return a prior for the time after a fix: as far as the speed limit allows, widened by the uncertainty of the fix.

    Args:
        lat: Latitude of the fix in degrees.
        lon: Longitude of the fix in degrees.
        seconds: Time since the fix.
        speed: Speed limit in metres per second.
        radius_m: Radius in metres that certainly holds the fix.
        sigma_m: Standard deviation of the fix in metres: the Gaussian edge outside the reach of speed and radius.

    Raises:
        ConfigError: If time or speed is negative or not finite, or the circle has zero size.
    """
    if not (0 <= seconds < math.inf and 0 <= speed < math.inf):
        raise ConfigError("--near", f"time and speed must not be negative (got {seconds} s, {speed} m/s)",
                          "Give a time of at least 0 s and a speed of at least 0 m/s.")
    return Circle(lat, lon, min(seconds * speed + radius_m, _EARTH_M), sigma_m)


@dataclass(frozen=True, eq=False)
class Weights:
    """A weight for every terminal cell.

    Args:
        grid: The grid.
        values: Weights (N,), at least 0 and finite.
        name: What they are, for error texts.

    Raises:
        ConfigError: If there is not one weight per cell, or one is negative or not finite.
    """

    grid: ZoomGrid
    values: npt.NDArray[np.floating]
    name: str = "weights"

    def __post_init__(self) -> None:
        cells = self.grid.actions**self.grid.depth
        if self.values.shape != (cells,):
            raise ConfigError(self.name, f"its shape is {self.values.shape}", f"Give a weight per cell: ({cells},).")
        if not (np.isfinite(self.values) & (self.values >= 0)).all():
            raise ConfigError(self.name, "a weight is negative or not finite", "Give weights of at least 0.")

    def log_weights(self, grid: ZoomGrid) -> Floats:
        """Return the log (N,) of the weights.

        Raises:
            ConfigError: If they belong to another grid.
        """
        if grid != self.grid:
            raise ConfigError(self.name, "these weights belong to another grid", "Make weights for the grid that is searched.")
        return log(self.values.astype(np.float64))

    def exchanged(self) -> Prior | None:
        """Return None, because weights belong to cells."""
        return None

    def __str__(self) -> str:
        return self.name


def weights_from_npy(path: Path, grid: ZoomGrid) -> Weights:
    """Read weights from a `.npy` picture of the lattice: (side, side), north up.

    Raises:
        ConfigError: If it cannot be read, is not such a picture, or a weight is negative or not finite.
    """
    cells = lattice(grid)
    remedy = f"Save real numbers of shape ({cells.side}, {cells.side}) with numpy.save."
    try:
        content = read_limited(path, 16 * MAX_TERMINAL_CELLS)
        file = io.BytesIO(content)
        version = np.lib.format.read_magic(file)
        if version not in {(1, 0), (2, 0)}:
            raise ConfigError(path, f"its .npy version is {version[0]}; 1 and 2 are read", remedy)
        read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read_head(file)
        if shape != (cells.side, cells.side) or kind.kind not in "iufb" or kind.itemsize > 8:
            raise ConfigError(path, f"it holds {kind} of shape {printable(shape, 60)}", remedy)
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except OSError as error:
        raise ConfigError(path, f"it cannot be read ({error.strerror or printable(error, 100)})", remedy) from error
    except (ValueError, TypeError, EOFError, SyntaxError, OverflowError, MemoryError, RecursionError, KeyError,
            tokenize.TokenError) as error:
        raise ConfigError(path, f"it is not a .npy picture ({printable(error, 100)})", remedy) from error
    return Weights(grid, cells.from_image(values.astype(np.float64)), str(path))


@dataclass(frozen=True)
class Both:
    """Several priors combined: their weights are multiplied."""

    priors: tuple[Prior, ...]

    def log_weights(self, grid: ZoomGrid) -> Floats:
        """Return the sums (N,) of the priors' log-weights."""
        total: Floats = np.zeros(grid.actions**grid.depth)
        for prior in self.priors:
            total = total + prior.log_weights(grid)
        return total

    def exchanged(self) -> Prior | None:
        """Return None, because each part is checked by itself."""
        return None

    def __str__(self) -> str:
        return " and ".join(map(str, self.priors))


def apply(posterior: Posterior, prior: Prior) -> Posterior:
    """Multiply a posterior by a prior.

    A prior with equal weights for all cells changes nothing, not even the last bit.

    Raises:
        GeometryError: If the prior rules out every cell, or every cell that the posterior allows.
    """
    return Posterior(posterior.grid, apply_many(posterior.grid, posterior.log_probs[None], prior)[0], posterior.headings)


def apply_many(grid: ZoomGrid, log_probs: Floats, prior: Prior) -> Floats:
    """Multiply log-probabilities (B, N) of photos by a prior; see `apply`.

    Raises:
        GeometryError: As in `apply`.
    """
    weights = prior.log_weights(grid)
    top = weights.max()
    if top == -np.inf:
        centre = grid.region.centre
        swapped = any(_looks_swapped(part, grid) for part in (prior.priors if isinstance(prior, Both) else (prior,)))
        raise GeometryError("prior", f"it rules out every cell ({prior})" + _SWAPPED * swapped,
                            f"The region reaches {grid.region.size_m / 2:g} m from {centre.lat:.6f}, {centre.lon:.6f}: "
                            "give a prior that overlaps it.")
    weights = weights - top
    if not weights.any():
        return log_probs
    total = log_probs + weights
    if (total.max(1) == -np.inf).any():
        raise GeometryError("prior", f"it rules out every cell that the photo's posterior allows ({prior})",
                            "Give priors that overlap.")
    return log_normalized(total)


def _looks_swapped(prior: Prior, grid: ZoomGrid) -> bool:
    """Return whether a prior rules out every cell, but not with latitude and longitude swapped."""
    other = prior.exchanged()
    return other is not None and prior.log_weights(grid).max() == -np.inf and other.log_weights(grid).max() > -np.inf


def log(values: Floats) -> Floats:
    """Return the natural logarithm; -inf for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))
