"""From a model and a split to a table of predictions, as the predictions file holds it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from justzoomin.data import Dataset, drives_of
from justzoomin.errors import ConfigError
from justzoomin.evaluation.predictions import Predictions, Progress, photo_batches
from justzoomin.geometry import grid_to_dict
from justzoomin.models import MapModel
from justzoomin.scoring import PredictionInfo, PredictionTable, Tabulator, claim_of, decider, rank_listed
from justzoomin.search import Localizer, beam


def prediction_info(model: MapModel, dataset: Dataset, split: str, *, method: str, search: str,
                    index: str | Path | None = None, **more: Any) -> PredictionInfo:
    """What holds for all predictions of a model on a split.

    Args:
        model: The model.
        dataset: The dataset.
        split: Name of the split.
        method: What the row of a table is called.
        search: How cells are searched.
        index: Folder of the map's index, if there is one; its size is a cost.
        more: Further fields of `PredictionInfo`.
    """
    trained_on, own = trained_splits(model.provenance), dataset.split_hash(split)
    config = model.provenance.get("config")
    seed = config.get("seed") if isinstance(config, dict) else None
    cost = {"parameters": float(sum(p.numel() for p in model.parameters())),
            "map_views": float(len(model.layers(dataset.grid)))}
    if index is not None:
        cost["index_bytes"] = float(sum(p.stat().st_size for p in Path(index).iterdir() if p.is_file()))
    values = {
        "method": method, "split": split, "grid": grid_to_dict(dataset.grid), "search": search,
        "seed": seed if isinstance(seed, int) else None, "crs": dataset.map.layout.crs, "attribution": dataset.attribution(),
        "hashes": {"model": model.fingerprint(), "map": dataset.map.fingerprint(), "split": own,
                   "train_split": min(trained_on) if len(trained_on) == 1 else None},
        "trained_on_this_split": own in trained_on if trained_on else None, "cost": cost,
    }
    return PredictionInfo.model_validate(values | more)


def trained_splits(provenance: dict[str, Any]) -> set[str]:
    """Hashes of the splits that a model was trained on, one for each map; none where that is not known.

    Those of the model that its training started from are among them.
    """
    found: set[str] = set()
    record: Any = provenance
    while isinstance(record, dict):
        rows = record.get("maps", [record])
        hashes = [row.get("train_split_hash") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        found.update(value for value in hashes if isinstance(value, str))
        record = record.get("started_from")
    return found


def greedy_table(predictions: Predictions, info: PredictionInfo, drives: list[str] | None = None) -> PredictionTable:
    """Predictions of a greedy search: the one cell that it found, with the probability of its path.

    Args:
        predictions: The predictions.
        info: What holds for all of them.
        drives: The drives of the split's photos, where they are known.
    """
    grid = predictions.grid
    cells = grid.flatten(predictions.predicted)
    log_probs = np.log(np.maximum(predictions.probabilities.astype(np.float64), np.finfo(np.float64).tiny)).sum(1)
    ranking = rank_listed(cells[:, None], log_probs[:, None], predictions.true_cells,
                          predictions.true_log_prob.astype(np.float64))
    return PredictionTable(
        info.model_copy(update={"listed": 1, "confidence": "cell", "decision": "top"}), tuple(predictions.image_ids),
        predictions.positions, predictions.true_cells, np.stack(grid.centres(predictions.predicted), 1), ranking,
        np.exp(log_probs), np.full(len(predictions), grid.depth), predictions.ms,
        None if drives is None else tuple(drives[:len(predictions)]))


def search_table(localizer: Localizer, dataset: Dataset, split: str, info: PredictionInfo, *, batch_size: int = 32,
                 limit: int | None = None, progress: Progress | None = None) -> PredictionTable:
    """Search for every photo of a split with a localizer: with a beam, or in the whole posterior.

    Args:
        localizer: A model and the dataset's map; its search, decision and calibration are taken.
        dataset: The dataset.
        split: Name of the split.
        info: What holds for all predictions; `listed` says how many cells of a posterior are kept.
        batch_size: Photos at once.
        limit: Photos to take from the split's start; all if None.
        progress: Called with photos done and photos in all.

    Raises:
        ConfigError: If `limit` is below 1, or the search is greedy.
        PhotoError: If a photo is missing or broken.
    """
    if limit is not None and limit < 1:
        raise ConfigError("limit", f"{limit} photos", "Evaluate at least one photo, or give no limit for all.")
    if localizer.search.kind == "greedy":
        raise ConfigError("search", "greedy is evaluated step by step", "Use justzoomin.evaluation.evaluate.")
    photos = _Photos(localizer, dataset, split, batch_size, limit, progress)
    if localizer.search.kind == "beam" and localizer.model.decodes_paths:
        return _beam(localizer, localizer.model, photos, info)
    return _posterior(localizer, photos, info)


class _Photos:
    """The photos of a split, in batches, with the truth beside them."""

    def __init__(self, localizer: Localizer, dataset: Dataset, split: str, batch_size: int, limit: int | None,
                 progress: Progress | None) -> None:
        records, drives = dataset.split(split), drives_of(dataset, split)
        self.ids = tuple(records.image_ids[:limit])
        self.positions = np.stack([records.lat, records.lon], 1)[:limit]
        self.true = dataset.grid.flatten(dataset.sequences(split)[:limit])
        self.drives = None if drives is None else tuple(drives[:limit])
        self._batches = photo_batches(localizer.model.config, dataset, self.ids, batch_size)
        self._progress = progress

    def __iter__(self) -> Iterator[torch.Tensor]:
        done = 0
        for pairs in self._batches:
            yield pairs
            done += len(pairs)
            if self._progress:
                self._progress(done, len(self.ids))


def _posterior(localizer: Localizer, photos: _Photos, info: PredictionInfo) -> PredictionTable:
    decision, calibration = str(localizer.decision), localizer.calibration
    info = info.model_copy(update={
        "decision": decision, "confidence": claim_of(decision),
        "calibration": None if calibration is None else calibration.fingerprint,
        "protocol": {"calibration": "none" if calibration is None else "of this map" if localizer.calibrated_here else
                     "of another map"}})
    made = Tabulator(info, photos.ids, photos.positions, photos.true, photos.drives, decider(localizer.grid, decision))
    views = len(localizer.model.layers(localizer.grid))
    for pairs in photos:
        began = time.perf_counter()
        log_probs = localizer.log_probs(pairs)
        made.add(log_probs, views, 1000 * (time.perf_counter() - began) / len(pairs))
    return made.table()


def _beam(localizer: Localizer, model: MapModel, photos: _Photos, info: PredictionInfo) -> PredictionTable:
    grid, width = localizer.grid, localizer.search.width
    cells, log_probs, ms = [], [], []
    localizer.vectors.check_root()
    for pairs in photos:
        began = time.perf_counter()
        found = beam(model, localizer.encode(pairs), localizer.vectors, grid.depth, width)
        ms += [1000 * (time.perf_counter() - began) / len(pairs)] * len(pairs)
        paths = found.sequences.numpy()
        cells.append(grid.flatten(paths.reshape(-1, grid.depth)).reshape(paths.shape[:2]))
        log_probs.append(found.log_probs.numpy().astype(np.float64))
    named, chances = np.concatenate(cells), np.concatenate(log_probs)
    views = sum(min(width, grid.actions**level) for level in range(grid.depth))
    return PredictionTable(
        info.model_copy(update={"listed": named.shape[1], "confidence": "cell", "decision": "top"}), photos.ids,
        photos.positions, photos.true, np.stack(grid.centres(grid.unflatten(named[:, 0], grid.depth)), 1),
        rank_listed(named, chances, photos.true), np.exp(chances[:, 0]), np.full(len(ms), views), np.array(ms), photos.drives)
