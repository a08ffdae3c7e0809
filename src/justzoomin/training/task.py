"""The common part of every family's training: the step, the schedule, the figures of a validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler

from justzoomin.data import Augment, Batch, halves, normalize
from justzoomin.geometry import ZoomGrid, haversine_m
from justzoomin.maps import GridViews, LayerViews
from justzoomin.models import MapModel
from justzoomin.search import CellScores, ViewVectors, views_of
from justzoomin.training.config import TrainConfig
from justzoomin.training.maps import TrainingMaps
from justzoomin.training.mining import Miner
from justzoomin.training.prefix_cache import PrefixCache
from justzoomin.training.state import check_weights
from justzoomin.training.viewpixels import ViewPixels

ENCODED_AT_ONCE = 256
"""Number of views or photos that are encoded at once outside of training steps."""


def rate_at(step: int, total: int, warmup: float, final: float) -> float:
    """Return the share of the peak learning rate at a step: a linear rise over `warmup` of all steps, a cosine to `final`."""
    rising = max(1, round(warmup * total))
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, total - rising))
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress))


def mix_seed(*numbers: int) -> int:
    """Return one seed that is mixed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Found(NamedTuple):
    """A model's answers for the photos of a validation.

    Attributes:
        sequences: Best terminal cell (B, T) of each photo.
        loss: Minus the log-probability (B,) of the true cell; for a zoomer, averaged over the steps.
    """

    sequences: torch.Tensor
    loss: torch.Tensor


def best_cells(scores: torch.Tensor, grid: ZoomGrid, truth: torch.Tensor) -> Found:
    """Return the best cells, and minus the log-probabilities of the true cells, from scores (B, N) of all terminal cells."""
    sequences = torch.from_numpy(grid.unflatten(scores.argmax(1).numpy(), grid.depth))
    true = torch.from_numpy(grid.flatten(truth.numpy()))
    return Found(sequences, -scores.log_softmax(1).gather(1, true.unsqueeze(1)).squeeze(1))


@dataclass(frozen=True)
class TaskSetup:
    """The parts of a run that a task is made from.

    Attributes:
        model: The model.
        config: The run's settings.
        maps: The maps of the run.
        cells: The views of the cells of each map's grid, at the model's pixel size.
        total_steps: Optimizer steps of the complete run.
        miner: The training photos and their sampler.
        prefix: Cache for outputs of the encoder's frozen part; None to keep none.
        fused: Whether the optimizer's step is one kernel.
    """

    model: MapModel
    config: TrainConfig
    maps: TrainingMaps
    cells: Sequence[GridViews]
    total_steps: int
    miner: Miner
    prefix: PrefixCache | None = None
    fused: bool = True

    @property
    def views(self) -> list[GridViews | LayerViews]:
        """The views of each map that the model uses."""
        found = [views_of(self.model, each.source, each.grid) for each in self.cells]
        return [own if isinstance(view, GridViews) else view for own, view in zip(self.cells, found, strict=True)]


class Task(lightning.LightningModule):
    """A model in training. A family defines the loss, and how to find photos if the model does not score all cells.

    Args:
        model: The model.
        config: The run's settings.
        views: The views of each map at the model's pixel size.
        total_steps: Optimizer steps of the complete run.
        fused: Whether the optimizer's step is one kernel.

    Attributes:
        shows_paths: Whether a training batch holds the views along its photos' paths.
        keeps_prefix: Whether the task can keep outputs of the encoder's frozen part.
        leaves_unused: Whether a step may leave some parameters without a gradient.
    """

    shows_paths: ClassVar[bool] = False
    keeps_prefix: ClassVar[bool] = False
    leaves_unused: ClassVar[bool] = False
    model: MapModel
    STAY_ON_CPU: ClassVar[tuple[str, ...]] = ("view_ids", "map")
    """Parts of a batch that are used as indices on the CPU: reading them from a GPU would wait for it."""

    def __init__(self, model: MapModel, config: TrainConfig, views: Sequence[GridViews | LayerViews], total_steps: int,
                 fused: bool = True) -> None:
        super().__init__()
        self.model, self.config, self.total_steps, self.fused = model, config, total_steps, fused
        self.grids = [each.grid for each in views]
        self.augment = Augment(config.augment)
        self.pixels = ViewPixels(*views)
        self.views = views
        self._found: list[tuple[torch.Tensor, ...]] = []
        self._scores: dict[int, CellScores] = {}

    @classmethod
    def of(cls, setup: TaskSetup) -> Self:
        """Return the task of a run; a family that needs more parts of the run overrides this."""
        return cls(setup.model, setup.config, setup.views, setup.total_steps, setup.fused)

    @classmethod
    def needs_paths(cls, config: TrainConfig) -> bool:
        """Return whether a training batch must hold the views along its photos' paths."""
        return cls.shows_paths

    def losses(self, photos: torch.Tensor, batch: Batch, seed: int) -> torch.Tensor:
        """Return the loss (B,) of each photo of a batch.

        Args:
            photos: Vectors (B, D) of the augmented photos.
            batch: The batch.
            seed: Seed of all further draws.
        """
        raise NotImplementedError

    def encode_photos(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the vectors (B, D) of normalized photo halves (B, 2, 3, H, W) that `losses` needs."""
        return self.model.encode_photos(photos)

    def prepare(self, batch: Batch, seed: int) -> Batch:
        """Change a batch before its photos are augmented and encoded; a family may override this."""
        return batch

    def find(self, number: int, photos: torch.Tensor, truth: torch.Tensor) -> Found:
        """Find photos (B, D) of one map with true sequences (B, T), on the CPU: the best of all terminal cells."""
        if number not in self._scores:  # photos come map by map, so one map is kept at a time
            vectors = ViewVectors(self.model, self.views[number], ENCODED_AT_ONCE)
            self._scores = {number: CellScores(self.model, vectors)}
        return best_cells(self._scores[number].scores(photos), self.grids[number], truth)

    def encode_views(self, numbers: torch.Tensor, seed: int | None) -> torch.Tensor:
        """Return the vectors (V, D) of views (V,) of all maps.

        Args:
            numbers: m * (number of views of one map) + number of the view, for map m.
            seed: Seed of their augmentation; None to leave them unchanged.
        """
        settings, views = self.model.config, self.pixels(numbers, self.device)
        if seed is not None:
            pictures = self.augment.views(views, seed, keep=torch.zeros(len(numbers), dtype=torch.bool))
            return self.model.encode_views(normalize(pictures, settings.mean, settings.std))
        return self.model.encode_views(normalize(views, settings.mean, settings.std))

    def on_train_epoch_start(self) -> None:
        """Set the model to training mode; frozen parts of the encoder stay in evaluation mode."""
        self.model.train()

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the loss of all photos, each with its weight (see `ResumableBatchSampler`).

        All random draws of a step, augmentation and dropout alike, come from a seed made of run, epoch, batch and process. So a
        resumed run draws the same numbers as an uninterrupted one.
        """
        seed = mix_seed(self.config.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(seed)
        settings = self.model.config
        batch = self.prepare(batch, seed)
        photos = self.augment.photos(batch["wide"], seed)
        photo = self.encode_photos(normalize(photos, settings.mean, settings.std))  # (B, D)
        losses = self.losses(photo, batch, seed + 1)
        real = batch["weight"] > 0
        self.log("loss", (losses.detach() * real).sum() / real.sum().clamp(min=1), on_step=True, on_epoch=False)
        return (losses * batch["weight"]).mean()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch to a device, except the parts in `STAY_ON_CPU`."""
        numbers: dict[str, Any] = {key: value for key, value in batch.items() if key in self.STAY_ON_CPU}
        moved: Any = super().transfer_batch_to_device(batch, device, dataloader_idx)
        moved.update(numbers)
        result: Batch = moved
        return result

    def on_validation_epoch_start(self) -> None:
        """Forget the answers and described maps of earlier weights."""
        self._found, self._scores = [], {}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Find the photos, each on its own map."""
        settings = self.model.config
        photos = self.model.encode_photos(normalize(halves(batch["wide"]), settings.mean, settings.std))
        maps, truth = batch["map"].cpu(), batch["sequence"].cpu()
        for number in sorted(set(maps.tolist())):  # nearly always one
            own = maps == number
            found = self.find(number, photos[own.to(photos.device)], truth[own])
            lat, lon = self.grids[number].centres(found.sequences.numpy())
            position = batch["position"].cpu()[own].numpy()
            errors = torch.from_numpy(haversine_m(lat, lon, position[:, 0], position[:, 1]))
            self._found.append((batch["index"].cpu()[own], errors, found.loss, (found.sequences == truth[own]).all(1)))

    def on_validation_epoch_end(self) -> None:
        """Gather all processes' photos and log recalls and errors."""
        found = [torch.cat(part) for part in zip(*self._found, strict=True)]
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, found)
            found = [torch.cat(part) for part in zip(*gathered, strict=True)]
        # With fewer photos than processes, several processes hold the same photo: count it once.
        once = torch.from_numpy(np.unique(found[0].numpy(), return_index=True)[1])
        _, distances, loss, right = (part[once] for part in found)
        errors = distances.numpy()
        radii = sorted({self.config.select_radius_m, 40.0, 50.0, 100.0})
        figures = {f"val_recall_{r:g}m": 100.0 * float(np.mean(errors <= r)) for r in radii}
        figures["val_recall_1"] = 100.0 * float(right.float().mean())
        figures["val_median_m"] = float(np.median(errors))
        figures["val_nll"] = float(loss.mean())
        self.log_dict(figures, rank_zero_only=True)
        self._found, self._scores = [], {}

    def trained(self) -> list[Any]:
        """Return the trained parameters, or groups of them."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of another model.

        Raises:
            TrainingError: If so.
        """
        check_weights(checkpoint["state_dict"], self.state_dict(), "state.ckpt")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW over the trained parameters, with a schedule that advances with each optimizer step."""
        optimizer = torch.optim.AdamW(self.trained(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay,
                                      fused=self.fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_at(step, self.total_steps, self.config.warmup, self.config.final_rate))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, gradient_clip_val: float | None = None,
                                    gradient_clip_algorithm: str | None = None) -> None:
        """Clip the gradient's norm, in every precision.

        Lightning's own clipping refuses a fused step under mixed precision, as if that step still had to unscale the
        gradients. In bf16 nothing is scaled, and in fp16 Lightning has already unscaled them.
        """
        if gradient_clip_val:
            torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], gradient_clip_val)
