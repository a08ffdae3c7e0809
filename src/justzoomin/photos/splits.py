"""Divide photos between training and validation, depending only on a seed, their ids and their positions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from justzoomin.errors import ConfigError
from justzoomin.geometry import nearest, to_local
from justzoomin.photos.readers import PhotoRecord
from justzoomin.photos.settings import SplitSettings

_SEEDS_TRIED = 1000
_RANGE = 2**64


@dataclass(frozen=True)
class Splits:
    """Which photos belong to which split, as ascending indexes into the given photos.

    Attributes:
        train: For training.
        val: For validation.
        guarded: Left out because they are too near to a validation photo.
        groups: Number of divided photos, sequences or blocks.
        notes: Facts that a person should know about the division, as sentences.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    guarded: tuple[int, ...] = ()
    groups: int = 0
    notes: tuple[str, ...] = ()


def assign_splits(records: Sequence[PhotoRecord], settings: SplitSettings, centre: tuple[float, float]) -> Splits:
    """Divide photos into splits.

    A group (a photo, a sequence, a block) goes to validation if the hash of the seed and its name is below the share. So the
    choice depends neither on the order of the photos nor on which others there are. Crops of one panorama are in the same
    split, because panoramas are divided before they are cut.

    Args:
        records: The photos.
        settings: What stays together, and the share of validation.
        centre: Centre of the region, (lat, lon) in degrees; blocks are counted from it.

    Raises:
        ConfigError: If a split would be empty.
    """
    keys = _keys(records, settings, centre)
    chosen = _chosen(keys, settings)
    in_val = np.array([chosen[key] for key in keys], np.bool_)
    if in_val.all() or not in_val.any():
        raise _empty(keys, settings, "val" if not in_val.any() else "train")
    guarded = np.zeros(len(records), np.bool_)
    if settings.kind == "block" and settings.guard_m > 0.0:
        lat, lon = np.array([r.lat for r in records]), np.array([r.lon for r in records])
        guarded = ~in_val & (nearest(lat, lon, lat[in_val], lon[in_val])[1] < settings.guard_m)
        if (guarded | in_val).all():
            raise ConfigError("--guard-m",
                              f"all {int((~in_val).sum())} training photos are within {settings.guard_m:g} m of validation",
                              "Give a smaller guard distance, a smaller --val-share or larger blocks.")
    train = ~in_val & ~guarded
    parts = [tuple(np.flatnonzero(mask).tolist()) for mask in (train, in_val, guarded)]
    return Splits(parts[0], parts[1], parts[2], len(chosen), tuple(_notes(records, settings, int(in_val.sum()), len(chosen))))


def _keys(records: Sequence[PhotoRecord], settings: SplitSettings, centre: tuple[float, float]) -> list[str]:
    """Return the name of each photo's group."""
    if settings.kind == "photo":
        return [f"photo {r.image_id}" for r in records]
    if settings.kind == "sequence":
        return [f"photo {r.image_id}" if r.sequence_id is None else f"sequence {r.sequence_id}" for r in records]
    east, north = to_local(centre[0], centre[1], np.array([r.lat for r in records]), np.array([r.lon for r in records]))
    columns, rows = np.floor(east / settings.block_m).astype(int), np.floor(north / settings.block_m).astype(int)
    return [f"block {column} {row}" for column, row in zip(columns.tolist(), rows.tolist(), strict=True)]


def _chosen(keys: Iterable[str], settings: SplitSettings) -> dict[str, bool]:
    """Return which groups go to validation."""
    limit = math.floor(settings.val_share * _RANGE)
    return {key: _number(settings.seed, key) < limit for key in dict.fromkeys(keys)}


def _number(seed: int, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {key}".encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _empty(keys: Sequence[str], settings: SplitSettings, empty: str) -> ConfigError:
    """Return the error of an empty split, with the next seed that fills both."""
    groups = len(set(keys))
    word = {"photo": "photos", "sequence": "sequences", "block": "blocks"}[settings.kind]
    where = f"split {empty}"
    if len(keys) < 2:
        return ConfigError(where, "the split is empty: only one photo can be used", "Import more photos.")
    if groups < 2:
        return ConfigError(where, f"the split is empty: all {len(keys)} photos form a single {settings.kind}",
                           "Use --split photo, or import more photos.")
    for seed in range(settings.seed + 1, settings.seed + _SEEDS_TRIED):
        if len(set(_chosen(keys, settings.model_copy(update={"seed": seed})).values())) == 2:
            return ConfigError(where, f"the split is empty: by chance it got none of {groups} {word} "
                               f"(share of validation {settings.val_share:g}, seed {settings.seed})",
                               f"Use --seed {seed}, or a different --val-share.")
    return ConfigError(where, f"the split is empty: a share of {settings.val_share:g} of {groups} {word}",
                       "Use a different --val-share.")


def _notes(records: Sequence[PhotoRecord], settings: SplitSettings, val: int, groups: int) -> Iterable[str]:
    lone = sum(r.sequence_id is None for r in records)
    if settings.kind == "sequence" and lone:
        yield f"{lone} of {len(records)} photos have no sequence; each was treated as a sequence of its own"
    share = val / len(records)
    if not settings.val_share / 2 <= share <= settings.val_share * 2:
        yield (f"{share:.1%} of the photos are for validation, not {settings.val_share:.1%}: "
               f"with this seed {groups} groups cannot be divided better")
