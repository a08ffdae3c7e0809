"""Photos of a dataset in batches, as a model takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch

from justzoomin.data import Dataset, halves, to_tensor, wide_photo
from justzoomin.models import ModelConfig
from justzoomin.parallel import ordered_map

Progress = Callable[[int, int], None]
"""Called with photos done and photos in all."""


def photo_batches(config: ModelConfig, dataset: Dataset, ids: Sequence[str], batch_size: int) -> Iterator[torch.Tensor]:
    """Yield photos of a dataset as a model's settings want them, uint8 halves (B, 2, 3, n, n), in batches and in order.

    Raises:
        PhotoError: If a photo is missing or broken.
    """
    def load(image_id: str) -> torch.Tensor:
        data, where = dataset.photos.read(image_id), dataset.photos.where(image_id)
        return to_tensor(wide_photo(data, where, config.image_pixels, config.photo_decode))

    loaded = ordered_map(load, ids)
    for start in range(0, len(ids), batch_size):
        yield halves(torch.stack(list(islice(loaded, min(batch_size, len(ids) - start)))))
