"""Where a zoomer's say counts beside a matcher: only where it has seen photos."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from justzoomin.data import PhotoPlaces
from justzoomin.maps import GridViews
from justzoomin.models import MapModel
from justzoomin.posterior import lattice
from justzoomin.search.trained import zoomer_row

NEAR_M = 20.0
"""A zoomer knows a cell if a training photo was taken within this distance of its centre."""


def known_cells(model: MapModel, views: GridViews) -> npt.NDArray[np.bool_] | None:
    """Return which terminal cells (N,) of a map are near training photos of a model's zoomer; None if its record does not say.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    row = zoomer_row(model.provenance, views)
    places = None if row is None else PhotoPlaces.from_dict(row.get("places"))
    if places is None:
        return None
    cells = lattice(views.grid)
    return places.near(cells.lat, cells.lon, NEAR_M)


def only_known(zoomed: npt.NDArray[np.floating], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.floating]:
    """Return a zoomer's log-probabilities (B, N); cells that it does not know get the mean probability of those that it knows.

    A zoomer says for each place that it knows how much better the photo fits there than anywhere. About other places it knows
    nothing, so they get what it says on average: they neither win nor lose against the known ones by its say.
    """
    if known.all() or not known.any():
        return zoomed
    inside = zoomed[:, known].astype(np.float64)
    top = inside.max(1, keepdims=True)
    mean = top[:, 0] + np.log(np.exp(inside - top).mean(1))
    return np.where(known, zoomed, mean[:, None]).astype(zoomed.dtype)
