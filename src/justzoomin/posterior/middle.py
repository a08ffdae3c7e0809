"""The middle of a posterior: the point that is nearest to the place on average, and how far half of the mass lies."""

from __future__ import annotations

import numpy as np

from justzoomin.geometry import LatLon, from_local, haversine_m
from justzoomin.posterior.posterior import Posterior

_ROUNDS = 100
_STILL_M = 1e-3


def middle(posterior: Posterior) -> LatLon:
    """The point of the least expected distance to the place; mass lies in the centres of its cells.

    Source: E. Weiszfeld, Tohoku Mathematical Journal 43 (1937), with distances smoothed over a thousandth of a cell, so that
    a cell's centre is no trap.
    """
    cells, p = posterior.lattice, posterior.probs
    places = np.stack([cells.east_m, cells.north_m])
    point = places @ p
    for _ in range(_ROUNDS):
        weights = p / np.sqrt(((places - point[:, None]) ** 2).sum(0) + (1e-3 * cells.cell_m) ** 2)
        new = places @ weights / weights.sum()
        done = np.abs(new - point).max() < _STILL_M
        point = new
        if done:
            break
    lat, lon = from_local(*posterior.grid.region.centre, *point)
    return LatLon(float(lat), float(lon))


def radius_about(posterior: Posterior, position: LatLon, mass: float) -> float:
    """Radius in metres about a position within which a mass lies, cells counted by their centres and half a cell more."""
    cells = posterior.lattice
    distance = haversine_m(cells.lat, cells.lon, *position)
    order = np.argsort(distance)
    reached = min(int(np.searchsorted(np.cumsum(posterior.probs[order]), mass)), len(order) - 1)
    return float(distance[order[reached]] + cells.cell_m / 2)
