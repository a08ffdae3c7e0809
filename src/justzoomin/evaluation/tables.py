"""From a model and a split to a table of predictions, as the predictions file holds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.audits import drives_of
from justzoomin.data import Dataset
from justzoomin.errors import ConfigError
from justzoomin.evaluation.predictions import Predictions, Progress, photo_batches
from justzoomin.geometry import grid_to_dict
from justzoomin.models import ModelConfig, ZoomModel
from justzoomin.scoring import PredictionInfo, PredictionTable, Tabulator, decider, rank_listed
from justzoomin.search import Localizer, beam

Scores = Callable[[torch.Tensor], npt.NDArray[np.floating]]
"""From photos, uint8 halves (B, 2, 3, n, n), to scores (B, N) of all terminal cells: `Localizer.scores` or `log_probs`."""


def prediction_info(model: ZoomModel, dataset: Dataset, split: str, *, method: str, search: str,
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
    trained_on, own = model.provenance.get("train_split_hash"), dataset.split_hash(split)
    config = model.provenance.get("config")
    seed = config.get("seed") if isinstance(config, dict) else None
    size = None if index is None else float(sum(p.stat().st_size for p in Path(index).iterdir() if p.is_file()))
    values = {
        "method": method, "split": split, "grid": grid_to_dict(dataset.grid), "search": search,
        "seed": seed if isinstance(seed, int) else None, "crs": dataset.map.layout.crs, "attribution": dataset.attribution(),
        "hashes": {"model": model.fingerprint(), "map": dataset.map.fingerprint(), "split": own,
                   "train_split": trained_on if isinstance(trained_on, str) else None},
        "trained_on_this_split": None if trained_on is None else trained_on == own,
        "cost": {} if size is None else {"index_bytes": size},
    }
    return PredictionInfo.model_validate(values | more)


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
    ranking = rank_listed(cells[:, None], log_probs[:, None], predictions.true_cells, predictions.true_log_prob)
    return PredictionTable(
        info.model_copy(update={"listed": 1, "confidence": "cell", "decision": "top"}), tuple(predictions.image_ids),
        predictions.positions, predictions.true_cells, np.stack(grid.centres(predictions.predicted), 1), ranking,
        np.exp(log_probs), np.full(len(predictions), grid.depth), predictions.ms,
        None if drives is None else tuple(drives[:len(predictions)]))


def predict_posterior(scores: Scores, config: ModelConfig, dataset: Dataset, split: str, info: PredictionInfo, *,
                      views: int | None = None, batch_size: int = 32, limit: int | None = None,
                      progress: Progress | None = None) -> PredictionTable:
    """Score all terminal cells for every photo of a split.

    Args:
        scores: Gives the scores of all cells for a batch of photos.
        config: Says what the photos look like that it takes.
        dataset: The dataset.
        split: Name of the split.
        info: What holds for all predictions. `listed` says how many cells are kept of each, `decision` how answers are made.
        views: Views that are scored for a photo.
        batch_size: Photos at once.
        limit: Photos to take from the split's start; all if None.
        progress: Called with photos done and photos in all.

    Raises:
        ConfigError: If `limit` is below 1, or the decision is none.
        DataError: If the scores are not one finite number per photo and cell.
        PhotoError: If a photo is missing or broken.
    """
    if limit is not None and limit < 1:
        raise ConfigError("limit", f"{limit} photos", "Evaluate at least one photo, or give no limit for all.")
    records, drives = dataset.split(split), drives_of(dataset, split)
    ids = records.image_ids[:limit]
    made = Tabulator(info, ids, np.stack([records.lat, records.lon], 1)[:limit],
                     dataset.grid.flatten(dataset.sequences(split)[:limit]), None if drives is None else drives[:limit],
                     decider(dataset.grid, info.decision))
    done = 0
    for photos in photo_batches(config, dataset, ids, batch_size):
        began = time.perf_counter()
        values = scores(photos)
        made.add(values, views, 1000 * (time.perf_counter() - began) / len(photos))
        done += len(photos)
        if progress:
            progress(done, len(ids))
    return made.table()


def predict_beam(localizer: Localizer, dataset: Dataset, split: str, info: PredictionInfo, *, batch_size: int = 32,
                 limit: int | None = None, progress: Progress | None = None) -> PredictionTable:
    """Follow a beam for every photo of a split: the cells that it reached, in the order of their probability.

    Args:
        localizer: A model and its map, with the beam as its search.
        dataset: The dataset.
        split: Name of the split.
        info: What holds for all predictions.
        batch_size: Photos at once.
        limit: Photos to take from the split's start; all if None.
        progress: Called with photos done and photos in all.

    Raises:
        ConfigError: If `limit` is below 1.
        PhotoError: If a photo is missing or broken.
    """
    if limit is not None and limit < 1:
        raise ConfigError("limit", f"{limit} photos", "Evaluate at least one photo, or give no limit for all.")
    grid, width, records = dataset.grid, localizer.search.width, dataset.split(split)
    ids, drives = records.image_ids[:limit], drives_of(dataset, split)
    localizer.vectors.check_root()
    cells, log_probs, ms = [], [], []
    for photos in photo_batches(localizer.model.config, dataset, ids, batch_size):
        began = time.perf_counter()
        found = beam(localizer.model, localizer.encode(photos), localizer.vectors, grid.depth, width)
        ms += [1000 * (time.perf_counter() - began) / len(photos)] * len(photos)
        paths = found.sequences.numpy()
        cells.append(grid.flatten(paths.reshape(-1, grid.depth)).reshape(paths.shape[:2]))
        log_probs.append(found.log_probs.numpy().astype(np.float64))
        if progress:
            progress(len(ms), len(ids))
    true = grid.flatten(dataset.sequences(split)[:limit])
    named, chances = np.concatenate(cells), np.concatenate(log_probs)
    views = sum(min(width, grid.actions**level) for level in range(grid.depth))
    return PredictionTable(
        info.model_copy(update={"listed": named.shape[1], "confidence": "cell", "decision": "top"}), tuple(ids),
        np.stack([records.lat, records.lon], 1)[:limit], true,
        np.stack(grid.centres(grid.unflatten(named[:, 0], grid.depth)), 1), rank_listed(named, chances, true),
        np.exp(chances[:, 0]), np.full(len(ids), views), np.array(ms), None if drives is None else tuple(drives[:limit]))
