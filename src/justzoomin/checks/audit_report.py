"""The results of the leak audit, as numbers and as sentences about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from justzoomin.checks.galleries import Gallery
from justzoomin.geometry import ZoomGrid

Floats = npt.NDArray[np.float64]

RADII_M = (1.0, 5.0, 10.0, 25.0, 40.0, 50.0, 100.0)
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
LISTED = 20
BESIDE_M, NEAR_M, FAR_M = 10.0, 50.0, 100.0
MOST = 0.5
HARDLY = 0.01


@dataclass(frozen=True)
class SharedSequences:
    """Drives (sequences of a camera) with photos in both splits.

    Args:
        column: The column that names them.
        where: The tables that hold it.
        train_known: Training photos whose drive is known.
        val_known: Validation photos whose drive is known.
        train: Distinct drives of training photos.
        val: Distinct drives of validation photos.
        shared: Distinct drives of both.
        val_photos: Validation photos of a drive that also has training photos.
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
        val_photos: Number of these validation photos.
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
        train: Positions of the training photos, (N, 2) lat, lon.
        val: Positions of the validation photos, (M, 2).
        distances_m: Distance from each validation photo to the nearest training photo. (M,)
        sequences: Shared drives; None if no table names the drives of photos.
        cells: Shared cells per level.
        same_ids: Ids that are in both splits.
        same_bytes: Pairs (validation, training) of photos with equal files; None if not checked.
        unread: Photos that could not be read for this check.
        same_pictures: Pairs of nearly equal pictures; None if not checked.
        same_cell_as_nearest: Share of validation photos in the terminal cell of their nearest training photo.
        galleries: The possible answers under each protocol, and the recall of chance.
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
        """Return the share of validation photos within a radius of a training photo: the recall of naming that photo."""
        return float((self.distances_m <= radius_m).mean())

    @property
    def quantiles_m(self) -> dict[str, float]:
        """Quantiles of the distances, from percent to metres."""
        values = np.quantile(self.distances_m, QUANTILES)
        return {f"{100 * q:g}": float(v) for q, v in zip(QUANTILES, values, strict=True)}

    @property
    def kind(self) -> str:
        """The kind of the split by its distances: `beside`, `near`, `mixed` or `apart`."""
        return split_kind(self)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The meaning of the numbers for reported recall."""
        return meaning(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
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


def split_kind(report: AuditReport) -> str:
    """Return the kind of a split by its distances.

    `beside`: most validation photos are within 10 m of a training photo; `near`: most are within 50 m; `apart`: at most
    1 % are within 50 m; `mixed`: all others.
    """
    if report.within(BESIDE_M) >= MOST:
        return "beside"
    if report.within(NEAR_M) >= MOST:
        return "near"
    return "apart" if report.within(NEAR_M) <= HARDLY else "mixed"


def meaning(report: AuditReport) -> tuple[str, ...]:
    """Return two to four sentences about repeated photos, distances, the recall of the nearest photo, and drives."""
    sentences = [*_doubled(report), _distances(report)]
    oracle = {radius: 100 * report.within(radius) for radius in (40.0, 50.0, 100.0)}
    if oracle[100.0] >= 100 * HARDLY:
        figures = ", ".join(f"{_percent(value / 100)} at {radius:g} m" for radius, value in oracle.items())
        sentences.append("Naming the position of the nearest training photo, without any map, would give a recall of "
                         f"{figures}: recall up to these figures alone does not show that photos are matched to the map.")
    sentences.append(_drives(report.sequences, len(report.val)))
    return tuple(sentences)


def _doubled(report: AuditReport) -> list[str]:
    doubled = {val for val, _ in report.same_bytes or ()} | set(report.same_ids)
    if not doubled:
        return []
    return [f"{len(doubled):,} of {len(report.val):,} validation photos are training photos as well: "
            "remove them from one split before you report anything."]


def _distances(report: AuditReport) -> str:
    median, least = float(np.median(report.distances_m)), float(report.distances_m.min())
    near, kind = _percent(report.within(NEAR_M)), split_kind(report)
    if kind == "beside":
        return (f"{_percent(report.within(BESIDE_M))} of validation photos are within {BESIDE_M:g} m of a training photo "
                f"(median {median:.3g} m): recall there can come from memory of those photos as well as "
                "from matching to the map.")
    if kind == "near":
        return (f"{near} of validation photos are within {NEAR_M:g} m of a training photo (median {median:.3g} m): recall "
                "there can come partly from memory of the same surroundings.")
    if kind == "apart":
        start = f"No validation photo is within {NEAR_M:g} m of a training photo" if report.within(NEAR_M) == 0 else \
            f"Only {near} of validation photos are within {NEAR_M:g} m of a training photo"
        cannot = "cannot" if report.within(NEAR_M) == 0 else "can hardly"
        return (f"{start} (nearest {least:,.3g} m, median {median:,.3g} m): recall within {NEAR_M:g} m {cannot} come from "
                "naming the place of a training photo.")
    far = _percent(1 - report.within(FAR_M))
    return (f"{near} of validation photos are within {NEAR_M:g} m of a training photo and {far} farther than {FAR_M:g} m: "
            "report recall for the two groups separately, because that of the first can come from memory.")


def _drives(shared: SharedSequences | None, photos: int) -> str:
    if shared is None:
        return ("No table names the drives of photos, so it is not known whether both splits hold photos of one "
                "drive.")
    known = "" if shared.val_known == photos else f" of the {shared.val_known:,} whose drive is known"
    if shared.val_photos == 0:
        return (f"No drive has photos in both splits ({shared.where}, column {shared.column}"
                f"{known.replace(' of the', '; for the') if known else ''}).")
    return (f"{_percent(shared.val_photos / shared.val_known)} of validation photos{known} come from drives that "
            "also have training photos: the same camera on the same trip.")


def _percent(share: float) -> str:
    """Return a share as a percentage; it is 0 or 100 only for exactly none or all."""
    value = 100 * share
    if 0 < value < 0.1:
        return "under 0.1 %"
    if 99.9 < value < 100:
        return "over 99.9 %"
    return f"{value:.3g} %" if value < 99.95 or share == 1.0 else f"{value:.1f} %"
