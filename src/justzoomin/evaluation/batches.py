"""Photos of a dataset in batches, in the form that a model needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import torch

from justzoomin.data import Dataset, PhotoCamera, framed_photo, halves, to_tensor
from justzoomin.models import ModelConfig
from justzoomin.parallel import ordered_map

Progress = Callable[[int, int], None]
"""Called with the number of photos done and the number of all photos."""


def photo_batches(config: ModelConfig, dataset: Dataset, ids: Sequence[str], batch_size: int,
                  camera: PhotoCamera | None = None,
                  cameras: Mapping[str, PhotoCamera] | None = None) -> Iterator[torch.Tensor]:
    """Yield photos of a dataset in order, prepared by a model's settings, in batches of uint8 halves (B, 2, 3, n, n).

    Args:
        config: The model's settings.
        dataset: The dataset.
        ids: Ids of the photos.
        batch_size: Photos at once.
        camera: Camera of the photos whose field of view is not known otherwise.
        cameras: What is known of the photos' cameras by id; None for what the dataset states.

    Raises:
        PhotoError: If a photo is missing or broken.
    """
    frame = config.frame
    known = cameras if cameras is not None else dataset.cameras(ids) if frame.uses_cameras else {}

    def load(image_id: str) -> torch.Tensor:
        data, where = dataset.photos.read(image_id), dataset.photos.where(image_id)
        return to_tensor(framed_photo(data, where, config.photo_pixels, config.photo_decode, frame, known.get(image_id),
                                      camera).pixels)

    loaded = ordered_map(load, ids)
    for start in range(0, len(ids), batch_size):
        yield halves(torch.stack(list(islice(loaded, min(batch_size, len(ids) - start)))))
