"""The published recipe as a faithful loop: everything rendered, decoded and encoded anew for every photo.

Views drawn by tiledwebmaps, photos decoded in full, both halves and all views of every photo encoded, the decoder run over the
whole sequence at every step. The network is the same as ours, weight by weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyproj
import torch
from torch.nn import functional

from justzoomin.geometry import ZoomGrid
from justzoomin.models import ZoomModel

pyproj.Transformer.from_crs("epsg:4326", "epsg:26985")  # PROJ's data is loaded before tiledwebmaps changes its path
import tiledwebmaps  # noqa: E402


class PublishedLoop:
    """The published way through a photo and through a training step.

    Args:
        model: The network.
        layout: `layout.yaml` of a map with loose tiles.
        grid: The zoom grid.
    """

    def __init__(self, model: ZoomModel, layout: Path, grid: ZoomGrid) -> None:
        self.model, self.grid, self.pixels = model, grid, model.config.image_pixels
        self._map = tiledwebmaps.WithDefault(tiledwebmaps.from_yaml(str(layout)))
        self._mean = torch.tensor(model.config.mean).view(3, 1, 1)
        self._std = torch.tensor(model.config.std).view(3, 1, 1)

    def view(self, sequence: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Draw a view, uint8 (n, n, 3)."""
        cell = self.grid.cell(sequence)
        pixels = self._map.load(latlon=np.array(cell.centre), bearing=0.0, meters_per_pixel=cell.size_m / self.pixels,
                                shape=(self.pixels, self.pixels))
        return np.asarray(pixels, np.uint8)

    def photo(self, data: bytes) -> npt.NDArray[np.uint8]:
        """Decode a photo in full and bring it to 2:1, uint8 (n, 2n, 3)."""
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        return cv2.resize(np.ascontiguousarray(image), (2 * self.pixels, self.pixels), interpolation=cv2.INTER_LINEAR_EXACT)

    def tensor(self, image: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Normalize, float (3, H, W)."""
        scaled = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255.0
        return (scaled - self._mean) / self._std

    def halves(self, data: bytes) -> torch.Tensor:
        """Left and right half of a photo, float (2, 3, n, n)."""
        return torch.stack(self.tensor(self.photo(data)).chunk(2, dim=-1))

    def _encode(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors (N, D) of images (N, 3, n, n), the encoder run as transformers runs it."""
        return self.model.torch_encoder.whole(images)

    @torch.inference_mode()
    def localize(self, data: bytes) -> tuple[list[int], list[float]]:
        """Actions and their probabilities of one photo."""
        photo = self._encode(self.halves(data)).mean(0, keepdim=True)
        path: list[int] = []
        chances: list[float] = []
        views: list[torch.Tensor] = []
        for _ in range(self.grid.depth):
            views.append(self._encode(self.tensor(self.view(path))[None]))
            logits = self.model.decode(photo, torch.stack(views, 1), torch.tensor([path], dtype=torch.int64))
            probability, action = logits[0, -1].softmax(-1).max(-1)
            path.append(int(action))
            chances.append(float(probability))
        return path, chances

    def loss(self, photos: Sequence[bytes], sequences: npt.NDArray[np.int64], smoothing: float = 0.1) -> torch.Tensor:
        """Loss of a batch, images included: photos decoded, the views of every path drawn, all of them encoded."""
        pairs = torch.stack([self.halves(data) for data in photos])  # (B, 2, 3, n, n)
        count, depth = sequences.shape
        views = torch.stack([self.tensor(self.view(path[:level])) for path in sequences for level in range(depth)])
        vectors = self._encode(views).view(count, depth, -1)
        photo = self._encode(pairs.flatten(0, 1)).view(count, 2, -1).mean(1)
        actions = torch.from_numpy(sequences)
        logits = self.model.decode(photo, vectors, actions)
        return functional.cross_entropy(logits.flatten(0, 1), actions.flatten(), label_smoothing=smoothing)
