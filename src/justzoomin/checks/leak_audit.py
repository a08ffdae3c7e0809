"""The leak audit: how near validation stands to training, in distance, drives, cells and bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.checks.audit_words import meaning, split_kind
from justzoomin.checks.galleries import Gallery, galleries
from justzoomin.checks.twins import same_bytes, same_pictures
from justzoomin.data import Dataset, PhotoColumn, photo_column, photo_tables
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import ZoomGrid, nearest

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

RADII_M = (1.0, 5.0, 10.0, 25.0, 40.0, 50.0, 100.0)
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
SEQUENCE_COLUMNS = ("sequence_id", "sequence_key", "skey", "sequence", "drive", "drive_id", "trajectory_id")
"""Columns that say which drive a photo belongs to; `sequence` only outside the split tables, where it is the zoom's actions."""
LISTED = 20


@dataclass(frozen=True)
class SharedSequences:
    """Drives (sequences of a camera) that both splits have photos of.

    Args:
        column: The column that names them.
        where: The tables that hold it.
        train_known: Training photos whose drive is known.
        val_known: Validation photos whose drive is known.
        train: Distinct drives of training photos.
        val: Distinct drives of validation photos.
        shared: Distinct drives of both.
        val_photos: Validation photos of a drive that training photos come from as well.
    """

    column: str
    where: str
    train_known: int
    val_known: int
    train: int
    val: int
    shared: int
    val_photos: int


@dataclass(frozen=True)
class SharedCells:
    """Validation photos whose cell of a level holds a training photo.

    Args:
        level: Level of the grid, 1 to its depth.
        size_m: Edge of its cells.
        val_photos: How many validation photos.
        share: Their share of the split, in [0, 1].
        occupied: Cells of the level with a training photo.
    """

    level: int
    size_m: float
    val_photos: int
    share: float
    occupied: int


@dataclass(frozen=True)
class AuditReport:
    """What two splits share.

    Args:
        root: The dataset's folder.
        train_split: Name of the split that is trained on.
        val_split: Name of the split that is evaluated.
        grid: The zoom grid.
        train: Positions of the first, (N, 2) lat, lon.
        val: Positions of the second, (M, 2).
        distances_m: From each validation photo to the nearest training photo. (M,)
        sequences: Shared drives; None where no table says which drive a photo belongs to.
        cells: Shared cells per level.
        same_ids: Ids that stand in both splits.
        same_bytes: Pairs (validation, training) of photos with equal files; None if not looked at.
        unread: Photos that could not be read for that.
        same_pictures: Pairs of nearly equal pictures; None if not looked at.
        same_cell_as_nearest: Share of validation photos that stand in the terminal cell of their nearest training photo.
        galleries: What can be answered under each protocol, and what chance gives.
    """

    root: str
    train_split: str
    val_split: str
    grid: ZoomGrid
    train: Floats
    val: Floats
    distances_m: Floats
    sequences: SharedSequences | None
    cells: tuple[SharedCells, ...]
    same_ids: tuple[str, ...]
    same_bytes: tuple[tuple[str, str], ...] | None
    unread: tuple[str, ...]
    same_pictures: tuple[tuple[str, str], ...] | None
    same_cell_as_nearest: float
    galleries: tuple[Gallery, ...]

    def within(self, radius_m: float) -> float:
        """Share of validation photos within a radius of a training photo: recall of an oracle that names that photo."""
        return float((self.distances_m <= radius_m).mean())

    @property
    def quantiles_m(self) -> dict[str, float]:
        """Quantiles of the distances, as percent to metres."""
        values = np.quantile(self.distances_m, QUANTILES)
        return {f"{100 * q:g}": float(v) for q, v in zip(QUANTILES, values, strict=True)}

    @property
    def kind(self) -> str:
        """What kind of split it is by its distances: `beside`, `near`, `mixed` or `apart`."""
        return split_kind(self)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the numbers mean for reported recall."""
        return meaning(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        def pairs(found: tuple[tuple[str, str], ...] | None) -> dict[str, Any] | None:
            return None if found is None else {"pairs": len(found), "val_photos": len({v for v, _ in found}),
                                               "first": [list(pair) for pair in found[:LISTED]]}

        within = {f"{radius:g}": self.within(radius) for radius in RADII_M}
        return {
            "root": self.root, "train_split": self.train_split, "val_split": self.val_split, "train_photos": len(self.train),
            "val_photos": len(self.val), "distance_quantiles_m": self.quantiles_m, "share_within_m": within,
            "nearest_photo_oracle": {"recall_at_m": {radius: 100 * share for radius, share in within.items()},
                                     "recall_at_1": 100 * self.same_cell_as_nearest},
            "sequences": None if self.sequences is None else asdict(self.sequences),
            "cells": [asdict(cell) for cell in self.cells],
            "same_ids": {"photos": len(self.same_ids), "first": list(self.same_ids[:LISTED])},
            "same_bytes": pairs(self.same_bytes), "unread": {"photos": len(self.unread), "first": list(self.unread[:LISTED])},
            "same_pictures": pairs(self.same_pictures), "galleries": [gallery.to_dict() for gallery in self.galleries],
            "kind": self.kind, "meaning": list(self.sentences),
        }


def audit(dataset: Dataset, train: str = "train", val: str = "val", *, files: bool = True, pictures: bool = False,
          workers: int = 4, progress: Progress | None = None) -> AuditReport:
    """Measure what two splits share.

    Args:
        dataset: The dataset.
        train: The split that is trained on.
        val: The split that is evaluated.
        files: Whether to compare the photos' files; those of equal size are read.
        pictures: Whether to decode all photos and look for nearly equal pictures.
        workers: Threads that read and decode.
        progress: Called with the stage, how many are done and how many there are.

    Raises:
        ConfigError: If both are one split.
        DataError: If a split is missing or broken, or a table of metadata cannot be read.
    """
    if train == val:
        raise ConfigError("--train, --val", f"both are {train!r}", "Name two splits.")
    one, other = dataset.split(train), dataset.split(val)
    for split in (one, other):
        wrong = (np.abs(split.lat) > 90) | (np.abs(split.lon) > 360)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(f"{split.path}, image_id {split.image_ids[row]}", f"{split.lat[row]}, {split.lon[row]} is no "
                                                                              "position",
                            f"List all of them with: jzi data verify {dataset.root}.")
    if progress:
        progress("distances", 0, 1)
    which, distances = nearest(other.lat, other.lon, one.lat, one.lon)
    if progress:
        progress("distances", 1, 1)
    train_paths, val_paths = dataset.sequences(train), dataset.sequences(val)
    pairs: tuple[tuple[str, str], ...] | None = None
    alike: tuple[tuple[str, str], ...] | None = None
    unread: list[str] = []
    if files:
        found, unread = same_bytes(dataset.photos, other.image_ids, one.image_ids, workers, progress)
        pairs = tuple(found)
    if pictures:
        alike = tuple(same_pictures(dataset.photos, other.image_ids, one.image_ids, workers, progress))
    column = photo_column(photo_tables(dataset, (one, other)), SEQUENCE_COLUMNS)
    return AuditReport(
        str(dataset.root), train, val, dataset.grid, np.stack([one.lat, one.lon], 1), np.stack([other.lat, other.lon], 1),
        distances, _shared_sequences(column, one.image_ids, other.image_ids),
        _shared_cells(dataset.grid, train_paths, val_paths),
        tuple(sorted(set(one.image_ids) & set(other.image_ids))), pairs, tuple(unread), alike,
        float((train_paths[which] == val_paths).all(1).mean()),
        galleries(dataset.grid, train_paths, val_paths, np.stack([other.lat, other.lon], 1)))


def drives_of(dataset: Dataset, name: str) -> list[str] | None:
    """The drive of every photo of a split, in its order; a photo of no known drive is one of its own.

    None where no table says which drive a photo belongs to.

    Raises:
        DataError: If the split or a table of metadata cannot be read.
    """
    split = dataset.split(name)
    column = photo_column(photo_tables(dataset, (split,)), SEQUENCE_COLUMNS)
    if column is None or not any(photo in column.values for photo in split.image_ids):
        return None
    return [f"drive {column.values[photo]}" if photo in column.values else f"photo {photo}" for photo in split.image_ids]


def _shared_sequences(column: PhotoColumn | None, train: list[str], val: list[str]) -> SharedSequences | None:
    if column is None:
        return None
    of_train = [str(column.values[i]) for i in train if i in column.values]
    of_val = [str(column.values[i]) for i in val if i in column.values]
    if not of_train or not of_val:
        return None
    drives = set(of_train)
    return SharedSequences(column.name, column.where, len(of_train), len(of_val), len(drives), len(set(of_val)),
                           len(drives & set(of_val)), sum(name in drives for name in of_val))


def _shared_cells(grid: ZoomGrid, train: npt.NDArray[np.int64], val: npt.NDArray[np.int64]) -> tuple[SharedCells, ...]:
    found = []
    for level in range(1, grid.depth + 1):
        occupied = np.unique(grid.flatten(train[:, :level]))
        shared = np.isin(grid.flatten(val[:, :level]), occupied)
        found.append(SharedCells(level, grid.cell_size_m(level), int(shared.sum()), float(shared.mean()), len(occupied)))
    return tuple(found)
