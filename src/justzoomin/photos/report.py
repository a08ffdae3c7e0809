"""What an import did, for people and for machines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from justzoomin.photos.readers import NOT_A_PHOTO, Skipped

BY_RULE = frozenset({"off_map", "blurred", "duplicate", "too_small", "no_position", "no_time", "raw", "guard", NOT_A_PHOTO})
"""Reasons to drop a photo that are no failure: the import did what it was told."""


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        dest: The dataset's folder.
        found: Photos of the source, with and without a position.
        splits: Of each split its number of photos and the hash of its records.
        treatments: How many photos came as they were, encoded, undistorted, cut.
        skipped: All photos that were dropped, and why; and what lies beside them and is passed over.
        notes: What a person should know, as sentences.
        map_files: How the map came into the dataset.
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
        """How many photos were dropped for each reason."""
        return dict(sorted(Counter(s.kind for s in self.skipped).items()))

    def failed(self) -> int:
        """How many photos were dropped because they could not be used, not because a rule says so."""
        return sum(s.kind not in BY_RULE for s in self.skipped)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"found": self.found, "splits": self.splits, "treatments": self.treatments, "dropped": self.dropped(),
                "notes": self.notes, "map_files": self.map_files, "attribution": self.attribution,
                "items": [{"item": s.item, "kind": s.kind, "detail": s.detail} for s in self.skipped]}

    @classmethod
    def from_dict(cls, values: dict[str, Any], dest: Path) -> ImportReport:
        """A report that was written by `to_dict`."""
        plain = {k: values[k] for k in ("found", "splits", "treatments", "notes", "map_files", "attribution")}
        return cls(dest, skipped=[Skipped(**item) for item in values["items"]], **plain)
