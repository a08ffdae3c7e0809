"""What a model's record says of its training: the maps it knows, the shapes of photos it saw."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from justzoomin.data import span_of
from justzoomin.errors import ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews, look_alike, region_look
from justzoomin.models import MapModel

_MOST_STEPS = 100
"""Models that a training started from, one behind the other, that are looked at."""


class NotTrainedHereWarning(UserWarning):
    """The model is used on another place or depth than it was trained on."""


def records(provenance: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The record of a model's training, then those of the models that it started from."""
    record: Any = provenance
    for _ in range(_MOST_STEPS):
        if not isinstance(record, dict):
            return
        yield record
        record = record.get("started_from")


def rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a record says of each map."""
    maps = record.get("maps")
    return [dict(record), *(row for row in (maps if isinstance(maps, list) else []) if isinstance(row, dict))]


def knows_map(provenance: Mapping[str, Any], views: GridViews) -> bool | None:
    """Whether a map is one of those that a model's zoomer was trained on, by its hash or its look.

    None where the model records no map. The bytes of one map differ where it was packed again, or made from its seed by
    another processor.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    record = next((r for r in records(provenance) if r.get("zoomer_trained") is not False), None)
    known = [row for row in rows(record or {}) if row.get("map_hash") or row.get("look")]
    if not known:
        return None
    if any(row.get("map_hash") == views.source.fingerprint() for row in known):
        return True
    look = region_look(views)
    return any(look_alike(look, row.get("look")) for row in known)


def shapes_trained_on(provenance: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Least and greatest `aspect` and `hfov_deg` of the photos that a model and those it started from were trained on."""
    found: dict[str, tuple[float, float]] = {}
    for record in records(provenance):
        for row in rows(record):
            shapes = row.get("shapes")
            for name, span in (shapes if isinstance(shapes, dict) else {}).items():
                if (stated := span_of(span)) is not None:
                    low, high = found.get(name, stated)
                    found[name] = min(low, stated[0]), max(high, stated[1])
    return found


def warn_foreign_map(model: MapModel, views: GridViews, remedy: str | None = None) -> None:
    """Warn where a zoomer follows paths on a map that it was not trained on, as far as its record says.

    Args:
        model: The zoomer.
        views: The map's views.
        remedy: What answers better, if anything does.
    """
    if knows_map(model.provenance, views) is False:
        warnings.warn("the zoomer was not trained on this map: a zoomer knows the map of its training, and elsewhere it answers"
                      f" about as well as chance{f'; {remedy}' if remedy else ''}", NotTrainedHereWarning, stacklevel=3)


def check_fits(model: MapModel, grid: ZoomGrid) -> None:
    """Refuse a grid of another size than the model's; warn where it was not trained on this place and depth.

    Raises:
        ModelError: If the number of actions differs.
    """
    if model.config.grid != grid.grid:
        raise ModelError("model", f"it picks among {model.config.grid} x {model.config.grid} cells and the map's grid is "
                         f"{grid.grid} x {grid.grid}", "Use a model of this grid size, or a region with the model's.")
    if model.grid is not None and model.grid != grid:
        different = "depth" if model.grid.region == grid.region else "region"
        warnings.warn(f"the model was not trained on this {different}: expect worse figures than it was reported with",
                      NotTrainedHereWarning, stacklevel=3)
