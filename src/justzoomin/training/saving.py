"""What a run writes while it goes: states to resume from, models to use, logs to read. All atomically."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.plugins.io import CheckpointIO

from justzoomin.data import ResumableBatchSampler
from justzoomin.errors import TrainingError
from justzoomin.files import atomic_file, open_to_write, write_bytes
from justzoomin.training.state import load_state
from justzoomin.training.task import Task


class AtomicCheckpoints(CheckpointIO):
    """States written to a temporary file, flushed to disk, then renamed: a killed run keeps the previous one whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a state."""
        with atomic_file(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a state; see `load_state`."""
        return load_state(Path(path), map_location or "cpu")

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a state."""
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True)
class TrainProgress:
    """Where a run stands, for whoever shows it.

    Attributes:
        epoch: Epoch under way, from 0.
        epochs: Epochs in all.
        step: Optimizer steps done.
        total_steps: Optimizer steps in all.
        loss: Training loss, averaged over the last steps.
        photos_per_s: Photos trained on per second, over this session.
        seconds_left: Estimate for the rest of the run.
        figures: The last validation's figures.
    """

    epoch: int
    epochs: int
    step: int
    total_steps: int
    loss: float
    photos_per_s: float
    seconds_left: float
    figures: dict[str, float]


class Saver(Callback):
    """Saves the state to resume from, the best and the last model, and says where the run stands.

    The state is saved before a batch begins, when every count in it agrees: so a resumed run goes on with exactly
    the batch that would have come next.

    Args:
        out: The run's folder.
        sampler: The training sampler, told where to go on after a resume.
        provenance: What is recorded beside each model.
        report: Called at every log step.
    """

    def __init__(self, out: Path, sampler: ResumableBatchSampler, provenance: dict[str, Any],
                 report: Callable[[TrainProgress], None] | None = None) -> None:
        self.out, self.sampler, self.provenance, self.report = out, sampler, provenance, report
        self.best: dict[str, float] = {}
        self._first_step, self._started = 0, 0.0
        self._loss: torch.Tensor | None = None
        self._saved_step = -1

    def state_dict(self) -> dict[str, Any]:
        """The best figures so far."""
        return {"best": dict(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best figures back."""
        self.best = dict(state_dict["best"])

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule,
                           checkpoint: dict[str, Any]) -> None:
        """Record how many batches of the epoch are done, and of which photos."""
        checkpoint["train_split_hash"] = self.provenance["train_split_hash"]
        checkpoint["batches_done"] = trainer.fit_loop.epoch_loop.batch_progress.current.completed

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule,
                           checkpoint: dict[str, Any]) -> None:
        """Let the sampler go on with the next batch.

        Raises:
            TrainingError: If the run began on other photos than these.
        """
        if checkpoint.get("train_split_hash") != self.provenance["train_split_hash"]:
            raise TrainingError(self.out, "the run began on another training split than this dataset's",
                                "Resume it with the dataset it began with, or start a new run with --set init=MODEL.")
        self.sampler.start_batch = int(checkpoint["batches_done"])
        self._saved_step = int(checkpoint["global_step"])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._first_step, self._started = trainer.global_step, time.monotonic()

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any,
                             batch_idx: int) -> None:
        """Save the state if it is time; only where no half-accumulated gradient would be lost."""
        assert isinstance(pl_module, Task)
        every, step = pl_module.config.save_every, trainer.global_step
        # Lightning moves its count of logged steps by one on resuming, for states that were saved after a batch.
        trainer.fit_loop.epoch_loop._batches_that_stepped = step
        if step and step % every == 0 and step != self._saved_step and batch_idx % pl_module.config.accumulate == 0:
            self._saved_step = step
            trainer.save_checkpoint(self.out / "state.ckpt")

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        """Tell where the run stands."""
        assert isinstance(pl_module, Task)
        step, config = trainer.global_step, pl_module.config
        loss = trainer.callback_metrics["loss"]  # the mean over this process's photos, not weighted as what is stepped by
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss  # a tensor: no wait for the device
        if self.report is None or step % config.log_every or step == self._first_step or trainer.global_rank:
            return
        steps_per_s = (step - self._first_step) / max(1e-9, time.monotonic() - self._started)
        per_step = config.batch_size * config.accumulate * trainer.world_size
        figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
        self.report(TrainProgress(trainer.current_epoch, config.epochs, step, pl_module.total_steps, float(self._loss),
                                  steps_per_s * per_step, (pl_module.total_steps - step) / max(1e-9, steps_per_s), figures))

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the model if it is the best so far."""
        assert isinstance(pl_module, Task)
        if trainer.sanity_checking or trainer.global_rank:
            return
        key = f"val_recall_{pl_module.config.select_radius_m:g}m"
        figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
        if not self.best or (figures[key], -figures["val_nll"]) > (self.best[key], -self.best["val_nll"]):
            self.best = {**figures, "epoch": float(trainer.current_epoch)}
            self.save_model("best", trainer, pl_module, figures)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep this epoch's model if asked to."""
        assert isinstance(pl_module, Task)
        every, epoch = pl_module.config.keep_every, trainer.current_epoch + 1
        if every and epoch % every == 0 and not trainer.global_rank:
            self.save_model(f"epoch-{epoch:03d}", trainer, pl_module, {})

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the last model."""
        assert isinstance(pl_module, Task)
        if not trainer.global_rank:
            figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
            self.save_model("last", trainer, pl_module, figures)

    def save_model(self, name: str, trainer: lightning.Trainer, task: Task, figures: dict[str, float]) -> Path:
        """Write `models/<name>`; returns its path."""
        extra = {**self.provenance, "epoch": trainer.current_epoch, "step": trainer.global_step, "validation": figures}
        return task.model.save_pretrained(self.out / "models" / name, task.grids[0], extra)


class CsvLog(Logger):
    """Metrics as rows `step, epoch, name, value` in one file that a resumed run carries on with.

    Rows from the step on that a run resumes at are dropped first, so that no step stands twice.
    """

    def __init__(self, path: Path, resume_step: int | None = None) -> None:
        super().__init__()
        self.path = path
        kept: list[list[str]] = []
        if resume_step is not None and path.is_file():
            whole = path.read_text(encoding="utf-8").splitlines(keepends=True)
            rows = csv.reader(line for line in whole[1:] if line.endswith("\n"))  # a kill may have cut the last line
            kept = [row for row in rows if len(row) == 4 and row[0].isdecimal() and int(row[0]) < resume_step]
        write_bytes(path, _csv_text([["step", "epoch", "name", "value"], *kept]))

    @property
    def name(self) -> str:
        """Name of this logger."""
        return "csv"

    @property
    def version(self) -> str:
        """There is one version."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Settings are saved in config.yaml instead."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append metrics."""
        epoch = int(metrics.get("epoch", 0))
        with open_to_write(self.path, "ab") as file:
            file.write(_csv_text([step, epoch, k, f"{v:.6g}"] for k, v in metrics.items() if k != "epoch"))


def _csv_text(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def write_text(path: Path, text: str) -> Path:
    """Write a text file atomically; return its path."""
    return write_bytes(path, text.encode())


def environment(compute: str) -> str:
    """Versions, machine and how the model is computed, as JSON, saved in every run."""
    import importlib.metadata
    import platform

    packages = ("justzoomin", "torch", "lightning", "transformers", "kornia", "numpy", "opencv-python-headless", "simplejpeg")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return json.dumps({
        "python": platform.python_version(), "system": platform.platform(), "processor_threads": torch.get_num_threads(),
        "gpus": gpus, "compute": compute, "packages": {p: importlib.metadata.version(p) for p in packages},
    }, indent=2) + "\n"
