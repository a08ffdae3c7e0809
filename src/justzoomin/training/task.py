"""The training task: teacher-forced loss, the published schedule, autoregressive validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.nn import functional

from justzoomin.data import Augment, Batch, halves, normalize
from justzoomin.geometry import haversine_m, view_count
from justzoomin.maps import GridViews
from justzoomin.models import ZoomModel
from justzoomin.search import ViewVectors, along_path, greedy
from justzoomin.training.config import TrainConfig
from justzoomin.training.prefix_cache import PrefixCache
from justzoomin.training.viewpixels import ViewPixels


def rate_at(step: int, total: int, warmup: float, final: float) -> float:
    """Share of the peak learning rate at a step: linear rise over `warmup` of all steps, then a cosine to `final`."""
    rising = max(1, round(warmup * total))
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, total - rising))
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress))


def mix_seed(*numbers: int) -> int:
    """One seed from several numbers, well mixed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class ZoomTask(lightning.LightningModule):
    """A model in training.

    Args:
        model: The model.
        config: The run's settings.
        views: The views of each map's grid at the model's pixel size.
        total_steps: Optimizer steps of the whole run.
        prefix: Kept outputs of the encoder's frozen part for views that are not augmented; None for none.
        fused: Whether the optimizer's step is one kernel.
    """

    def __init__(self, model: ZoomModel, config: TrainConfig, views: Sequence[GridViews], total_steps: int,
                 prefix: PrefixCache | None = None, fused: bool = True) -> None:
        super().__init__()
        self.model = model
        self.config, self.views, self.total_steps = config, views, total_steps
        self.prefix, self.fused = prefix, fused
        self.augment = Augment(config.augment)
        self._pixels, self._stride = ViewPixels(*views), view_count(views[0].grid)
        self._vectors: dict[int, ViewVectors] = {}
        self._found: list[tuple[torch.Tensor, ...]] = []

    def on_train_epoch_start(self) -> None:
        """Bring the model into training mode; frozen parts of the encoder stay in evaluation mode."""
        self.model.train()

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Give a training batch the pixels of its views where the loader sent their numbers alone."""
        if self.trainer.training and not len(batch["views"]):
            batch["views"] = self._pixels(batch["view_ids"], batch["wide"].device)
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Cross-entropy over all steps of all photos, each with its weight (see `ResumableBatchSampler`).

        All randomness of a step, augmentation and dropout alike, comes from a seed made of run, epoch, batch and
        process: a resumed run draws what the uninterrupted one would have drawn.
        """
        seed = mix_seed(self.config.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(seed)
        settings = self.model.config
        photos = self.augment.photos(batch["wide"], seed)
        photo = self.model.encode_photos(normalize(photos, settings.mean, settings.std))  # (B, D)
        views = self._view_vectors(batch, seed + 1)  # (V, D)
        logits = self.model.decode(photo, views[batch["view_index"]], batch["sequence"])  # (B, T, A)
        losses = functional.cross_entropy(logits.transpose(1, 2), batch["sequence"], reduction="none",
                                          label_smoothing=self.config.label_smoothing).mean(1)  # (B,)
        real = batch["weight"] > 0
        self.log("loss", (losses.detach() * real).sum() / real.sum().clamp(min=1), on_step=True, on_epoch=False)
        return (losses * batch["weight"]).mean()

    def _view_vectors(self, batch: Batch, seed: int) -> torch.Tensor:
        """Vectors (V, D) of a batch's distinct views, augmented; the frozen part of what is not augmented may be kept."""
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

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch, but for the views' numbers: they are looked up, and asking a GPU for them would be waiting for it."""
        numbers = batch["view_ids"]
        moved: Batch = super().transfer_batch_to_device(batch, device, dataloader_idx)
        moved["view_ids"] = numbers
        return moved

    def on_validation_epoch_start(self) -> None:
        """Start with no view encoded: the weights have changed."""
        self._vectors, self._found = {}, []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Decode greedily along the model's own views, and score the true path by teacher forcing."""
        settings = self.model.config
        photos = self.model.encode_photos(normalize(halves(batch["wide"]), settings.mean, settings.std))
        maps, truth = batch["map"].cpu(), batch["sequence"].cpu()
        for number in sorted(set(maps.tolist())):  # nearly always one
            own = maps == number
            views = self.views[number]
            vectors = self._vectors.setdefault(number, ViewVectors(self.model, views))
            mine, path = photos[own.to(photos.device)], truth[own]
            found = greedy(self.model, mine, vectors, views.grid.depth)
            chances = along_path(self.model, mine, vectors, path)
            loss = -chances.gather(-1, path.unsqueeze(-1)).squeeze(-1).mean(1)
            lat, lon = views.grid.centres(found.sequences.numpy())
            position = batch["position"].cpu()[own].numpy()
            errors = torch.from_numpy(haversine_m(lat, lon, position[:, 0], position[:, 1]))
            self._found.append((batch["index"].cpu()[own], errors, loss, (found.sequences == path).all(1)))

    def on_validation_epoch_end(self) -> None:
        """Gather all processes' photos and log recalls and errors."""
        found = [torch.cat(part) for part in zip(*self._found, strict=True)]
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, found)
            found = [torch.cat(part) for part in zip(*gathered, strict=True)]
        # With fewer photos than processes one stands in several processes: count it once.
        once = torch.from_numpy(np.unique(found[0].numpy(), return_index=True)[1])
        _, distances, loss, right = (part[once] for part in found)
        errors = distances.numpy()
        radii = sorted({self.config.select_radius_m, 40.0, 50.0, 100.0})
        figures = {f"val_recall_{r:g}m": 100.0 * float(np.mean(errors <= r)) for r in radii}
        figures["val_recall_1"] = 100.0 * float(right.float().mean())
        figures["val_median_m"] = float(np.median(errors))
        figures["val_nll"] = float(loss.mean())
        self.log_dict(figures, rank_zero_only=True)
        self._vectors, self._found = {}, []

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW over the parameters that train, with the schedule stepped per optimizer step."""
        trained = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self.config.learning_rate, weight_decay=self.config.weight_decay,
                                      fused=self.fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_at(step, self.total_steps, self.config.warmup, self.config.final_rate))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
