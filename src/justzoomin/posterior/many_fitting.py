"""Fitting a calibration for new ground by the likelihood of the true cells of photos of many maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.fitting import Batches, along_true_path
from justzoomin.posterior.lattices import Floats
from justzoomin.posterior.many_maps import (
    LOG_TEMPERATURES,
    ManyMapsCalibration,
    MapFacts,
    TemperatureLaw,
    UniformLaw,
    entropy_share,
    ranges,
)
from justzoomin.posterior.normalizing import finite, log_sum
from justzoomin.posterior.posterior import CREDIBLE_LEVELS
from justzoomin.posterior.reliability import Claims, Ints

LEAST_MAPS = 4
FOLDS = 5
"""Each map's figures are those of a law that was fitted without it and without the others of its fold."""
PHOTOS_WORTH = 8.0
"""Number of independent photos that a map counts for: photos of one map resemble each other."""
_KNOTS = np.linspace(*LOG_TEMPERATURES, 111)
"""Logarithms of temperatures for which the likelihood is computed; between them a cubic spline gives it."""
_START_LOGIT, _LOGIT_SPREAD = -5.0, 2.0
_SLOPE_SPREAD, _ENTROPY_SPREAD = 0.3, 1.0
_DRAWS = 2000


@dataclass(frozen=True)
class MapPhotos:
    """Photos of one map that the model was not trained on.

    Attributes:
        grid: The map's grid.
        facts: What the map is like.
        split: Hash of the photos' records.
        batches: Yields all photos at each call: log-probabilities (B, N) without a prior, numbers (B,) of the true cells.
    """

    grid: ZoomGrid
    facts: MapFacts
    split: str
    batches: Batches


@dataclass(frozen=True)
class _Told:
    """What one map says about the laws: everything that their likelihood needs.

    Attributes:
        area_m2: Area of the map.
        cells: Number of terminal cells.
        spread: Entropy shares (B,) of the photos.
        splines: Per step the coefficients (4, knots - 1, B) of the true action's log-probability as a function of ln T.
    """

    area_m2: float
    cells: int
    spread: Floats
    splines: list[Floats]

    def log_prob(self, laws: Sequence[TemperatureLaw], uniform: UniformLaw) -> Floats:
        """Return the calibrated log-probability (B,) of the true cells."""
        total = np.zeros(len(self.spread))
        rows, width = np.arange(len(self.spread)), _KNOTS[1] - _KNOTS[0]
        for law, spline in zip(laws, self.splines, strict=True):
            place = law.log_temperatures(self.area_m2, self.spread)
            piece = np.clip(((place - _KNOTS[0]) / width).astype(np.int64), 0, len(_KNOTS) - 2)
            step = place - _KNOTS[piece]
            a, b, c, d = spline[:, piece, rows]
            total += ((a * step + b) * step + c) * step + d
        share = uniform.share(self.area_m2)
        return np.logaddexp(math.log1p(-share) + total, math.log(share / self.cells)) if share else total


def fit_many_maps(maps: Sequence[MapPhotos], steps: int) -> tuple[ManyMapsCalibration, Claims, Claims]:
    """Fit a calibration for maps that a model was not trained on, on photos of many such maps.

    Each step's temperature has three numbers and the uniform share two. They maximize the likelihood of the true cells, where
    every map counts alike, and are held near values that change little, so that few maps do not bend them. The figures are
    those of laws that were fitted without the map in question.

    Args:
        maps: The maps with their photos.
        steps: Number of steps of the model: the depth of all grids, or 1.

    Returns:
        The calibration, and the claims before and after it, the latter by the laws fitted without the map.

    Raises:
        DataError: If there are fewer than `LEAST_MAPS` maps.
    """
    if len(maps) < LEAST_MAPS:
        raise DataError("calibration", f"{len(maps)} maps are too few for a calibration over many maps",
                        f"Give at least {LEAST_MAPS} datasets; twenty are better.")
    told = [_told(each, steps) for each in maps]
    laws, uniform = _fit(told, steps)
    sizes, colour = ranges(each.facts for each in maps)
    photos = sum(len(each.spread) for each in told)
    found = ManyMapsCalibration(laws, uniform, photos, tuple(m.facts.map for m in maps), tuple(m.split for m in maps), sizes,
                                colour, {})
    order = np.argsort([each.area_m2 for each in told], kind="stable")  # so that each fold has maps of all sizes
    fold = np.empty(len(maps), np.int64)
    fold[order] = np.arange(len(maps)) % FOLDS
    claims: dict[int, tuple[Claims, Claims]] = {}
    for number in range(FOLDS):
        left_out = [k for k in range(len(maps)) if fold[k] == number]
        if left_out:
            laws, uniform = _fit([told[k] for k in range(len(maps)) if fold[k] != number], steps)
            others = replace(found, laws=laws, uniform=uniform)
            for k in left_out:
                claims[k] = _claims(maps[k], others)
    before, after = ([claims[k][side] for k in range(len(maps))] for side in range(2))
    figures = {"before": coverage_by_area([m.facts.area_m2 for m in maps], before),
               "after": coverage_by_area([m.facts.area_m2 for m in maps], after)}
    return replace(found, figures=figures), Claims.joined(before), Claims.joined(after)


def coverage_by_area(areas_m2: Sequence[float], claims: Sequence[Claims]) -> dict[str, Any]:
    """Return likelihood and coverage of all maps, each map counting alike, and of the maps of each size.

    Args:
        areas_m2: Area of each map.
        claims: Claims of each map's photos.

    Returns:
        `all`, and a row of `by_size` for each edge in metres. A row has the number of maps and photos, the mean `nll` in nats,
        and for each level of `coverage` its mean over maps, the 95 % interval over maps, and the standard deviation of maps.
    """
    edges = np.array([round(math.sqrt(area)) for area in areas_m2])

    def row(chosen: npt.NDArray[np.bool_]) -> dict[str, Any]:
        some = [each for each, there in zip(claims, chosen.tolist(), strict=True) if there]
        coverage = {f"{100 * level:g}": _over_maps(np.array([(c.above < level).mean() for c in some]))
                    for level in CREDIBLE_LEVELS}
        return {"maps": len(some), "photos": sum(len(c.top) for c in some),
                "nll": float(np.mean([-c.log_prob.mean() for c in some])), "coverage": coverage}

    return {"all": row(np.ones(len(edges), np.bool_)),
            "by_size": [{"size_m": int(edge), **row(edges == edge)} for edge in np.unique(edges)]}


def _over_maps(shares: Floats) -> list[float]:
    """Return mean, 95 % bootstrap interval of the mean, and standard deviation of shares (maps,)."""
    drawn = np.random.default_rng(0).integers(0, len(shares), (_DRAWS, len(shares)))
    low, high = np.percentile(shares[drawn].mean(1), [2.5, 97.5])
    return [float(shares.mean()), float(low), float(high), float(shares.std(ddof=1)) if len(shares) > 1 else 0.0]


def _told(photos: MapPhotos, steps: int) -> _Told:
    from scipy.interpolate import CubicSpline

    spreads: list[Floats] = []
    tables: list[list[Floats]] = []
    for log_probs, true in photos.batches():
        spreads.append(entropy_share(log_probs))
        path, conditional = along_true_path(photos.grid, log_probs, true, steps)
        tables.append([_table(values, path[:, step]) for step, values in enumerate(conditional)])
    splines = [np.asarray(CubicSpline(_KNOTS, np.concatenate(parts, 1)).c) for parts in zip(*tables, strict=True)]
    cells = photos.grid.actions**photos.grid.depth
    return _Told(photos.grid.region.size_m**2, cells, np.concatenate(spreads), splines)


def _table(log_probs: Floats, actions: Ints) -> Floats:
    """Return the log-probabilities (knots, B) of the true actions (B,) among (B, A) at every temperature of the knots."""
    own = log_probs[np.arange(len(actions)), actions]
    table = np.stack([own / t - finite(log_sum(log_probs / t)) for t in np.exp(_KNOTS)])
    return np.asarray(np.maximum(table, -700.0))  # one true action of probability 0 must not hide the others


def _fit(told: Sequence[_Told], steps: int) -> tuple[tuple[TemperatureLaw, ...], UniformLaw]:
    """Find the laws of all steps that make the true cells most likely, held near values that change little."""
    from scipy.optimize import minimize

    def laws_of(place: Floats) -> tuple[tuple[TemperatureLaw, ...], UniformLaw]:
        values = place.tolist()
        laws = (TemperatureLaw(*values[3 * k:3 * k + 3]) for k in range(steps))
        return tuple(laws), UniformLaw(*values[3 * steps:])

    centre = np.array([0.0, 0.0, 0.0] * steps + [_START_LOGIT, 0.0])
    spread = np.array([np.inf, _SLOPE_SPREAD, _ENTROPY_SPREAD] * steps + [_LOGIT_SPREAD, _SLOPE_SPREAD])

    def cost(place: Floats) -> float:
        laws, uniform = laws_of(place)
        likelihood = sum(float(each.log_prob(laws, uniform).mean()) for each in told)
        return -PHOTOS_WORTH * likelihood + 0.5 * float((((place - centre) / spread)**2).sum())

    low, high = LOG_TEMPERATURES
    bounds = [(low, high), (-10.0, 10.0), (-100.0, 100.0)] * steps + [(-50.0, 50.0), (-10.0, 10.0)]
    return laws_of(np.asarray(minimize(cost, centre, method="L-BFGS-B", bounds=bounds).x))


def _claims(photos: MapPhotos, calibration: ManyMapsCalibration) -> tuple[Claims, Claims]:
    before, after = [], []
    for log_probs, true in photos.batches():
        before.append(Claims.of(photos.grid, log_probs, true))
        after.append(Claims.of(photos.grid, calibration.apply(photos.grid, log_probs), true))
    return Claims.joined(before), Claims.joined(after)
