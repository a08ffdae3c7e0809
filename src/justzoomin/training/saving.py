"""Files that a run writes atomically: states to resume from, models and logs."""

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
    """States are written to a temporary file, flushed and renamed, so that a killed run keeps its previous state intact."""

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
    """Progress of a run, to be shown.

    Attributes:
        epoch: Current epoch, from 0.
        epochs: Number of epochs.
        step: Number of optimizer steps done.
        total_steps: Number of all optimizer steps.
        loss: Training loss, averaged over the last steps.
        photos_per_s: Training photos per second since the start or the last resume.
        seconds_left: Estimated time for the rest of the run.
        figures: Figures of the last validation.
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
    """Saves the state to resume from, the best and the last model, and reports the progress of the run.

    The state is saved before a batch begins, when all its counts agree. So a resumed run continues with exactly the batch
    that would have come next.

    Args:
        out: The run's folder.
        sampler: The training sampler, which is set to the next batch after a resume.
        provenance: The record that is saved beside each model.
        report: Called with the progress at every log step.
    """

    def __init__(self, out: Path, sampler: ResumableBatchSampler, provenance: dict[str, Any],
                 report: Callable[[TrainProgress], None] | None = None) -> None:
        self.out, self.sampler, self.provenance, self.report = out, sampler, provenance, report
        self.best: dict[str, float] = {}
        self._first_step, self._started = 0, 0.0
        self._loss: torch.Tensor | None = None
        self._saved_step = -1

    def state_dict(self) -> dict[str, Any]:
        """Return the best figures so far."""
        return {"best": dict(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best figures."""
        self.best = dict(state_dict["best"])

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule,
                           checkpoint: dict[str, Any]) -> None:
        """Record the number of finished batches of the epoch, and the training photos."""
        checkpoint["train_split_hash"] = self.provenance["train_split_hash"]
        checkpoint["batches_done"] = trainer.fit_loop.epoch_loop.batch_progress.current.completed

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule,
                           checkpoint: dict[str, Any]) -> None:
        """Set the sampler to the next batch.

        Raises:
            TrainingError: If the run began on different photos.
        """
        if checkpoint.get("train_split_hash") != self.provenance["train_split_hash"]:
            raise TrainingError(self.out, "the run began on a training split that differs from this dataset's",
                                "Resume it with its own dataset, or start a new run with --set init=MODEL.")
        self.sampler.start_batch = int(checkpoint["batches_done"])
        self._saved_step = int(checkpoint["global_step"])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._first_step, self._started = trainer.global_step, time.monotonic()

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any,
                             batch_idx: int) -> None:
        """Save the state if it is due, but only when no half-accumulated gradient would be lost."""
        assert isinstance(pl_module, Task)
        every, step = pl_module.config.save_every, trainer.global_step
        # On resuming, Lightning increases its count of logged steps by one, for states that were saved after a batch.
        trainer.fit_loop.epoch_loop._batches_that_stepped = step
        if step and step % every == 0 and step != self._saved_step and batch_idx % pl_module.config.accumulate == 0:
            self._saved_step = step
            trainer.save_checkpoint(self.out / "state.ckpt")

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        """Report the progress of the run."""
        assert isinstance(pl_module, Task)
        step, config = trainer.global_step, pl_module.config
        loss = trainer.callback_metrics["loss"]  # mean over this process's photos, without the weights of the trained loss
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss  # a tensor, to not wait for the device
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
        """Keep this epoch's model if `keep_every` says so."""
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
        """Write `models/<name>` and return its path."""
        extra = {**self.provenance, "epoch": trainer.current_epoch, "step": trainer.global_step, "validation": figures}
        return task.model.save_pretrained(self.out / "models" / name, task.grids[0], extra)


class CsvLog(Logger):
    """Metrics as rows `step, epoch, name, value` in one file, which a resumed run continues.

    A resumed run first drops the rows from its first step on, so that no step is listed twice.
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
        """Version of this logger: always empty."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: settings are saved in config.yaml."""

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
    """Write a text file atomically and return its path."""
    return write_bytes(path, text.encode())


def environment(compute: str) -> str:
    """Return versions, machine and the way the model is computed as JSON, which every run saves."""
    import importlib.metadata
    import platform

    packages = ("justzoomin", "torch", "lightning", "transformers", "kornia", "numpy", "opencv-python-headless", "simplejpeg")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return json.dumps({
        "python": platform.python_version(), "system": platform.platform(), "processor_threads": torch.get_num_threads(),
        "gpus": gpus, "compute": compute, "packages": {p: importlib.metadata.version(p) for p in packages},
    }, indent=2) + "\n"
