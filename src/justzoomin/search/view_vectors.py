"""Vectors of a map's views under one model: each view is drawn and encoded once, when it is first needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.data import normalize
from justzoomin.errors import ModelError
from justzoomin.geometry import ZoomGrid, view_number, view_numbers, zoom_layers
from justzoomin.maps import GridViews, Map
from justzoomin.models import MapModel
from justzoomin.untrusted import printable

if TYPE_CHECKING:
    from justzoomin.maps import LayerViews
    from justzoomin.search.index import MapIndex

MEMORY_BYTES = 1 << 30
"""Most memory for vectors that no index can keep."""

Ints = npt.NDArray[np.int64]


def photo_vectors(model: MapModel, pairs: torch.Tensor) -> torch.Tensor:
    """Return the vectors (B, D) of photos, given as uint8 halves (B, 2, 3, n, n).

    Raises:
        ModelError: If a photo cannot be encoded, or its vector is not finite.
    """
    return encoded(model, model.encode_photos, pairs)


@torch.inference_mode()
def encoded(model: MapModel, encode: Callable[[torch.Tensor], torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    """Return a model's vectors of pictures, uint8 (..., 3, n, n), which are normalized with its settings.

    Raises:
        ModelError: If the model cannot encode them, or a number is not finite, so that it must not lead to an answer.
    """
    config = model.config
    try:
        vectors = encode(normalize(pixels.to(model.device), config.mean, config.std))
    except (RuntimeError, ValueError, TypeError, LookupError) as error:
        raise ModelError("model", f"it cannot encode pictures of {pixels.shape[-1]} px ({printable(error, 200)})",
                         "Check image_pixels and encoder.architecture in its config.json, and the free memory.") from error
    if not bool(torch.isfinite(vectors).all()):
        raise ModelError("model", "its vectors hold values that are not finite", "Check its weights, and mean and std in its "
                         "config.json.")
    return vectors


def refuse_undefined(values: npt.NDArray[np.floating]) -> None:
    """Refuse scores or probabilities that are not finite numbers.

    Raises:
        ModelError: If so.
    """
    if not np.isfinite(values).all():
        raise ModelError("model", "its scores are not finite numbers",
                         "Check the weights of its decoder or ray matcher. The vectors of photos and views are finite.")


def views_of(model: MapModel, source: Map, grid: ZoomGrid | None = None) -> GridViews | LayerViews:
    """Return the views of a map that a model uses, on a grid or, if None, on the map's own grid."""
    layers = model.layers(grid or source.grid)
    if layers == zoom_layers(layers.grid):
        return GridViews(source, layers.grid, model.config.image_pixels)
    from justzoomin.maps import LayerViews

    return LayerViews(source, layers, model.config.image_pixels)


class DrawnViews(NamedTuple):
    """Views that are drawn and not encoded yet.

    Attributes:
        numbers: Their numbers (N,).
        pixels: uint8 (N, 3, n, n).
        no_data: Share (N,) of each view without map data.
    """

    numbers: Ints
    pixels: torch.Tensor
    no_data: npt.NDArray[np.float32]


class ViewVectors:
    """Encoded views of a grid, from an index if there is one, otherwise kept in memory (13 MB for depth 4 and `paper`).

    Args:
        model: The model that encodes, in evaluation mode.
        views: The views to encode, at the model's pixel size.
        batch_size: Views encoded at once.
        index: The index from which vectors are read and in which new ones are kept if it can be written; it must belong to
            this model and map (`MapIndex.open_for`).

    Attributes:
        encoded: Number of views encoded so far.
    """

    def __init__(self, model: MapModel, views: GridViews | LayerViews, batch_size: int = 32,
                 index: MapIndex | None = None) -> None:
        self.model, self.views, self.batch_size, self.index = model, views, batch_size, index
        self.encoded = 0
        self._memory: OrderedDict[int, torch.Tensor] = OrderedDict()

    def get(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return the vectors (N, D) of the views that N sequences lead to, on the model's device.

        Raises:
            TileError: If the map cannot give one of the views.
        """
        return self.at(np.array([view_number(self.views.grid, s) for s in sequences], np.int64))

    def at(self, numbers: Ints) -> torch.Tensor:
        """Return the vectors (N, D) of the views with N numbers, on the model's device.

        Raises:
            TileError: If the map cannot give one of the views.
        """
        if self.index is None:
            return self._from_memory(numbers)
        distinct, inverse = np.unique(numbers, return_inverse=True)
        there = self.index.known(distinct)
        vectors = np.empty((len(distinct), self.index.head.width), np.float32)
        vectors[there] = self.index.read(distinct[there])
        if not there.all():
            new = distinct[~there]
            vectors[~there] = (self._encode_all(new) if self.index.writable else self._from_memory(new)).cpu().numpy()
        return torch.from_numpy(vectors[inverse]).to(self.model.device)

    def draw(self, numbers: Ints) -> DrawnViews:
        """Draw the views with N numbers.

        Raises:
            TileError: If the map cannot give one of the views.
        """
        pixels = torch.from_numpy(self.views.batch(numbers)).permute(0, 3, 1, 2)
        return DrawnViews(numbers, pixels, self.views.no_data_at(numbers))

    @torch.inference_mode()
    def encode(self, drawn: DrawnViews, *, must_keep: bool = False) -> torch.Tensor:
        """Return the vectors (N, D) of drawn views, on the model's device, and keep them in the index if it can be written.

        Args:
            drawn: The views.
            must_keep: Whether a failure to keep them is an error instead of a warning.

        Raises:
            ModelError: If a view cannot be encoded, or its vector is not finite.
            DiskError: If the index must keep them and the disk is full or broken.
        """
        device = self.model.device
        vectors = encoded(self.model, self.model.encode_views, drawn.pixels).float()
        self.encoded += len(drawn.numbers)
        if self.index is None:
            return vectors
        # Rounded as the index will return them, so that a lazy index gives the same answers the first and the second time.
        return torch.from_numpy(self.index.keep(drawn.numbers, vectors.cpu().numpy(), drawn.no_data,
                                                must=must_keep)).to(device)

    def check_root(self) -> None:
        """Refuse a map without any data in the grid's region; see `GridViews.check_root`.

        Raises:
            TileError: If so, or if the view of the whole region cannot be drawn.
        """
        root = np.zeros(1, np.int64)
        if self.index is None or not self.index.known(root).all() or self.index.no_data(root)[0] >= 1.0:
            self.views.check_root()

    def no_data(self, sequence: Sequence[int]) -> tuple[float, ...]:
        """Return the shares without data of the views along a path, the root first, without the terminal cell."""
        numbers = view_numbers(self.views.grid, [sequence])[0]
        if self.index is not None and self.index.known(numbers).all():
            return tuple(self.index.no_data(numbers).tolist())
        return tuple(self.views.no_data_at(numbers).tolist())

    def _encode_all(self, numbers: Ints) -> torch.Tensor:
        return torch.cat([self.encode(self.draw(numbers[start:start + self.batch_size]))
                          for start in range(0, len(numbers), self.batch_size)])

    def _from_memory(self, numbers: Ints) -> torch.Tensor:
        keys = numbers.tolist()
        new = [key for key in dict.fromkeys(keys) if key not in self._memory]
        if new:
            self._memory.update(zip(new, self._encode_all(np.array(new)), strict=True))
        found = torch.stack([self._memory[key] for key in keys])
        for key in keys:
            self._memory.move_to_end(key)
        room = max(1, MEMORY_BYTES // (4 * found.shape[1]))
        while len(self._memory) > room:
            self._memory.popitem(last=False)
        return found

    def __len__(self) -> int:
        return len(self._memory) if self.index is None else self.index.count()
