"""What a model says about every photo of a split."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import Dataset, halves, to_tensor, wide_photo
from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews
from justzoomin.models import MapModel, ModelConfig
from justzoomin.parallel import ordered_map
from justzoomin.scoring import cell_errors_m
from justzoomin.search import MapIndex, ViewVectors, along_path, check_fits, greedy, photo_vectors, warn_foreign_map

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Predictions:
    """Greedy paths of N photos over T steps, with the truth beside them.

    Attributes:
        image_ids: Ids of the photos.
        grid: The zoom grid that was searched.
        positions: True latitudes and longitudes (N, 2) in degrees.
        true: True sequences (N, T).
        predicted: Predicted sequences (N, T).
        probabilities: Probability (N, T) of each predicted action given those before it.
        step_correct: Whether (N, T) the most probable action is the true one, given the true path before it.
        true_log_prob: Log-probability (N,) of the whole true path.
        ms: Milliseconds (N,) that encoding and search took for a photo: its share of a batch's time.
    """

    image_ids: list[str]
    grid: ZoomGrid
    positions: npt.NDArray[np.float64]
    true: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    step_correct: npt.NDArray[np.bool_]
    true_log_prob: npt.NDArray[np.float32]
    ms: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def true_cells(self) -> npt.NDArray[np.int64]:
        """Numbers (N,) of the true terminal cells."""
        return self.grid.flatten(self.true)

    @property
    def errors_m(self) -> npt.NDArray[np.float64]:
        """Great-circle distances (N,) in metres from predicted terminal cells' centres to the photos' positions."""
        return cell_errors_m(self.grid, self.grid.flatten(self.predicted), self.positions)


def predict(model: MapModel, dataset: Dataset, split: str, *, batch_size: int = 32, limit: int | None = None,
            vectors: ViewVectors | None = None, index: str | Path | None = None,
            progress: Progress | None = None) -> Predictions:
    """Decode every photo of a split greedily, along the views the model itself chooses.

    Args:
        model: The model; put into evaluation mode.
        dataset: The dataset.
        split: Name of the split.
        batch_size: Photos encoded at once.
        limit: Photos to take from the split's start; all if None.
        vectors: View vectors to use; made anew if None.
        index: Folder of the map's index under this model, for vectors that are made anew.
        progress: Called with photos done and photos in all.

    Raises:
        ConfigError: If `limit` is below 1.
        ModelError: If the model does not fit the dataset's grid, or the index belongs to another model.
        DataError: If the index is none, or belongs to another map or grid.
        PhotoError: If a photo is missing or broken.
    """
    if limit is not None and limit < 1:
        raise ConfigError("limit", f"{limit} photos", "Evaluate at least one photo, or give no limit for all.")
    grid = dataset.grid
    check_fits(model, grid)
    was_training = model.training
    model.eval()
    config, records = model.config, dataset.split(split)
    ids = records.image_ids[:limit]
    true = dataset.sequences(split)[:limit]
    if vectors is None:
        vectors = ViewVectors(model, GridViews(dataset.map, grid, config.image_pixels),
                              index=None if index is None else MapIndex.open_for(index, model, dataset.map, grid))
    vectors.check_root()
    if not was_training and isinstance(vectors.views, GridViews):
        warn_foreign_map(model, vectors.views)
    parts = []
    seconds: list[float] = []
    with torch.inference_mode():
        for start, pixels in zip(range(0, len(ids), batch_size), photo_batches(config, dataset, ids, batch_size), strict=True):
            began = time.perf_counter()
            photos = photo_vectors(model, pixels)
            found = greedy(model, photos, vectors, grid.depth)
            seconds += [(time.perf_counter() - began) / len(pixels)] * len(pixels)
            path = torch.from_numpy(true[start:start + batch_size])
            chances = along_path(model, photos, vectors, path)
            correct = chances.argmax(-1) == path
            likelihood = chances.gather(-1, path.unsqueeze(-1)).squeeze(-1).sum(-1)
            parts.append((found.sequences, found.probabilities, correct, likelihood))
            if progress:
                progress(min(start + batch_size, len(ids)), len(ids))
    model.train(was_training)
    sequences, steps, hits, path_log_prob = (torch.cat(p).numpy() for p in zip(*parts, strict=True))
    return Predictions(ids, grid, np.stack([records.lat, records.lon], 1)[:limit], true, sequences, steps, hits,
                       path_log_prob, 1000 * np.array(seconds))


def photo_batches(config: ModelConfig, dataset: Dataset, ids: Sequence[str], batch_size: int) -> Iterator[torch.Tensor]:
    """Photos of a dataset as a model's settings want them, uint8 halves (B, 2, 3, n, n), in batches and in order.

    Raises:
        PhotoError: If a photo is missing or broken.
    """
    def load(image_id: str) -> torch.Tensor:
        data, where = dataset.photos.read(image_id), dataset.photos.where(image_id)
        return to_tensor(wide_photo(data, where, config.image_pixels, config.photo_decode))

    loaded = ordered_map(load, ids)
    for start in range(0, len(ids), batch_size):
        yield halves(torch.stack(list(islice(loaded, min(batch_size, len(ids) - start)))))
