"""Training of a zoomer: teacher-forced loss, autoregressive validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch.nn import functional

from justzoomin.data import Batch, normalize
from justzoomin.maps import GridViews
from justzoomin.models import MapModel
from justzoomin.search import ViewVectors, along_path, greedy
from justzoomin.training.config import TrainConfig
from justzoomin.training.prefix_cache import PrefixCache
from justzoomin.training.task import Found, Task, TaskSetup


class ZoomTask(Task):
    """A zoomer in training.

    Args:
        model: The model.
        config: The run's settings.
        views: The views of each map's grid at the model's pixel size.
        total_steps: Optimizer steps of the complete run.
        prefix: Cache for outputs of the encoder's frozen part for views that are not augmented; None to keep none.
        fused: Whether the optimizer's step is one kernel.
    """

    shows_paths: ClassVar[bool] = True
    keeps_prefix: ClassVar[bool] = True

    def __init__(self, model: MapModel, config: TrainConfig, views: Sequence[GridViews], total_steps: int,
                 prefix: PrefixCache | None = None, fused: bool = True) -> None:
        super().__init__(model, config, views, total_steps, fused)
        self.prefix, self._stride = prefix, views[0].count
        self._vectors: dict[int, ViewVectors] = {}

    @classmethod
    def of(cls, setup: TaskSetup) -> Self:
        """Return the task of a run."""
        return cls(setup.model, setup.config, setup.cells, setup.total_steps, setup.prefix, setup.fused)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Add the pixels of the views to a training batch if the loader sent only their numbers."""
        if self.trainer.training and not len(batch["views"]):
            batch["views"] = self.pixels(batch["view_ids"], batch["wide"].device)
        return batch

    def losses(self, photos: torch.Tensor, batch: Batch, seed: int) -> torch.Tensor:
        """Return the cross-entropy (B,) of the true actions, averaged over the steps of a photo."""
        views = self._view_vectors(batch, seed)  # (V, D)
        logits = self.model.decode(photos, views[batch["view_index"]], batch["sequence"])  # (B, T, A)
        return functional.cross_entropy(logits.transpose(1, 2), batch["sequence"], reduction="none",
                                        label_smoothing=self.config.label_smoothing).mean(1)

    def _view_vectors(self, batch: Batch, seed: int) -> torch.Tensor:
        """Return the vectors (V, D) of a batch's distinct views, augmented; views that are not augmented may use the cache."""
        settings, encoder, keep = self.model.config, self.model.torch_encoder, batch["view_ids"].cpu() % self._stride == 0
        if self.prefix is None:
            views = self.augment.views(batch["views"], seed, keep=keep)
            return self.model.encode_views(normalize(views, settings.mean, settings.std))
        if not (self.config.augment.enabled and self.config.augment.views):
            keep = torch.ones_like(keep)
        tokens = self.prefix.tokens(batch["view_ids"][keep].tolist(), batch["views"][keep])
        if not bool(keep.all()):
            views = self.augment.views(batch["views"], seed, keep=keep)[~keep]
            changed = encoder.prefix(normalize(views, settings.mean, settings.std)).float()
            place = torch.cat([keep.nonzero(), (~keep).nonzero()]).squeeze(1).argsort()
            tokens = torch.cat([tokens, changed])[place.to(tokens.device)]
        height, width = batch["views"].shape[-2:]
        return encoder.suffix(tokens, (height, width))

    def on_validation_epoch_start(self) -> None:
        """Forget the encoded views, because the weights have changed."""
        super().on_validation_epoch_start()
        self._vectors = {}

    def find(self, number: int, photos: torch.Tensor, truth: torch.Tensor) -> Found:
        """Decode greedily along the model's own views, and score the true path by teacher forcing."""
        views = self.views[number]
        vectors = self._vectors.setdefault(number, ViewVectors(self.model, views))
        found = greedy(self.model, photos, vectors, views.grid.depth)
        chances = along_path(self.model, photos, vectors, truth)
        return Found(found.sequences, -chances.gather(-1, truth.unsqueeze(-1)).squeeze(-1).mean(1))

    def on_validation_epoch_end(self) -> None:
        """Log the figures and release the views."""
        super().on_validation_epoch_end()
        self._vectors = {}
