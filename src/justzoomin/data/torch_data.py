"""Torch datasets: photo halves, sequence, the path's views and position, repeatable and resumable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from justzoomin.data.photos import FORMATS, PhotoStore, exif_orientation
from justzoomin.data.transforms import Decode, halves, random_wide_crop, to_tensor, wide_photo
from justzoomin.geometry import view_numbers
from justzoomin.maps import GridViews


class Sample(TypedDict):
    """One photo with its true path. T is the depth, n the pixel size."""

    index: int
    wide: torch.Tensor  # uint8 (3, n, 2n): the photo before it is cut
    photo: torch.Tensor  # uint8 (2, 3, n, n): its left and right half
    sequence: torch.Tensor  # int64 (T,)
    views: list[torch.Tensor]  # T of uint8 (3, n, n): the views along the path, root first
    view_ids: torch.Tensor  # int64 (T,): numbers of these views among all views of the grid
    position: torch.Tensor  # float64 (2,): lat, lon


class Batch(TypedDict):
    """A batch in which every distinct view stands once. B photos, V distinct views."""

    index: torch.Tensor  # int64 (B,)
    wide: torch.Tensor  # uint8 (B, 3, n, 2n)
    sequence: torch.Tensor  # int64 (B, T)
    views: torch.Tensor  # uint8 (V, 3, n, n)
    view_index: torch.Tensor  # int64 (B, T): which of the V views stands at each step
    view_ids: torch.Tensor  # int64 (V,): numbers of the views among all views of the grid; 0 is the root
    position: torch.Tensor  # float64 (B, 2): lat, lon


@dataclass
class ZoomDataset(TorchDataset[Sample]):
    """Photos with their true paths.

    Args:
        image_ids: Ids of the photos.
        sequences: True action sequences (N, T).
        positions: Latitudes and longitudes (N, 2) in degrees.
        photos: Where the photos are.
        views: The grid's views, at the pixel size that photos are brought to as well.
        decode: How much of a photo is decoded.
        crop_scale: Range of the random crop's area, or None for the whole photo.
        seed: Seed of the crops; a crop depends on seed, epoch and photo alone, not on the worker that draws it.
    """

    image_ids: list[str]
    sequences: npt.NDArray[np.int64]
    positions: npt.NDArray[np.float64]
    photos: PhotoStore
    views: GridViews
    decode: Decode = "scaled"
    crop_scale: tuple[float, float] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self._numbers = view_numbers(self.views.grid, self.sequences)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        """Sample of a photo, by index, or by (index, epoch) where crops are drawn.

        Raises:
            PhotoError: If the photo is missing or broken.
        """
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        wide = to_tensor(self._wide(index, epoch))
        path = self.sequences[index]
        return Sample(
            index=index, wide=wide, photo=halves(wide), sequence=torch.from_numpy(path.copy()),
            views=[to_tensor(self.views.get(path[:level])) for level in range(len(path))],
            view_ids=torch.from_numpy(self._numbers[index].copy()), position=torch.from_numpy(self.positions[index].copy()),
        )

    def _wide(self, index: int, epoch: int) -> npt.NDArray[np.uint8]:
        image_id = self.image_ids[index]
        data, where = self.photos.read(image_id), self.photos.where(image_id)
        crop = None
        if self.crop_scale is not None:
            rng = np.random.default_rng([self.seed, epoch, index])
            crop = random_wide_crop(rng, _aspect(data), self.crop_scale)
        return wide_photo(data, where, self.views.pixels, self.decode, crop)


def _aspect(data: bytes) -> float:
    """Width over height of an image file, 16:9 where its header does not tell (decoding will then raise)."""
    import io

    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            turned = exif_orientation(image) >= 5
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 16 / 9
    return height / width if turned else width / height


def collate(samples: list[Sample]) -> Batch:
    """Stack samples, keeping each distinct view once, in the order of the views' numbers."""
    numbers = torch.stack([s["view_ids"] for s in samples])
    distinct, inverse = torch.unique(numbers, return_inverse=True)
    first = {int(number): view for s in samples for number, view in zip(s["view_ids"], s["views"], strict=True)}
    return Batch(
        index=torch.tensor([s["index"] for s in samples]), wide=torch.stack([s["wide"] for s in samples]),
        sequence=torch.stack([s["sequence"] for s in samples]),
        views=torch.stack([first[int(number)] for number in distinct]), view_index=inverse, view_ids=distinct,
        position=torch.stack([s["position"] for s in samples]),
    )


class ResumableBatchSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (index, epoch) in an order that depends on seed and epoch alone, from any batch on.

    Args:
        size: Number of photos.
        batch_size: Photos of a batch of one process.
        seed: Seed of the order.
        rank: Number of this process.
        world: Number of processes; each global batch is dealt out among them. The last one is topped up from
            the epoch's start so that every process has the same count.
    """

    def __init__(self, size: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.size, self.batch_size, self.seed, self.rank, self.world = size, batch_size, seed, rank, world
        self.epoch = 0
        self.start_batch = 0

    def __len__(self) -> int:
        whole = self.batch_size * self.world
        return (self.size + whole - 1) // whole

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch (Lightning calls this)."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        spare = -self.size % self.world
        if spare:
            order = np.concatenate([order, np.resize(order, spare)])
        whole = self.batch_size * self.world
        first, self.start_batch = self.start_batch, 0
        for batch in range(first, len(self)):
            mine = order[batch * whole:(batch + 1) * whole][self.rank::self.world]
            yield [(int(i), self.epoch) for i in mine]
