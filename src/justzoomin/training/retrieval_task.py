"""Training of the families that compare vectors: batches of photos against cells, symmetric InfoNCE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from justzoomin.data import Batch, collate, halves, normalize
from justzoomin.maps import LayerViews
from justzoomin.models import DualEncoder, HierarchicalRetriever
from justzoomin.posterior import lattice
from justzoomin.search import CellScores, ViewVectors
from justzoomin.training.config import TrainConfig
from justzoomin.training.contrast import References, choose_references, info_nce
from justzoomin.training.mining import Miner, neighbours
from justzoomin.training.task import Found, Task, best_cells

Ints = npt.NDArray[np.int64]
_ENCODED_AT_ONCE = 256


class RetrievalTask(Task):
    """A retriever in training.

    Args:
        model: The model.
        config: The run's settings.
        views: The views of each map's layers.
        total_steps: Optimizer steps of the whole run.
        fused: Whether the optimizer's step is one kernel.
        miner: Whose sampler is told which photos are near to each other in the embedding.
    """

    model: DualEncoder | HierarchicalRetriever
    STAY_ON_CPU: ClassVar[tuple[str, ...]] = ("view_ids", "map", "sequence")

    def __init__(self, model: DualEncoder | HierarchicalRetriever, config: TrainConfig, views: Sequence[LayerViews],
                 total_steps: int, miner: Miner, fused: bool = True) -> None:
        super().__init__(model, config, views, total_steps, fused)
        self.views, self.miner = views, miner
        self._layers = views[0].layers
        self._scores: dict[int, CellScores] = {}

    def trained(self) -> list[Any]:
        """All parameters; temperatures and weights of levels are not pulled towards zero."""
        named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        scalars = [p for name, p in named if name in {"log_scale", "path_weights"}]
        return [{"params": [p for name, p in named if name not in {"log_scale", "path_weights"}]},
                {"params": scalars, "weight_decay": 0.0}]

    def losses(self, photos: torch.Tensor, batch: Batch, seed: int) -> torch.Tensor:
        """Symmetric InfoNCE (B,); of a hierarchical model the mean over its levels, with the loss of the calibrator."""
        grid, maps = self.grids[0], batch["map"].numpy()
        cells = grid.flatten(batch["sequence"].numpy())
        chosen = choose_references(maps, cells, lattice(grid), round(self.config.negatives * len(maps)), seed)
        compared, real = self.model.embed_photos(photos).float(), batch["weight"] > 0
        if isinstance(self.model, DualEncoder):
            logits = self.model.scale * compared @ self._cells(chosen.maps, chosen.cells, seed).float().T
            target = torch.from_numpy(chosen.target).to(logits.device)
            return info_nce(logits, target, torch.ones_like(logits, dtype=torch.bool), real, self.config.label_smoothing)
        return self._of_levels(compared, chosen, maps, real, seed)

    def _of_levels(self, photos: torch.Tensor, chosen: References, maps: Ints, real: torch.Tensor, seed: int) -> torch.Tensor:
        """Loss (B,) of a hierarchical model. No view is compared with a photo of another level's."""
        assert isinstance(self.model, HierarchicalRetriever)
        grid, device = self.grids[0], photos.device
        windows = []  # of each level: distinct (map, window), and which of them each reference lies in
        for level in range(1, grid.depth + 1):
            finer = min(level + 1, grid.depth)
            key = chosen.maps * grid.actions**finer + chosen.cells // grid.actions**(grid.depth - finer)
            distinct, place = np.unique(key, return_inverse=True)
            windows.append((distinct // grid.actions**finer, distinct % grid.actions**finer, place.reshape(-1)))
        numbers = np.concatenate([m * len(self._layers) + start + w
                                  for (m, w, _), start in zip(windows, self._layers.starts, strict=False)])
        vectors = self.model.embed_views(self._encode(numbers, seed)).float()
        losses, path = torch.zeros(len(photos), device=device), torch.zeros(len(photos), len(chosen.cells), device=device)
        parts = torch.split(vectors, [len(m) for m, _, _ in windows])
        for level, ((m, w, place), views) in enumerate(zip(windows, parts, strict=True), 1):
            logits = self.model.scales[level - 1] * photos @ views.T
            cell = m * grid.actions**level + w // (grid.actions if level < grid.depth else 1)
            target = place[chosen.target]
            allowed = torch.from_numpy(cell[target][:, None] != cell).to(device)  # other windows of the cell are no negatives
            losses = losses + info_nce(logits, torch.from_numpy(target).to(device), allowed, real, self.config.label_smoothing)
            path = path + self.model.weights[level - 1] * logits.detach()[:, torch.from_numpy(place).to(device)]
        elsewhere = torch.from_numpy(maps[:, None] != chosen.maps).to(device)
        ranked = torch.nn.functional.cross_entropy(path.masked_fill(elsewhere, -torch.inf),
                                                   torch.from_numpy(chosen.target).to(device), reduction="none")
        return losses / grid.depth + ranked - ranked.detach()  # the calibrator's loss trains its weights and is not shown

    def _cells(self, maps: Ints, cells: Ints, seed: int | None) -> torch.Tensor:
        """Compared vectors (R, P) of terminal cells."""
        last = len(self._layers.layers) - 1
        layers = range(last + 1) if isinstance(self.model, DualEncoder) else [last]
        numbers = np.concatenate([maps * len(self._layers) + self._layers.starts[layer] + cells for layer in layers])
        vectors = self._encode(numbers, seed)
        if isinstance(self.model, DualEncoder):
            return self.model.embed_cells(vectors.view(len(layers), len(cells), -1))
        return self.model.embed_views(vectors)

    def _encode(self, numbers: Ints, seed: int | None) -> torch.Tensor:
        """Vectors (V, D) of views of all maps, augmented where a seed is given."""
        settings = self.model.config
        views = self.pixels(torch.from_numpy(numbers), self.device)
        if seed is not None:
            pictures = self.augment.views(views, seed, keep=torch.zeros(len(numbers), dtype=torch.bool))
            return self.model.encode_views(normalize(pictures, settings.mean, settings.std))
        return self.model.encode_views(normalize(views, settings.mean, settings.std))

    def on_train_epoch_start(self) -> None:
        """Find neighbours anew where it is time."""
        super().on_train_epoch_start()
        if self.miner.due(self.current_epoch, self.config.mine_from, self.config.mine_every):
            self.miner.sampler.neighbours = self.trainer.strategy.broadcast(self._mine())

    @torch.no_grad()
    def _mine(self) -> Ints:
        """Neighbours (N, K) of all photos, from the weights as they are."""
        self.model.eval()
        photos, settings, grid = self.miner.photos, self.model.config, self.grids[0]
        loader: DataLoader[Any] = DataLoader(photos, batch_size=_ENCODED_AT_ONCE, collate_fn=collate)
        vectors = torch.cat([self.model.embed_photos(self.model.encode_photos(
            normalize(halves(batch["wide"].to(self.device)), settings.mean, settings.std))) for batch in loader])
        count = grid.actions**grid.depth
        keys, cell_of = np.unique(photos.map_numbers * count + grid.flatten(photos.sequences), return_inverse=True)
        cells = torch.cat([self._cells(part // count, part % count, None)
                           for part in np.array_split(keys, -(-len(keys) // _ENCODED_AT_ONCE))])
        self.model.train()
        return neighbours(vectors.float(), cells.float(), cell_of.reshape(-1), photos.map_numbers,
                          self.config.mine_neighbours)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the neighbours: they were found with weights that are gone by now."""
        if self.miner.sampler.neighbours is not None:
            checkpoint["neighbours"] = torch.from_numpy(self.miner.sampler.neighbours)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the neighbours back."""
        found = checkpoint.get("neighbours")
        self.miner.sampler.neighbours = None if found is None else found.numpy()

    def on_validation_epoch_start(self) -> None:
        """Start with no view encoded: the weights have changed."""
        super().on_validation_epoch_start()
        self._scores = {}

    def find(self, number: int, photos: torch.Tensor, truth: torch.Tensor) -> Found:
        """Score all terminal cells of the map."""
        if number not in self._scores:
            vectors = ViewVectors(self.model, self.views[number], _ENCODED_AT_ONCE)
            self._scores = {number: CellScores(self.model, vectors)}  # photos come map by map: one map is held at a time
        return best_cells(self._scores[number].scores(photos), self.grids[number], truth)

    def on_validation_epoch_end(self) -> None:
        """Log the figures and let the cells go."""
        super().on_validation_epoch_end()
        self._scores = {}
