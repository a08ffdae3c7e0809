"""Calibration for new ground: temperatures and a uniform share that follow from a map's area, fitted on photos of many maps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.lattices import Floats
from justzoomin.posterior.normalizing import finite, log_normalized
from justzoomin.posterior.one_map import step_by_step, step_log_probs

AREA_M2 = 1e6
"""Area at which a law's area term is zero: a square of 1 km."""
LOG_TEMPERATURES = (math.log(0.2), math.log(50.0))
"""Least and greatest logarithm of a temperature, whatever a law says."""
FACTOR = 2.02
"""A size may be this many times smaller or larger than those of the maps of the fit: 2, and a little for rounded sizes."""
COLOUR_SLACK = 16.0
"""Grey levels by which a map's mean colour may be outside the range of the maps of the fit."""
SIZES = {"area_m2": ("its area is {} km²", 1e-6), "cell_m": ("its cells are {} m wide", 1.0),
         "metres_per_pixel": ("its finest level has {} m a pixel", 1.0)}
"""The sizes of a map that must be like those of the fit: words and factor for people."""
_MOST_SHARE = 1.0 - 1e-9


@dataclass(frozen=True)
class MapFacts:
    """What decides whether a map is like others.

    Attributes:
        area_m2: Area of the region.
        cell_m: Edge of a terminal cell.
        metres_per_pixel: Ground resolution of the map's finest level at the region's centre.
        look: Appearance of the region (`region_look`).
        map: Fingerprint of the map.
    """

    area_m2: float
    cell_m: float
    metres_per_pixel: float
    look: str
    map: str

    @property
    def colour(self) -> Floats:
        """Mean red, green and blue (3,) of the region, 0 to 255."""
        return np.asarray(np.frombuffer(bytes.fromhex(self.look), np.uint8).reshape(-1, 3).mean(0))


@dataclass(frozen=True)
class TemperatureLaw:
    """Temperature of one step as a function of the searched area and of a photo's entropy.

    The logarithm of the temperature is `log_temperature + by_area * ln(area / 1 km²) + by_entropy * (entropy / ln N - 1/2)`.
    The entropy is that of the model's own posterior over the N cells, and the area is that of the region.

    Attributes:
        log_temperature: Logarithm of the temperature at 1 km² for a photo with half of the greatest entropy.
        by_area: Its growth with the logarithm of the area.
        by_entropy: Its growth with the entropy's share of the greatest entropy.
    """

    log_temperature: float
    by_area: float = 0.0
    by_entropy: float = 0.0

    def log_temperatures(self, area_m2: float, entropy_share: Floats) -> Floats:
        """Return the logarithm of the temperature (B,) of photos with these shares (B,) of the greatest entropy."""
        found = self.log_temperature + self.by_area * math.log(area_m2 / AREA_M2) + self.by_entropy * (entropy_share - 0.5)
        return np.clip(found, *LOG_TEMPERATURES)


@dataclass(frozen=True)
class UniformLaw:
    """Share of the posterior that every cell gets alike, as a function of the searched area.

    Attributes:
        logit: ln(share / (1 - share)) at 1 km²; -inf for no share at all.
        by_area: Its growth with the logarithm of the area.
    """

    logit: float = -math.inf
    by_area: float = 0.0

    def share(self, area_m2: float) -> float:
        """Return the share, from 0 to below 1: it may never hide everything else."""
        value = self.logit + self.by_area * math.log(area_m2 / AREA_M2)
        return min(1.0 / (1.0 + math.exp(-value)), _MOST_SHARE) if value > -700.0 else 0.0


@dataclass(frozen=True)
class ManyMapsCalibration:
    """Parameters that turn a model's posterior into a calibrated one on maps that it was not trained on.

    Attributes:
        laws: The temperature of each step; only one for a family, or a matcher, that scores cells without paths.
        uniform: The uniform share.
        photos: Number of photos of the fit.
        maps: Fingerprints of the maps of the fit.
        splits: Hash of each map's photos.
        sizes: Least and greatest value of the maps of the fit, for each name of `SIZES`.
        colour: Least and greatest mean red, green and blue of the maps of the fit.
        figures: Likelihood and coverage, `before` and `after`, over all maps and by area.
    """

    laws: tuple[TemperatureLaw, ...]
    uniform: UniformLaw
    photos: int
    maps: tuple[str, ...]
    splits: tuple[str, ...]
    sizes: dict[str, tuple[float, float]]
    colour: tuple[tuple[float, float], ...]
    figures: dict[str, Any]

    def apply(self, grid: ZoomGrid, log_probs: npt.NDArray[np.floating]) -> Floats:
        """Return calibrated log-probabilities (B, N) from the model's own (B, N), before any prior.

        Raises:
            ModelError: If the numbers of steps of grid and calibration differ.
        """
        temperatures = self.temperatures_of(grid, log_probs)
        total: Floats = np.zeros((len(log_probs), 1))
        for step, temperature in zip(step_by_step(grid, log_probs, len(self.laws)), temperatures.T, strict=True):
            total = (total[..., None] + step_log_probs(step, temperature[:, None, None], 0.0)).reshape(len(log_probs), -1)
        return mixed(total, self.uniform.share(grid.region.size_m**2))

    def temperatures_of(self, grid: ZoomGrid, log_probs: npt.NDArray[np.floating]) -> Floats:
        """Return the temperature (B, steps) of each step for photos with the model's own log-probabilities (B, N)."""
        spread = entropy_share(log_probs)
        return np.exp(np.stack([law.log_temperatures(grid.region.size_m**2, spread) for law in self.laws], 1))

    def unlike(self, facts: MapFacts) -> str | None:
        """Return in words how a map is unlike those of the fit; None if it is like them, or one of them."""
        if facts.map in self.maps:
            return None
        found = []
        for name, (words, unit) in SIZES.items():
            low, high = self.sizes[name]
            value = getattr(facts, name)
            if not low / FACTOR <= value <= high * FACTOR:
                found.append(f"{words.format(f'{value * unit:.3g}')}, those of the fit had {span(low * unit, high * unit)}")
        if any(not low - COLOUR_SLACK <= value <= high + COLOUR_SLACK
               for value, (low, high) in zip(facts.colour.tolist(), self.colour, strict=True)):
            found.append("its colours are different")
        return " and ".join(found) or None


def span(low: float, high: float) -> str:
    """Return a range of values in words, with three digits."""
    first, last = f"{low:.3g}", f"{high:.3g}"
    return first if first == last else f"{first} to {last}"


def entropy_share(log_probs: npt.NDArray[np.floating]) -> Floats:
    """Return the entropy (B,) of scores (B, N), which need not be normalized, as a share of the greatest, ln N."""
    values = log_normalized(log_probs.astype(np.float64))
    return np.asarray(-(np.exp(values) * finite(values)).sum(1) / math.log(max(values.shape[1], 2)))


def mixed(log_probs: Floats, share: float) -> Floats:
    """Return log-probabilities (B, N) of a mixture: `share` of it uniform, the rest as given."""
    if not share:
        return log_probs
    return np.logaddexp(math.log1p(-share) + log_probs, math.log(share / log_probs.shape[1]))


def ranges(facts: Iterable[MapFacts]) -> tuple[dict[str, tuple[float, float]], tuple[tuple[float, float], ...]]:
    """Return the `sizes` and the `colour` of maps, as a calibration records them."""
    maps = list(facts)
    sizes = {name: (min(values), max(values)) for name in SIZES for values in [[getattr(each, name) for each in maps]]}
    colours = np.stack([each.colour for each in maps])
    return sizes, tuple(zip(colours.min(0).tolist(), colours.max(0).tolist(), strict=True))
