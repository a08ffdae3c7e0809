"""What `growth` compares, over simulated tiles: vectors of views and cells that follow from their numbers alone.

A cell's vector is the sum of a random vector for itself and one for each cell above it, brought to unit length: so neighbours
are alike, as pictures of neighbouring ground are, and an inverted file has clusters to find. All vectors are 128 wide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.apps.demo import packaged_model
from justzoomin.geometry import Region, ZoomGrid, zoom_layers
from justzoomin.maps import GridViews, Map, MapContent
from justzoomin.models import DecoderConfig, EncoderConfig, ModelConfig, VisionEncoder, ZoomModel, open_model
from justzoomin.posterior import MAX_TERMINAL_CELLS
from justzoomin.search import DrawnViews, IndexHead, MapIndex, ViewVectors, greedy
from justzoomin.search.budget import Budget
from justzoomin.search.map_features import MapFeatures, Piece, piece_dtype
from justzoomin.search.place_lattice import PlaceLattice
from justzoomin.search.tree_search import TreeSearch

WIDTH = 128
TERMINAL_M = 39.0625
BLOCK_LEVELS = 5
"""Levels that are made in one piece: at most 16 ** 5 cells, 512 MiB."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def region_grid(depth: int) -> ZoomGrid:
    """Return a grid of 4 x 4 cells whose terminal cells are 39.0625 m: 2.5 km at depth 3, 10 km at 4, 40 km at 5, 160 km at 6.

    It lies at the equator: elsewhere charts of neighbouring cells disagree too much for cells so small in a region so large.
    """
    half = TERMINAL_M * 4**depth / 2
    return ZoomGrid(Region(0.0, 20.0, (-half, half), (-half, half)), 4, depth)


def zoom_model() -> ZoomModel:
    """Return a fresh model with the published decoder (6 blocks of width 768) and vectors of 128; its encoder is fake."""
    stand_in = {"model_type": "convnext", "hidden_sizes": [8, WIDTH], "depths": [1, 1], "num_stages": 2, "patch_size": 4}
    return ZoomModel(ModelConfig(encoder=EncoderConfig(architecture=stand_in, pooling="pooler"), image_pixels=32,
                                 decoder=DecoderConfig(width=768, blocks=6, heads=8)), pretrained=False).eval()


def photo_encoder() -> VisionEncoder:
    """Return a fresh encoder of the shape of DINOv2-small."""
    architecture = {"model_type": "dinov2", "hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12,
                    "patch_size": 14, "image_size": 518}
    return VisionEncoder(EncoderConfig(architecture=architecture), pretrained=False).eval()


def photo_vectors(count: int, seed: int = 1) -> torch.Tensor:
    """Vectors (count, 128) of photos that were never taken."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32))


def cell_blocks(depth: int, seed: int = 2) -> Iterator[Floats]:
    """Return unit vectors of all terminal cells, in their order, in blocks (N, 128) of at most 16 ** 5 cells."""
    above = max(0, depth - BLOCK_LEVELS)
    heads = _grow(np.zeros((1, WIDTH), np.float32), above, np.random.default_rng((seed, depth)))
    for number, head in enumerate(heads):
        block = _grow(head[None], depth - above, np.random.default_rng((seed, depth, number)))
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        yield block


def _grow(cells: Floats, levels: int, rng: np.random.Generator) -> Floats:
    for _ in range(levels):
        cells = np.repeat(cells, 16, 0)
        cells += rng.standard_normal(cells.shape, np.float32)
    return cells


def visited(depth: int, photos: int, seed: int = 4) -> int:
    """Distinct views that the paths of photos lead through whose places are spread evenly: what a lazy index then holds."""
    cells = np.random.default_rng(seed).integers(0, 16**depth, photos)
    return sum(len(np.unique(cells // 16**level)) for level in range(1, depth + 1))


class SimulatedVectors(ViewVectors):
    """`ViewVectors` whose views cost nothing to draw and encode: vectors that follow from numbers. All else is as it is."""

    def draw(self, numbers: Ints) -> DrawnViews:
        """Return the numbers, and no pictures."""
        return DrawnViews(numbers, torch.empty(len(numbers), 0), np.zeros(len(numbers), np.float32))

    def encode(self, drawn: DrawnViews) -> torch.Tensor:
        """Vectors (N, 128), kept in the index.

        They are short, so that fresh weights follow the photo and paths spread over the region.
        """
        vectors = 0.1 * np.stack([np.random.default_rng(number).standard_normal(WIDTH) for number in drawn.numbers.tolist()])
        assert self.index is not None
        self.encoded += len(drawn.numbers)
        return torch.from_numpy(self.index.keep(drawn.numbers, vectors.astype(np.float32), drawn.no_data))


def simulated_pieces(lattice: PlaceLattice, channels: int, headings: int, count: int = 8) -> Callable[[int], Piece]:
    """Return a source of described pieces of map: random numbers of the right form. A few pieces repeat."""
    rng, pieces = np.random.default_rng(0), []
    for _ in range(count):
        piece = np.zeros((), piece_dtype(lattice, channels, headings))
        for name in piece.dtype.names or ():
            piece[name] = rng.integers(-60, 20, piece[name].shape)
        pieces.append(piece)
    return lambda number: pieces[number * 7 % count]


class Matching:
    """The search of the packaged model's matcher over a region whose description is simulated.

    Args:
        grid: The region.
        count: Photos of a batch.
        device: Where it computes.
    """

    def __init__(self, grid: ZoomGrid, count: int, device: str = "cpu") -> None:
        model = open_model(packaged_model(), device=device)
        assert model.matcher is not None
        config, self.places = model.matcher.config, PlaceLattice.of(grid, model.matcher)
        pieces = simulated_pieces(self.places, config.channels, config.headings)
        features = MapFeatures(self.places, config.channels, config.headings, pieces)
        self.tree = TreeSearch(model.matcher, features, model.device)
        drawn = torch.randn(count, model.matcher.size, generator=torch.Generator().manual_seed(0))
        self._fans = torch.nn.functional.normalize(drawn, dim=1).to(model.device)
        self._dense = grid.actions**grid.depth <= MAX_TERMINAL_CELLS

    @property
    def disk_bytes(self) -> int:
        """Size of the described region."""
        features = self.tree.features
        return self.places.windows**2 * piece_dtype(self.places, features.channels, features.headings).itemsize

    @torch.inference_mode()
    def search(self, count: int, budget: Budget | None = None) -> list[torch.Tensor]:
        """Search for some photos, one after the other; their log-masses of all cells where a posterior allows so many."""
        masses = []
        for fan in self._fans[:count]:
            found = self.tree.search(fan, budget or Budget(unseen=0.0))
            if self._dense:
                masses.append(found.cells().logsumexp(0).flatten())
        return masses


class Zooming:
    """Greedy zooming over a region whose index is empty at first.

    Args:
        model: From `zoom_model`.
        depth: Depth of the region.
        folder: Where the index goes.
        count: Photos.
    """

    def __init__(self, model: ZoomModel, depth: int, folder: Path, count: int) -> None:
        grid = region_grid(depth)
        nothing = MapContent("0" * 64, "0" * 64, (0,))
        head = IndexHead("0" * 64, nothing, zoom_layers(grid), model.config.image_pixels, WIDTH, "fp32")
        self._file = folder / "views.bin"
        folder.mkdir()
        with self._file.open("wb") as file:
            file.truncate(head.views * head.record.itemsize)
        self.views, self.index_bytes = head.views, head.views * head.record.itemsize
        # The views are simulated, so there is no map to draw them from: only the grid is asked for.
        views = GridViews(cast(Map, None), grid, 32)
        self._vectors = SimulatedVectors(model, views, index=MapIndex(folder, head, writable=True))
        self._model, self._depth, self._photos = model, depth, photo_vectors(count)

    def batch(self) -> torch.Tensor:
        """All photos at once; their paths (N, depth)."""
        return greedy(self._model, self._photos, self._vectors, self._depth).sequences

    def singles(self, count: int) -> None:
        """Photos one after the other."""
        for number in range(count):
            greedy(self._model, self._photos[number:number + 1], self._vectors, self._depth)

    @property
    def encoded(self) -> int:
        """Views encoded so far."""
        return self._vectors.encoded

    @property
    def disk_bytes(self) -> int:
        """Room that the index takes on the disk at this moment."""
        assert self._vectors.index is not None
        self._vectors.index.flush()
        return 512 * self._file.stat().st_blocks
