"""Calibrating a model on photos that it was not trained on and will not be scored on."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import Dataset, hash_records
from justzoomin.errors import ConfigError
from justzoomin.evaluation.batches import Progress, photo_batches
from justzoomin.evaluation.tables import trained_splits
from justzoomin.files import reserve
from justzoomin.maps import GridViews, region_look
from justzoomin.models import MapModel
from justzoomin.posterior import Calibration, Claims, curve, fit_calibration
from justzoomin.search import MapIndex, ViewVectors, check_fits, photo_vectors, scorer, views_of

SCORED = ("val", "test")
"""Splits with these names are for scores: a calibration must not be fitted on them."""


class NotHeldOutWarning(UserWarning):
    """Warning that the photos may not have been held out of training."""


@dataclass(frozen=True)
class Calibrated:
    """A calibration, with the claims on the photos that it was fitted on.

    Attributes:
        calibration: The calibration.
        before: Claims of the model's own posteriors.
        after: Claims of the calibrated posteriors.
    """

    calibration: Calibration
    before: Claims
    after: Claims


def reliability_report(found: Calibrated) -> dict[str, Any]:
    """Return plain values: the calibration's figures, and reliability curves before and after."""
    curves = {}
    for name, claims in (("before", found.before), ("after", found.after)):
        kinds = {"top_cell": curve(claims.top, claims.top_right), "within_40m": curve(claims.near, claims.near_right)}
        curves[name] = {kind: {"claimed": c.claimed.tolist(), "happened": c.happened.tolist(), "photos": c.photos.tolist(),
                               "error": c.error} for kind, c in kinds.items()}
    return {"calibration": found.calibration.to_dict(), "curves": curves}


@dataclass(frozen=True)
class HeldOut:
    """Photos to calibrate on.

    Attributes:
        ids: Ids of the photos.
        sequences: True sequences (B, depth).
        hash: Hash of the photos' records.
    """

    ids: list[str]
    sequences: npt.NDArray[np.int64]
    hash: str


def held_out(dataset: Dataset, split: str, after: int, provenance: dict[str, Any], limit: int | None = None) -> HeldOut:
    """Return the photos of a split after its first `after`, if they are suitable for calibration.

    Raises:
        ConfigError: If the split is for scores or missing, the model was trained on these photos, or no photos are left.
    """
    if split in SCORED:
        raise ConfigError(f"--split {split}", "a model must not be calibrated on photos that it is scored on",
                          "Hold photos out of training: see docs/confidence.md.")
    if split not in dataset.split_paths:
        there = ", ".join(dataset.split_paths) or "none"
        raise ConfigError(f"--split {split}", f"there is no split called {split!r}; existing splits: {there}",
                          "Make one with photos held out of training: see docs/confidence.md, Held-out photos.")
    records, sequences = dataset.split(split), dataset.sequences(split)
    if not 0 <= after < len(records):
        raise ConfigError(f"--after {after}", f"split {split} has {len(records):,} photos",
                          "Give a smaller number that leaves photos to calibrate on.")

    def hash_of(part: slice) -> str:
        return hash_records(records.image_ids[part], records.lat[part], records.lon[part], sequences[part])

    trained = trained_splits(provenance)
    part = slice(after, None if limit is None else after + limit)
    ids, chosen = records.image_ids[part], hash_of(part)
    if trained & {chosen, hash_of(slice(None))}:
        raise ConfigError(f"--split {split}", "the model was trained on these photos",
                          "Give photos that it was not trained on.")
    known = after > 0 and hash_of(slice(after)) in trained
    if not known and trained and split != "train" and "train" in dataset.split_paths:
        known = dataset.split_hash("train") in trained
        both = set(ids) & set(dataset.split("train").image_ids) if known else set()
        if both:
            raise ConfigError(f"--split {split}", f"{len(both):,} of its photos are in the split that the model was trained on",
                              "Give photos that it was not trained on.")
    if not known:
        warnings.warn("it is unknown whether the model was trained on these photos; "
                      "if it was, its confidence will be too high everywhere else", NotHeldOutWarning, stacklevel=3)
    return HeldOut(ids, sequences[part], chosen)


def calibrate(model: MapModel, dataset: Dataset, split: str, *, after: int = 0, limit: int | None = None,
              batch_size: int = 32, index: str | Path | None = None, keep: float = 0.95,
              progress: Progress | None = None) -> Calibrated:
    """Fit a model's calibration on held-out photos of a split.

    While it runs, the posteriors are stored in a temporary file: four bytes for each photo and terminal cell.

    Args:
        model: The model, of any family; it is set to evaluation mode. A model that does not zoom is calibrated in one step.
        dataset: The dataset.
        split: Name of the split.
        after: Photos at the split's start to leave out: those that the model was trained on.
        limit: Most photos to use.
        batch_size: Photos encoded at once.
        index: Folder of the map's index for this model.
        keep: Share of these photos that must count as on the map.
        progress: Called with the number of photos done and the number of all photos.

    Raises:
        ConfigError: If the photos are not suitable for calibration; see `held_out`.
        DataError: If there are too few photos, or the index belongs to another map.
        ModelError: If the model does not fit the dataset's grid, or the index belongs to another model.
        PhotoError: If a photo is missing or broken.
        DiskError: If the folder of temporary files has no space for the scores of all photos.
    """
    if not 0 < keep < 1:
        raise ConfigError(f"--keep {keep:g}", "the share is not between 0 and 1", "Give a share such as 0.95.")
    photos = held_out(dataset, split, after, model.provenance, limit)
    grid = dataset.grid
    check_fits(model, grid)
    model.eval()
    vectors = ViewVectors(model, views_of(model, dataset.map, grid),
                          index=None if index is None else MapIndex.open_for(index, model, dataset.map, grid))
    vectors.check_root()
    true = grid.flatten(photos.sequences)
    with tempfile.TemporaryFile() as file:
        shape = (len(photos.ids), grid.actions**grid.depth)
        reserve(file, 4 * shape[0] * shape[1])
        kept = np.memmap(file, np.float32, "r+", shape=shape)
        done = 0
        for scores in posteriors(model, dataset, photos.ids, vectors, batch_size):
            kept[done:done + len(scores)] = scores
            done += len(scores)
            if progress:
                progress(done, len(photos.ids))

        def batches() -> Iterable[tuple[npt.NDArray[np.floating], npt.NDArray[np.int64]]]:
            for start in range(0, len(kept), batch_size):
                yield np.asarray(kept[start:start + batch_size]), true[start:start + batch_size]

        steps = grid.depth if model.decodes_paths else 1
        found, raw, calibrated = fit_calibration(grid, batches, steps, model.fingerprint(), photos.hash, keep=keep)
    look = region_look(GridViews(dataset.map, grid, model.config.image_pixels))
    return Calibrated(replace(found, look=look, map=dataset.map.fingerprint()), raw, calibrated)


def posteriors(model: MapModel, dataset: Dataset, ids: list[str], vectors: ViewVectors,
               batch_size: int) -> Iterator[npt.NDArray[np.float32]]:
    """Yield uncalibrated log-probabilities (b, N) of all terminal cells for a dataset's photos, batch by batch.

    Args:
        model: The model, in evaluation mode.
        dataset: The dataset.
        ids: Ids of the photos.
        vectors: The map's view vectors by this model; the map may belong to another dataset.
        batch_size: Photos encoded at once.

    Raises:
        PhotoError: If a photo is missing or broken.
    """
    config, score = model.config, scorer(model, vectors)
    for pairs in photo_batches(config, dataset, ids, batch_size):
        yield torch.from_numpy(score(photo_vectors(model, pairs))).log_softmax(1).numpy()
