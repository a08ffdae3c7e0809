"""A posterior in few numbers for people: the best cell of each level, and the distinct places with their mass."""

from __future__ import annotations

from typing import Any

import numpy as np

from justzoomin.geometry import Cell
from justzoomin.posterior import Posterior

PLACE_M = 60.0
"""Mass within this distance of a place's most probable cell belongs to the place."""
MOST_PLACES = 8
LEAST_SHARE = 0.005
"""Places with less probability than this are not listed, except the first."""


def levels_of(posterior: Posterior) -> list[dict[str, Any]]:
    """Return the most probable cell of each level from 1 down: level, cell size, sequence, probability and bounds."""
    grid, found = posterior.grid, []
    for level in range(1, grid.depth + 1):
        masses = posterior.at_level(level)
        best = int(masses.argmax())
        cell = grid.cell(grid.unflatten(best, level)[0])
        found.append({"level": level, "cell_size_m": cell.size_m, "sequence": list(cell.sequence),
                      "probability": float(masses[best]), "bounds": bounds_of(cell)})
    return found


def bounds_of(cell: Cell) -> list[float]:
    """Return west, south, east and north of a cell in degrees; east may be above 180, or west below -180."""
    middle = cell.centre.lon
    lons = [middle + (corner.lon - middle + 180.0) % 360.0 - 180.0 for corner in cell.corners]
    lats = [corner.lat for corner in cell.corners]
    return [min(lons), min(lats), max(lons), max(lats)]


def top_places(posterior: Posterior, first: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return distinct places, most probable first: the mass of the cells within `PLACE_M` of a cell, each counted once.

    Places are found in turn: around the answer, then around the most probable cell that is left.

    Args:
        posterior: The posterior.
        first: Sequence of the answer's terminal cell.
    """
    grid, cells = posterior.grid, posterior.lattice
    left = posterior.probs.copy()
    reach = max(PLACE_M, cells.cell_m)  # a large cell is a place by itself
    found: list[tuple[float, int]] = []
    seed = int(grid.flatten([first])[0])
    while len(found) < MOST_PLACES and (left[seed] > 0 or not found):
        near = np.hypot(cells.east_m - cells.east_m[seed], cells.north_m - cells.north_m[seed]) < reach
        mass = float(left[near].sum())
        if mass < LEAST_SHARE and found:
            break
        found.append((mass, seed))
        left[near] = 0.0
        seed = int(left.argmax())
    found.sort(key=lambda place: -place[0])
    return [{"sequence": grid.unflatten(seed, grid.depth)[0].tolist(), "lat": float(cells.lat[seed]),
             "lon": float(cells.lon[seed]), "probability": min(1.0, mass)} for mass, seed in found]
