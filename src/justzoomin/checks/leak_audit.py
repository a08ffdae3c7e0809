"""The leak audit: how near validation is to training, in distance, drives, cells and bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from justzoomin.checks.audit_report import AuditReport, SharedCells, SharedSequences
from justzoomin.checks.galleries import galleries
from justzoomin.checks.twins import same_bytes, same_pictures
from justzoomin.data import SEQUENCE_COLUMNS, Dataset, PhotoColumn, photo_column, photo_tables
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import ZoomGrid, nearest

Progress = Callable[[str, int, int], None]



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
            raise DataError(f"{split.path}, image_id {split.image_ids[row]}",
                            f"{split.lat[row]}, {split.lon[row]} is not a position",
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
