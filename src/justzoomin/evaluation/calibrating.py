"""Calibrating a model on photos that it was not trained on and will not be scored on."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import Dataset, PhotoCamera, hash_records
from justzoomin.errors import ConfigError
from justzoomin.evaluation.batches import Progress, photo_batches
from justzoomin.evaluation.tables import trained_splits
from justzoomin.files import reserve
from justzoomin.maps import GridViews, region_look
from justzoomin.models import MapModel
from justzoomin.posterior import Batches, Calibration, Claims, MapFacts, MapPhotos, curve, fit_calibration, fit_many_maps
from justzoomin.search import (
    CLOSE,
    MapIndex,
    NotTrainedHereWarning,
    ViewVectors,
    check_fits,
    facts_of,
    photo_vectors,
    scorer,
    seen_map,
    views_of,
)

SCORED = ("val", "test")
"""Splits with these names are for scores: a calibration must not be fitted on them."""


class NotHeldOutWarning(UserWarning):
    """Warning that the photos may not have been held out of training."""


@dataclass(frozen=True)
class Calibrated:
    """A calibration, with the claims on the photos that it was fitted on.

    Attributes:
        calibration: The calibration; it has one part, for one map or for many.
        before: Claims of the model's own posteriors.
        after: Claims of the calibrated posteriors. For many maps those of each map are by a calibration fitted without it.
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
    found = _chosen(dataset, split, after, limit)
    trained = trained_splits(provenance)
    if trained & {found.hash, _hash_of(dataset, split, slice(None))}:
        raise ConfigError(f"--split {split}", "the model was trained on these photos",
                          "Give photos that it was not trained on.")
    known = after > 0 and _hash_of(dataset, split, slice(after)) in trained
    if not known and trained and split != "train" and "train" in dataset.split_paths:
        known = dataset.split_hash("train") in trained
        both = set(found.ids) & set(dataset.split("train").image_ids) if known else set()
        if both:
            raise ConfigError(f"--split {split}", f"{len(both):,} of its photos are in the split that the model was trained on",
                              "Give photos that it was not trained on.")
    if not known:
        _warn_unknown()
    return found


def _warn_unknown() -> None:
    warnings.warn("it is unknown whether the model was trained on these photos; "
                  "if it was, its confidence will be too high everywhere else", NotHeldOutWarning, stacklevel=4)


def _chosen(dataset: Dataset, split: str, after: int, limit: int | None) -> HeldOut:
    """Return `limit` photos of a split after its first `after`.

    Raises:
        ConfigError: If the split is missing, or no photos are left.
    """
    if split not in dataset.split_paths:
        there = ", ".join(dataset.split_paths) or "none"
        raise ConfigError(f"--split {split}", f"there is no split called {split!r}; existing splits: {there}",
                          "Make one with photos held out of training: see docs/confidence.md, Held-out photos.")
    records = dataset.split(split)
    if not 0 <= after < len(records):
        raise ConfigError(f"--after {after}", f"split {split} has {len(records):,} photos",
                          "Give a smaller number that leaves photos to calibrate on.")
    part = slice(after, None if limit is None else after + limit)
    return HeldOut(records.image_ids[part], dataset.sequences(split)[part], _hash_of(dataset, split, part))


def _hash_of(dataset: Dataset, split: str, part: slice) -> str:
    records = dataset.split(split)
    return hash_records(records.image_ids[part], records.lat[part], records.lon[part], dataset.sequences(split)[part])


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
    opened = None if index is None else MapIndex.open_for(index, model, dataset.map, grid)
    with tempfile.TemporaryFile() as file:
        batches = _kept(model, dataset, photos, file, batch_size, opened, progress)
        steps = grid.depth if model.decodes_paths else 1
        found, raw, calibrated = fit_calibration(grid, batches, steps, photos.hash, keep=keep)
    look = region_look(GridViews(dataset.map, grid, model.config.image_pixels))
    here = replace(found, look=look, map=dataset.map.fingerprint())
    return Calibrated(Calibration(model.fingerprint(), here), raw, calibrated)


def calibrate_many(model: MapModel, datasets: Sequence[Dataset], split: str, *, after: int = 0, limit: int | None = None,
                   batch_size: int = 32, progress: Progress | None = None) -> Calibrated:
    """Fit a model's calibration for maps that it was not trained on, on photos of many such maps.

    While it runs, the posteriors are stored in temporary files: four bytes for each photo and terminal cell.

    Args:
        model: The model, of any family; it is set to evaluation mode. Only a zoomer without a matcher has several steps.
        datasets: The datasets; their grids may differ in size, and in depth unless the model is calibrated step by step.
        split: Name of the split in every dataset.
        after: Photos to leave out at the start of each split.
        limit: Most photos of each split.
        batch_size: Photos encoded at once.
        progress: Called with the number of photos done and the number of all photos.

    Raises:
        ConfigError: If a split is missing or has no photos left, or the model was trained on one of the maps.
        DataError: If there are too few datasets.
        ModelError: If the model does not fit a dataset's grid.
        PhotoError: If a photo is missing or broken.
        DiskError: If the folder of temporary files has no space for the scores of all photos.
    """
    steps = 1
    if model.decodes_paths and model.config.matcher is None:
        depths = sorted({dataset.grid.depth for dataset in datasets})
        if len(depths) > 1:
            raise ConfigError("--data", f"a zoomer is calibrated step by step, but the grids have {depths} steps",
                              "Give datasets whose grids have the same depth.")
        steps = depths[0]
    model.eval()
    if not trained_splits(model.provenance):
        _warn_unknown()
    chosen = [_of_new_map(model, dataset, split, after, limit) for dataset in datasets]
    everything, done = sum(len(photos.ids) for photos, _ in chosen), 0
    maps: list[MapPhotos] = []
    with ExitStack() as stack:
        for dataset, (photos, facts) in zip(datasets, chosen, strict=True):
            file = stack.enter_context(tempfile.TemporaryFile())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotTrainedHereWarning)  # that is what is calibrated
                check_fits(model, dataset.grid)
            batches = _kept(model, dataset, photos, file, batch_size, None, progress and _after(progress, done, everything))
            maps.append(MapPhotos(dataset.grid, facts, photos.hash, batches))
            done += len(photos.ids)
        found, raw, calibrated = fit_many_maps(maps, steps)
    return Calibrated(Calibration(model.fingerprint(), many_maps=found), raw, calibrated)


def _of_new_map(model: MapModel, dataset: Dataset, split: str, after: int, limit: int | None) -> tuple[HeldOut, MapFacts]:
    """Return the photos of a map that a model was not trained on, and what the map is like.

    Raises:
        ConfigError: If the split is missing or has no photos left, or the model was trained on the map.
    """
    photos = _chosen(dataset, split, after, limit)
    views = GridViews(dataset.map, dataset.grid, model.config.image_pixels)
    trained = trained_splits(model.provenance)
    if seen_map(model.provenance, views) or any(dataset.split_hash(name) in trained for name in dataset.split_paths):
        raise ConfigError(f"--data {dataset.root}", "the model was trained on this map, so it is not new ground",
                          "Leave this dataset out, or calibrate on it alone for this map.")
    return photos, facts_of(views)


def _after(progress: Progress, done: int, everything: int) -> Progress:
    """Return the progress of one map after `done` photos of other maps."""
    return lambda here, _: progress(done + here, everything)


def _kept(model: MapModel, dataset: Dataset, photos: HeldOut, file: IO[bytes], batch_size: int, index: MapIndex | None,
          progress: Progress | None) -> Batches:
    """Store the uncalibrated posteriors of a map's photos in a file, and return what reads them from it in batches."""
    grid = dataset.grid
    vectors = ViewVectors(model, views_of(model, dataset.map, grid), index=index)
    vectors.check_root()
    true = grid.flatten(photos.sequences)
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

    return batches


def posteriors(model: MapModel, dataset: Dataset, ids: list[str], vectors: ViewVectors,
               batch_size: int, cameras: Mapping[str, PhotoCamera] | None = None) -> Iterator[npt.NDArray[np.float32]]:
    """Yield uncalibrated log-probabilities (b, N) of all terminal cells for a dataset's photos, batch by batch.

    Args:
        model: The model, in evaluation mode.
        dataset: The dataset.
        ids: Ids of the photos.
        vectors: The map's view vectors by this model; the map may belong to another dataset.
        batch_size: Photos encoded at once.
        cameras: What is known of the photos' cameras by id; None for what the dataset states.

    Raises:
        PhotoError: If a photo is missing or broken.
    """
    config, score = model.config, scorer(model, vectors, CLOSE)
    for pairs in photo_batches(config, dataset, ids, batch_size, cameras=cameras):
        yield torch.from_numpy(score(photo_vectors(model, pairs))).log_softmax(1).numpy()
