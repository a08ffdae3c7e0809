"""What an import did, for people and for machines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from justzoomin.photos.readers import NOT_A_PHOTO, Skipped

BY_RULE = frozenset({"off_map", "blurred", "duplicate", "too_small", "no_position", "no_time", "raw", "guard", NOT_A_PHOTO})
"""Reasons to drop a photo that are not failures, because a rule requires it."""


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        dest: The dataset's folder.
        found: Number of photos in the source, with or without a position.
        splits: For each split its number of photos and the hash of its records.
        treatments: How many photos were unchanged, encoded, undistorted or cut.
        skipped: All dropped photos with reasons, and ignored files beside them.
        notes: Facts that a person should know, as sentences.
        map_files: How the map was included in the dataset.
        attribution: The text of ATTRIBUTION.
    """

    dest: Path
    found: int = 0
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    treatments: dict[str, int] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    map_files: dict[str, int] = field(default_factory=dict)
    attribution: str = ""

    def dropped(self) -> dict[str, int]:
        """Return how many photos were dropped for each reason."""
        return dict(sorted(Counter(s.kind for s in self.skipped).items()))

    def failed(self) -> int:
        """Return how many photos were dropped because they are unusable, not because of a rule."""
        return sum(s.kind not in BY_RULE for s in self.skipped)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"found": self.found, "splits": self.splits, "treatments": self.treatments, "dropped": self.dropped(),
                "notes": self.notes, "map_files": self.map_files, "attribution": self.attribution,
                "items": [{"item": s.item, "kind": s.kind, "detail": s.detail} for s in self.skipped]}

    @classmethod
    def from_dict(cls, values: dict[str, Any], dest: Path) -> ImportReport:
        """Return a report that was written by `to_dict`."""
        plain = {k: values[k] for k in ("found", "splits", "treatments", "notes", "map_files", "attribution")}
        return cls(dest, skipped=[Skipped(**item) for item in values["items"]], **plain)
