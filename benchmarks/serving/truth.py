"""Photos, and the answers that a server must give: those of the `Localizer` in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from justzoomin.errors import JustZoomInError
from justzoomin.search import Localizer
from serving.wire import form, request

_CLOSE = {"lat": 2e-6, "lon": 2e-6}
"""Degrees by which answers may differ: the sums of a batch depend on its size in their last digits."""
_SHARE = 0.01
"""The same for other numbers, of their size."""


def photos_of(folders: list[Path]) -> list[Path]:
    """Return the photos of folders."""
    return sorted(path for folder in folders for path in folder.rglob("*.jpg"))


def localize_request(photo: bytes, name: str = "photo.jpg") -> bytes:
    """Return the bytes of a request that localizes a photo."""
    return request("POST", "/v1/localize", form([("photos", name, photo)]))


def answers_of(localizer: Localizer, photos: list[Path]) -> list[dict[str, Any]]:
    """Return the JSON object of each photo, from this process."""
    found = []
    for fix in localizer.localize_many(photos):
        if isinstance(fix, JustZoomInError):
            raise fix
        found.append(json.loads(json.dumps(fix.to_dict())))
    return found


def difference(given: object, right: dict[str, Any]) -> str | None:
    """Return how an answer differs from the right one beyond the last digits; None if it does not."""
    if not isinstance(given, dict):
        return f"it is {given!r:.200}"
    if given.keys() != right.keys():
        return f"its fields are {sorted(given)}"
    for name in ("map", "model", "searched", "decision", "calibrated", "not_calibrated", "prior", "on_map", "sequence"):
        if given[name] != right[name]:
            return f"{name} is {given[name]!r:.100}, not {right[name]!r:.100}"
    for name in (
        "lat",
        "lon",
        "radius_90_m",
        "credible_radius_m",
        "expected",
        "heading_deg",
        "heading_sigma_deg",
        "entropy_bits",
    ):
        one, other = given[name], right[name]
        if (one is None) != (other is None):
            return f"{name} is {one}, not {other}"
        if one is not None and abs(one - other) > _CLOSE.get(name, _SHARE * (1.0 + abs(other))):
            return f"{name} is {one}, not {other}"
    return None
