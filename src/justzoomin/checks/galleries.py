"""The cells that a method chooses its answer from under each protocol, and what chance alone achieves there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.checks.cellcover import cell_places
from justzoomin.geometry import ZoomGrid, pairs_within, to_local

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHANCE_RADII_M = (40.0, 50.0, 100.0)
_PHOTOS = 500
"""Number of photos for which chance is computed, spread evenly over the split."""


@dataclass(frozen=True)
class Gallery:
    """The cells that answers are chosen from.

    Args:
        name: `all cells`, `cells of val`, `cells of train` or the like.
        cells: Number of cells.
        chance_recall_at_1: Percent of photos whose own cell a random choice hits.
        chance_recall_at_m: For each radius, percent of photos within it of the centre of a randomly chosen cell.
    """

    name: str
    cells: int
    chance_recall_at_1: float
    chance_recall_at_m: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def galleries(grid: ZoomGrid, train: Ints, val: Ints, positions: Floats) -> tuple[Gallery, ...]:
    """Return the galleries of the usual protocols: all terminal cells, those with evaluated photos, training photos, both.

    Args:
        grid: The zoom grid.
        train: Sequences of training photos, (N, depth).
        val: Sequences of the evaluated photos, (M, depth).
        positions: Positions of the evaluated photos, (M, 2) lat, lon.
    """
    chosen = np.unique(np.linspace(0, len(val) - 1, min(_PHOTOS, len(val))).astype(int))
    own, others = grid.flatten(val), grid.flatten(train)
    found = [Gallery("all cells", grid.actions**grid.depth, 100.0 / grid.actions**grid.depth,
                     _chance_of_all(grid, val[chosen], positions[chosen]))]
    for name, cells in (("cells with photos of the evaluated split", np.unique(own)),
                        ("cells with training photos", np.unique(others)),
                        ("cells with photos of either", np.unique(np.concatenate([own, others])))):
        hits = np.isin(own, cells).mean()
        found.append(Gallery(name, len(cells), float(100 * hits / len(cells)), _chance(grid, cells, positions[chosen])))
    return tuple(found)


def _chance_of_all(grid: ZoomGrid, sequences: Ints, positions: Floats) -> dict[str, float]:
    """Count the cells around each photo row by row, on the lattice of its own cell; millions of cells cost nothing."""
    edge, across = grid.cell_size_m(grid.depth), grid.grid**grid.depth
    places = cell_places(grid, grid.depth, grid.flatten(sequences))
    lat, lon = grid.centres(sequences)
    east, north = to_local(lat, lon, positions[:, 0], positions[:, 1])
    shares = {}
    for radius in CHANCE_RADII_M:
        counts = np.zeros(len(places), np.int64)
        reach = int(min(radius / edge + 1, across))
        for row in range(-reach, reach + 1):
            half = np.sqrt(np.maximum(radius**2 - (-row * edge - north) ** 2, 0.0))
            low = np.maximum(np.ceil((east - half) / edge), -places[:, 1])
            high = np.minimum(np.floor((east + half) / edge), across - 1 - places[:, 1])
            inside = (places[:, 0] + row >= 0) & (places[:, 0] + row < across) & (np.abs(-row * edge - north) <= radius)
            counts += np.where(inside, np.maximum(high - low + 1, 0), 0).astype(np.int64)
        shares[f"{radius:g}"] = float(100 * counts.mean() / grid.actions**grid.depth)
    return shares


def _chance(grid: ZoomGrid, cells: Ints, positions: Floats) -> dict[str, float]:
    lat, lon = grid.centres(grid.unflatten(cells, grid.depth))
    counts = pairs_within(positions[:, 0], positions[:, 1], lat, lon, CHANCE_RADII_M)
    return {f"{radius:g}": float(100 * count / len(positions) / len(cells))
            for radius, count in zip(CHANCE_RADII_M, counts, strict=True)}
