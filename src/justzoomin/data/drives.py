"""The drive (sequence of a camera) that each photo belongs to, from the tables of a dataset."""

from __future__ import annotations

from justzoomin.data.repository import Dataset
from justzoomin.data.side_tables import photo_column, photo_tables

SEQUENCE_COLUMNS = ("sequence_id", "sequence_key", "skey", "sequence", "drive", "drive_id", "trajectory_id")
"""Columns with the drive of a photo; `sequence` counts only outside the split tables, where it holds the zoom's actions."""


def drives_of(dataset: Dataset, name: str) -> list[str] | None:
    """Return the drive of every photo of a split, in its order; a photo without a known drive is a drive by itself.

    Returns None if no table states the drives.

    Raises:
        DataError: If the split or a table of metadata cannot be read.
    """
    split = dataset.split(name)
    column = photo_column(photo_tables(dataset, (split,)), SEQUENCE_COLUMNS)
    if column is None or not any(photo in column.values for photo in split.image_ids):
        return None
    return [f"drive {column.values[photo]}" if photo in column.values else f"photo {photo}" for photo in split.image_ids]
