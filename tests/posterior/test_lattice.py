"""The lattice of terminal cells and the posterior over it."""

from __future__ import annotations

import numpy as np
import pytest

from justzoomin.errors import GeometryError
from justzoomin.geometry import Region, ZoomGrid, haversine_m, preset
from justzoomin.posterior import Posterior, lattice

TOWN = ZoomGrid(Region(54.5, 3.0, (-160.0, 160.0), (-160.0, 160.0)), 4, 3)


@pytest.mark.parametrize("grid", [TOWN, preset("dc"), ZoomGrid(Region(-30.0, 179.999, (0.0, 900.0), (0.0, 900.0)), 3, 2)])
def test_lattice_lies_where_the_cells_lie(grid: ZoomGrid) -> None:
    cells = lattice(grid)
    assert len(cells) == grid.actions**grid.depth
    from justzoomin.geometry import from_local

    lat, lon = from_local(*grid.region.centre, cells.east_m, cells.north_m)
    assert haversine_m(lat, lon, cells.lat, cells.lon).max() <= max(2 * grid.sliver_m, 0.01)


def test_pictures_and_back() -> None:
    cells = lattice(TOWN)
    values = np.arange(len(cells), dtype=np.float64)
    image = cells.to_image(values)
    assert image[0, 0] == 0  # the north-west cell has the sequence 0, 0, 0
    assert image[-1, -1] == len(cells) - 1
    assert image[0, 1] == 1  # east of it: the last action is 1
    assert np.array_equal(cells.from_image(image), values)


def test_a_posterior_sums_to_one_and_refuses_nonsense() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 50, 4096)
    scores[5] = -np.inf
    found = Posterior.of(TOWN, scores)
    assert found.probs.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.log_probs.argmax() == scores.argmax()
    assert found.probs[5] == 0
    for wrong in (scores[:-1], np.full(4096, -np.inf), np.full(4096, np.nan), np.where(np.arange(4096) == 3, np.inf, 0.0)):
        with pytest.raises(GeometryError):
            Posterior.of(TOWN, wrong)
