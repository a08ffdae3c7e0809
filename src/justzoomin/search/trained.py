"""Facts about a model's training from its record: the maps it was trained on and the shapes of its photos."""

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
"""Most records that are followed in a chain of trainings that started from each other's models."""


class NotTrainedHereWarning(UserWarning):
    """Warning that a model is used on a place or depth that it was not trained on."""


def records(provenance: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the record of a model's training, then those of the models that it started from."""
    record: Any = provenance
    for _ in range(_MOST_STEPS):
        if not isinstance(record, dict):
            return
        yield record
        record = record.get("started_from")


def rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a record's entries, one per map."""
    maps = record.get("maps")
    return [dict(record), *(row for row in (maps if isinstance(maps, list) else []) if isinstance(row, dict))]


def knows_map(provenance: Mapping[str, Any], views: GridViews) -> bool | None:
    """Return whether a model's zoomer was trained on a map, by the map's hash or look.

    None if the model's record has no map. The bytes of the same map differ if it was packed again, or made from its seed on
    another processor.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    known = _of_zoomer(provenance)
    return _one_of(known, views) is not None if known else None


def zoomer_row(provenance: Mapping[str, Any], views: GridViews) -> dict[str, Any] | None:
    """Return the record of a map that a model's zoomer was trained on, found by its hash or look; None if there is none.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    return _one_of(_of_zoomer(provenance), views)


def _of_zoomer(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records of the maps of a zoomer's own training."""
    record = next((r for r in records(provenance) if r.get("zoomer_trained") is not False), None)
    return [row for row in rows(record or {}) if row.get("map_hash") or row.get("look")]


def _one_of(known: list[dict[str, Any]], views: GridViews) -> dict[str, Any] | None:
    """Return the record of a map among some, found by its hash or look."""
    found = next((row for row in known if row.get("map_hash") == views.source.fingerprint()), None)
    if found is not None or not known:
        return found
    look = region_look(views)
    return next((row for row in known if look_alike(look, row.get("look"))), None)


def seen_map(provenance: Mapping[str, Any], views: GridViews) -> bool | None:
    """Return whether any part of a model, or of those that it started from, was trained on a map; None without any record.

    Raises:
        TileError: If the map cannot give the view of the region.
    """
    known = [row for record in records(provenance) for row in rows(record) if row.get("map_hash") or row.get("look")]
    return _one_of(known, views) is not None if known else None


def shapes_trained_on(provenance: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the least and greatest `aspect` and `hfov_deg` of all photos that a model and its predecessors were trained on.

    Without `hfov_deg` if the last training had maps whose photos do not state it.
    """
    found: dict[str, tuple[float, float]] = {}
    for record in records(provenance):
        for row in rows(record):
            shapes = row.get("shapes")
            for name, span in (shapes if isinstance(shapes, dict) else {}).items():
                if (stated := span_of(span)) is not None:
                    low, high = found.get(name, stated)
                    found[name] = min(low, stated[0]), max(high, stated[1])
    last = [shapes for row in rows(provenance) if isinstance(shapes := row.get("shapes"), dict)]
    if any("hfov_deg" not in shapes for shapes in last):
        found.pop("hfov_deg", None)
    return found


def warn_foreign_map(model: MapModel, views: GridViews, remedy: str | None = None) -> None:
    """Warn if a zoomer follows paths on a map that it was not trained on, according to its record.

    Args:
        model: The zoomer.
        views: The map's views.
        remedy: A better search in words, if there is one.
    """
    if knows_map(model.provenance, views) is False:
        warnings.warn("the zoomer was not trained on this map: a zoomer knows only the map of its training, and elsewhere its "
                      f"answers are about as good as chance{f'; {remedy}' if remedy else ''}",
                      NotTrainedHereWarning, stacklevel=3)


def check_fits(model: MapModel, grid: ZoomGrid) -> None:
    """Refuse a grid whose size differs from the model's, and warn if the model was not trained on this place and depth.

    Raises:
        ModelError: If the number of actions differs.
    """
    if model.config.grid != grid.grid:
        raise ModelError("model", f"it picks among {model.config.grid} x {model.config.grid} cells, but the map's grid is "
                         f"{grid.grid} x {grid.grid}", "Use a model with this grid size, or a region with the model's.")
    if model.grid is not None and model.grid != grid:
        different = "depth" if model.grid.region == grid.region else "region"
        warnings.warn(f"the model was not trained on this {different}: expect worse figures than the reported ones",
                      NotTrainedHereWarning, stacklevel=3)
