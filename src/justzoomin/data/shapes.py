"""The shape of photos, and a warning for photos whose shape differs from those that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from justzoomin.data.cameras import exif_fov
from justzoomin.data.decoding import photo_aspect
from justzoomin.errors import JustZoomInError

if TYPE_CHECKING:
    from justzoomin.data.repository import Dataset

LOOKED_AT = 16
"""Number of photos of a split whose shape is read for the record of a training."""
ASPECT_SLACK, FOV_SLACK_DEG = 1.2, 10.0
"""How far outside the recorded range a photo may be: a factor for its aspect, degrees for its field of view."""
_GREATEST = 1e6


@dataclass(frozen=True)
class PhotoShape:
    """The shape of one photo.

    Attributes:
        aspect: Width over height, upright.
        hfov_deg: Horizontal field of view in degrees, from the focal length in EXIF; None if it is missing.
    """

    aspect: float
    hfov_deg: float | None

    @classmethod
    def of(cls, data: bytes) -> PhotoShape:
        """Return the shape of the photo in an image file."""
        found = exif_fov(data)
        return cls(photo_aspect(data), None if found is None else found[0])

    def unlike(self, trained: Mapping[str, Any]) -> str | None:
        """Describe how this photo differs from those of a training; None if it does not, or nothing is recorded.

        Args:
            trained: The record: `aspect` and `hfov_deg`, each with the least and the greatest value; both may be missing.
        """
        found = []
        for name, value, what, unit in (("aspect", self.aspect, "shape (width over height)", ""),
                                        ("hfov_deg", self.hfov_deg, "horizontal field of view", " degrees")):
            span = span_of(trained.get(name))
            if span is None or value is None:
                continue
            low, high = span
            near = low / ASPECT_SLACK <= value <= high * ASPECT_SLACK if name == "aspect" else \
                low - FOV_SLACK_DEG <= value <= high + FOV_SLACK_DEG
            if not near:
                found.append(f"the photo's {what} is {value:.3g}{unit}, but the model was trained on {low:.3g} to {high:.3g}")
        return "; ".join(found) or None


def span_of(value: object) -> tuple[float, float] | None:
    """Return the least and the greatest value in a record; None if it is not such a pair."""
    if not (isinstance(value, list | tuple) and len(value) == 2 and all(
            isinstance(v, int | float) and 0 < v < _GREATEST for v in value) and value[0] <= value[1]):
        return None
    return float(value[0]), float(value[1])


def shapes_of(dataset: Dataset, split: str) -> dict[str, list[float]]:
    """Return the range of shapes that a training records, from `LOOKED_AT` photos spread over the split.

    Fields of view are read from the photos' EXIF, else from the dataset's tables.

    Returns:
        `aspect` and, if known, `hfov_deg`: the least and the greatest value. Empty if no photo can be read.
    """
    ids = dataset.split(split).image_ids
    chosen = [ids[k] for k in np.unique(np.linspace(0, len(ids) - 1, min(LOOKED_AT, len(ids))).astype(int))]
    shapes = []
    for image_id in chosen:
        try:
            shapes.append(PhotoShape.of(dataset.photos.read(image_id)))
        except JustZoomInError:  # ready photos train without their files
            continue
    stated = dataset.fields_of_view(split)
    views = [s.hfov_deg for s in shapes if s.hfov_deg is not None] or stated[np.isfinite(stated)].tolist()
    return joined({"aspect": [s.aspect for s in shapes], "hfov_deg": views})


def joined(values: Mapping[str, Iterable[float]]) -> dict[str, list[float]]:
    """Return the least and the greatest of several values by name, rounded; names without a value are left out."""
    kept = {name: list(some) for name, some in values.items()}
    return {name: [round(min(some), 3), round(max(some), 3)] for name, some in kept.items() if some}
