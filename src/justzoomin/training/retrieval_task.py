"""Training of the families that compare vectors: photos of a batch against cells, grouped by nearness in the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from justzoomin.data import Batch, collate, halves, normalize
from justzoomin.maps import GridViews, LayerViews
from justzoomin.models import DualEncoder, HierarchicalRetriever
from justzoomin.posterior import lattice
from justzoomin.training.config import TrainConfig
from justzoomin.training.contrast import References, choose_references
from justzoomin.training.mining import Miner, neighbours
from justzoomin.training.task import ENCODED_AT_ONCE, Task, TaskSetup

Ints = npt.NDArray[np.int64]


class RetrievalTask(Task):
    """A retriever in training. A family defines the compared vectors of terminal cells, and the loss of a batch.

    Args:
        model: The model.
        config: The run's settings.
        views: The views of each map's layers.
        total_steps: Optimizer steps of the complete run.
        fused: Whether the optimizer's step is one kernel.
        miner: The training photos and their sampler, which receives each photo's neighbours in the embedding.
    """

    model: DualEncoder | HierarchicalRetriever
    STAY_ON_CPU: ClassVar[tuple[str, ...]] = ("view_ids", "map", "sequence")

    def __init__(self, model: DualEncoder | HierarchicalRetriever, config: TrainConfig, views: Sequence[GridViews | LayerViews],
                 total_steps: int, miner: Miner, fused: bool = True) -> None:
        super().__init__(model, config, views, total_steps, fused)
        self.miner = miner
        self._layers = model.layers(self.grids[0])

    @classmethod
    def of(cls, setup: TaskSetup) -> Self:
        """Return the task of a run."""
        model: Any = setup.model
        return cls(model, setup.config, setup.views, setup.total_steps, setup.miner, setup.fused)

    def compare(self, photos: torch.Tensor, chosen: References, maps: Ints, real: torch.Tensor, seed: int) -> torch.Tensor:
        """Return the loss (B,) of photos among the cells that they are compared with.

        Args:
            photos: Compared vectors (B, P).
            chosen: The cells.
            maps: Number (B,) of each photo's map.
            real: Photos (B,) that count as negatives.
            seed: Seed of all further draws.
        """
        raise NotImplementedError

    def embed_cells(self, maps: Ints, cells: Ints, seed: int | None) -> torch.Tensor:
        """Return the compared vectors (R, P) of terminal cells (R,) of maps (R,); with a seed, views are augmented."""
        raise NotImplementedError

    def trained(self) -> list[Any]:
        """Return all parameters in groups: temperatures and weights of levels have no weight decay."""
        named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        scalars = [p for name, p in named if name in {"log_scale", "path_weights"}]
        return [{"params": [p for name, p in named if name not in {"log_scale", "path_weights"}]},
                {"params": scalars, "weight_decay": 0.0}]

    def losses(self, photos: torch.Tensor, batch: Batch, seed: int) -> torch.Tensor:
        """Return the loss (B,) of each photo among the cells of its batch and additional negatives."""
        grid, maps = self.grids[0], batch["map"].numpy()
        cells = grid.flatten(batch["sequence"].numpy())
        chosen = choose_references(maps, cells, lattice(grid), round(self.config.negatives * len(maps)), seed)
        return self.compare(self.model.embed_photos(photos).float(), chosen, maps, batch["weight"] > 0, seed)

    def on_train_epoch_start(self) -> None:
        """Find neighbours again if this epoch is due."""
        super().on_train_epoch_start()
        if self.miner.due(self.current_epoch, self.config.mine_from, self.config.mine_every):
            self.miner.sampler.neighbours = self.trainer.strategy.broadcast(self._mine())

    @torch.no_grad()
    def _mine(self) -> Ints:
        """Return the neighbours (N, K) of all photos with the current weights."""
        self.model.eval()
        photos, settings, grid = self.miner.photos, self.model.config, self.grids[0]
        loader: DataLoader[Any] = DataLoader(photos, batch_size=ENCODED_AT_ONCE, collate_fn=collate)
        vectors = torch.cat([self.model.embed_photos(self.model.encode_photos(
            normalize(halves(batch["wide"].to(self.device)), settings.mean, settings.std))) for batch in loader])
        count = grid.actions**grid.depth
        keys, cell_of = np.unique(photos.map_numbers * count + grid.flatten(photos.sequences), return_inverse=True)
        cells = torch.cat([self.embed_cells(part // count, part % count, None)
                           for part in np.array_split(keys, -(-len(keys) // ENCODED_AT_ONCE))])
        self.model.train()
        return neighbours(vectors.float(), cells.float(), cell_of.reshape(-1), photos.map_numbers,
                          self.config.mine_neighbours)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the neighbours, which were found with earlier weights and cannot be found again."""
        if self.miner.sampler.neighbours is not None:
            checkpoint["neighbours"] = torch.from_numpy(self.miner.sampler.neighbours)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the neighbours."""
        found = checkpoint.get("neighbours")
        self.miner.sampler.neighbours = None if found is None else found.numpy()
