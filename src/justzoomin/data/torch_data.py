"""Torch datasets: photo halves, sequence, position and the views along the path, the same in every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as TorchDataset

from justzoomin.data.batches import Draw
from justzoomin.data.cameras import UNKNOWN, PhotoCamera
from justzoomin.data.decoding import photo_aspect
from justzoomin.data.framing import SQUEEZE, Frame, framed_photo
from justzoomin.data.photos import PhotoStore
from justzoomin.data.ready import ReadyPhotos
from justzoomin.data.transforms import Decode, halves, random_wide_crop, to_tensor, wide_photo
from justzoomin.geometry import view_numbers
from justzoomin.maps import GridViews

_FORGET = 1
"""Makes the draws of what is forgotten others than those of the crops."""


class Sample(TypedDict):
    """One photo with its true path. T is the depth, n the pixel size."""

    index: int
    map: int  # number of the map, if samples of several maps are joined
    wide: torch.Tensor  # uint8 (3, n, 2n): the photo before it is cut; (3, n, 4n) in a frame of two parts
    photo: torch.Tensor  # uint8 (2, 3, n, n): its left and right half; (4, 3, n, n) in such a frame
    sequence: torch.Tensor  # int64 (T,)
    views: list[torch.Tensor]  # T of uint8 (3, n, n): the views along the path, root first; empty if they are left out
    view_ids: torch.Tensor  # int64 (T,): numbers of these views among all views of the grid
    position: torch.Tensor  # float64 (2,): lat, lon
    weight: float  # of the photo in the loss


class Batch(TypedDict):
    """A batch that holds every distinct view once. It has B photos and V distinct views."""

    index: torch.Tensor  # int64 (B,)
    map: torch.Tensor  # int64 (B,): number of each photo's map
    wide: torch.Tensor  # uint8 (B, 3, n, 2n)
    sequence: torch.Tensor  # int64 (B, T)
    views: torch.Tensor  # uint8 (V, 3, n, n); (0, 3, n, n) if the samples left them out
    view_index: torch.Tensor  # int64 (B, T): which of the V views belongs to each step
    view_ids: torch.Tensor  # int64 (V,): numbers of the views among all views of the grid; 0 is the root (see `JoinedDataset`)
    position: torch.Tensor  # float64 (B, 2): lat, lon
    weight: torch.Tensor  # float32 (B,): of each photo in the loss; 0 for one that only fills the batch


@dataclass
class ZoomDataset(TorchDataset[Sample]):
    """Photos with their true paths.

    Args:
        image_ids: Ids of the photos.
        sequences: True action sequences (N, T).
        positions: Latitudes and longitudes (N, 2) in degrees.
        photos: Source of the photos.
        views: The grid's views.
        pixels: Edge of a photo half in pixels; 0 for that of the views.
        decode: How much of a photo is decoded.
        crop_scale: Range of the random crop's area, or None for the full photo; None for a frame that uses cameras, because a
            crop would change the photo's angles.
        with_views: Whether samples hold the pixels of their views, or only their numbers.
        frame: The frame that photos are brought into.
        cameras: What is known of the photos' cameras by id, for a frame that uses them.
        forget: Share of photos whose pitch and roll in `cameras` are not used, and share of whose camera nothing is; other
            photos in each epoch.
        ready: Photos of the same ids that were resized before; then `photos` and `decode` are ignored.
        seed: Seed of the crops and of what is forgotten; they depend only on seed, epoch and photo, not on the worker that
            draws them.
    """

    image_ids: list[str]
    sequences: npt.NDArray[np.int64]
    positions: npt.NDArray[np.float64]
    photos: PhotoStore
    views: GridViews
    pixels: int = 0
    decode: Decode = "scaled"
    crop_scale: tuple[float, float] | None = None
    seed: int = 0
    with_views: bool = True
    ready: ReadyPhotos | None = None
    frame: Frame = SQUEEZE
    cameras: Mapping[str, PhotoCamera] = field(default_factory=dict)
    forget: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self._numbers = view_numbers(self.views.grid, self.sequences)
        self.pixels = self.pixels or self.views.pixels

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, key: int | tuple[int, int] | Draw) -> Sample:
        """Return the sample of a photo, by index, by (index, epoch) if crops are drawn, or by a sampler's `Draw`.

        Raises:
            PhotoError: If the photo is missing or broken.
        """
        index, epoch, weight = Draw(*key) if isinstance(key, tuple) else Draw(key)
        wide = to_tensor(self._wide(index, epoch))
        path = self.sequences[index]
        return Sample(
            index=index, map=0, wide=wide, photo=halves(wide), sequence=torch.from_numpy(path.copy()),
            views=[to_tensor(self.views.get(path[:level])) for level in range(len(path))] if self.with_views else [],
            view_ids=torch.from_numpy(self._numbers[index].copy()), position=torch.from_numpy(self.positions[index].copy()),
            weight=weight,
        )

    def _wide(self, index: int, epoch: int) -> npt.NDArray[np.uint8]:
        if self.ready is not None:
            return self.ready.wide(index, self._crop(index, epoch, self.ready.aspect(index)))
        image_id = self.image_ids[index]
        data, where = self.photos.read(image_id), self.photos.where(image_id)
        if self.crop_scale is not None:
            return wide_photo(data, where, self.pixels, self.decode, self._crop(index, epoch, photo_aspect(data)))
        return framed_photo(data, where, self.pixels, self.decode, self.frame, self._camera(image_id, index, epoch)).pixels

    def _camera(self, image_id: str, index: int, epoch: int) -> PhotoCamera | None:
        camera, (tilt, everything) = self.cameras.get(image_id), self.forget
        if camera is None or tilt + everything <= 0.0:
            return camera
        drawn = np.random.default_rng([self.seed, epoch, index, _FORGET]).random()
        if drawn < everything:
            return UNKNOWN
        return replace(camera, pitch_deg=0.0, roll_deg=0.0) if drawn < everything + tilt else camera

    def _crop(self, index: int, epoch: int, aspect: float) -> tuple[float, float, float, float] | None:
        if self.crop_scale is None:
            return None
        return random_wide_crop(np.random.default_rng([self.seed, epoch, index]), aspect, self.crop_scale)


def collate(samples: list[Sample]) -> Batch:
    """Stack samples and keep each distinct view once, in the order of the views' numbers."""
    numbers = torch.stack([s["view_ids"] for s in samples])
    distinct, inverse = torch.unique(numbers, return_inverse=True)
    wide = torch.stack([s["wide"] for s in samples])
    empty = wide.new_empty((0, *halves(wide).shape[-3:]))
    first = {int(number): view for s in samples if s["views"] for number, view in zip(s["view_ids"], s["views"], strict=True)}
    return Batch(
        index=torch.tensor([s["index"] for s in samples]), map=torch.tensor([s["map"] for s in samples]), wide=wide,
        sequence=torch.stack([s["sequence"] for s in samples]),
        views=torch.stack([first[int(number)] for number in distinct]) if first else empty,
        view_index=inverse, view_ids=distinct, position=torch.stack([s["position"] for s in samples]),
        weight=torch.tensor([s["weight"] for s in samples]),
    )
