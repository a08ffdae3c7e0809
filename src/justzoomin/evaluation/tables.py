"""Making a table of predictions, as in a predictions file, from a model and a split."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from justzoomin.data import Dataset, drives_of
from justzoomin.errors import ConfigError
from justzoomin.evaluation.batches import Progress, photo_batches
from justzoomin.evaluation.steps import Steps
from justzoomin.geometry import grid_to_dict
from justzoomin.models import MapModel
from justzoomin.posterior import HeadingPrior
from justzoomin.scoring import PredictionInfo, PredictionTable, Tabulator, claim_of, decider
from justzoomin.search import Localizer

Floats = npt.NDArray[np.float64]


class Searched(NamedTuple):
    """Results of a search for the photos of a split.

    Attributes:
        table: The predictions.
        steps: Result of each step along the true path; None for searches other than greedy.
    """

    table: PredictionTable
    steps: Steps | None


def prediction_info(model: MapModel, dataset: Dataset, split: str, *, method: str, search: str,
                    index: str | Path | None = None, **more: Any) -> PredictionInfo:
    """Return the metadata that apply to all predictions of a model on a split.

    Args:
        model: The model.
        dataset: The dataset.
        split: Name of the split.
        method: Name of the row in a table.
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
    """Return the hashes of the splits that a model was trained on, one for each map; empty if they are unknown.

    They include the splits of the model that its training started from.
    """
    found: set[str] = set()
    record: Any = provenance
    while isinstance(record, dict):
        rows = record.get("maps", [record])
        hashes = [row.get("train_split_hash") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        found.update(value for value in hashes if isinstance(value, str))
        record = record.get("started_from")
    return found


def search_table(localizer: Localizer, dataset: Dataset, split: str, info: PredictionInfo, *, batch_size: int = 32,
                 limit: int | None = None, progress: Progress | None = None,
                 headings: Sequence[HeadingPrior | None] = ()) -> Searched:
    """Search for every photo of a split with a localizer.

    Args:
        localizer: A model and the dataset's map; its search, decision and calibration are used.
        dataset: The dataset.
        split: Name of the split.
        info: Metadata of all predictions; `listed` is the number of a posterior's cells that are stored.
        batch_size: Photos at once.
        limit: Number of photos to use, from the split's start; all if None.
        progress: Called with the number of photos done and the number of all photos.
        headings: What is known of the heading of each photo of the split; empty if nothing is known.

    Raises:
        ConfigError: If `limit` is below 1, or there are headings that the localizer cannot use.
        PhotoError: If a photo is missing or broken.
        TileError: If a view that the search needs cannot be drawn.
    """
    if any(headings) and localizer.answering.posteriors is None:
        raise ConfigError("heading", f"a search {localizer.search} cannot use what is known of headings",
                          "Search with posterior.")
    if limit is not None and limit < 1:
        raise ConfigError(f"limit {limit}", "it must be at least 1", "Evaluate at least one photo, or give no limit for all.")
    grid, way, decision = localizer.grid, localizer.answering, str(localizer.decision)
    records, drives, true = dataset.split(split), drives_of(dataset, split), dataset.sequences(split)[:limit]
    ids = records.image_ids[:limit]
    made = Tabulator(info.model_copy(update=_of_search(localizer, info)), ids, np.stack([records.lat, records.lon], 1)[:limit],
                     grid.flatten(true), None if drives is None else drives[:limit], decider(grid, decision))
    steps: list[Steps] = []
    facing: list[Floats] = []
    done, every = 0, None if localizer.cameras is None else localizer.cameras.every
    for pairs in photo_batches(localizer.model.config, dataset, ids, batch_size, every):
        began = time.perf_counter()
        photos = localizer.encode(pairs)
        for found in way.find(photos, headings[done:done + len(pairs)]):
            ms = 1000 * (time.perf_counter() - began) / len(found.log_probs)
            towards = found.headings(made.add(found.log_probs, way.views, ms, found.cells))
            facing += [] if towards is None else [towards]
            began = time.perf_counter()
        if localizer.search.kind == "greedy":  # the published protocol
            steps.append(Steps.along(localizer, photos, true[done:done + len(pairs)]))
        done += len(pairs)
        if progress:
            progress(done, len(ids))
    table = made.table().with_headings(np.concatenate(facing) if facing else None, dataset.bearings(split)[:limit])
    if not steps:
        return Searched(table, None)
    along = Steps.joined(steps)
    return Searched(replace(table, ranking=replace(table.ranking, true_log_prob=along.true_log_prob)), along)


def _of_search(localizer: Localizer, info: PredictionInfo) -> dict[str, Any]:
    """Return the metadata that follow from a localizer's search."""
    decision, asked = str(localizer.decision), localizer.answering.posteriors
    found = {"decision": decision, "confidence": claim_of(decision), "listed": localizer.answering.listed or info.listed}
    camera = localizer.cameras.every if localizer.cameras is not None and localizer.model.config.frame.uses_cameras else None
    protocol = {} if camera is None else {"camera": str(camera)}
    if asked is None:
        return {**found, "protocol": protocol}
    state = ("none" if asked.calibration is None else "of another map" if not asked.calibrated_here else
             "of this map" if asked.on_its_map else "of many maps")
    return {**found, "calibration": localizer.asked()["calibration"],
            "protocol": {**info.protocol, **protocol, "calibration": state}}
