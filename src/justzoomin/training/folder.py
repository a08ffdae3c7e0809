"""The folder of a run: whether the run is new, interrupted or done, and a lock so that one process trains at a time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from justzoomin.errors import TrainingError
from justzoomin.files import folder_lock, is_free, refuse_links, sweep
from justzoomin.training.config import TrainConfig, load_config
from justzoomin.untrusted import read_limited

CONFIG, STATE, METRICS, PREFIX = "config.yaml", "state.ckpt", "metrics.csv", "prefix"
_WRITTEN = (STATE, METRICS, PREFIX, "tensorboard", "wandb", "models/best", "models/last")
_MAX_PROVENANCE = 1 << 22


def goes_on(out: Path, config: TrainConfig, *, resume: bool) -> bool:
    """Return whether to continue the run in a folder, whenever it was killed.

    Equal settings continue the run too, so that running the same command again finishes the job.

    Raises:
        TrainingError: If there is no run to resume, or the folder holds something else.
        DataError: If a link leads out of the folder.
    """
    for name in _WRITTEN:
        refuse_links(out, out / name)
    saved = out / CONFIG
    if resume and not saved.is_file():
        raise TrainingError(out, "there is no run to resume",
                            "Leave --resume out to start one." if is_free(out, PREFIX) else "Give the folder of a run.")
    if resume or is_free(out, PREFIX):
        return resume
    if not saved.is_file():
        raise TrainingError(out, "the folder is not empty, and it does not hold a run", "Give a new folder.")
    began = load_config(saved)
    if config.model_copy(update={"model": config.model.model_copy(update={"depth": began.model.depth})}) != began:
        raise TrainingError(out, "the folder is not empty: its run has other settings",
                            "Give a new folder, or add --resume to continue that run with its settings.")
    return True


def is_done(out: Path, steps: int, split_hash: object) -> bool:
    """Return whether the run in a folder is complete: its last model was saved after all steps on the same photos."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        values = json.loads(read_limited(out / "models" / "last" / "provenance.json", _MAX_PROVENANCE))
        return isinstance(values, dict) and (values.get("step"), values.get("train_split_hash")) == (steps, split_hash)
    return False


@contextlib.contextmanager
def held(out: Path) -> Iterator[None]:
    """Lock a run's folder, and remove files that a killed training left incomplete.

    Raises:
        DataError: If another training is running in it.
    """
    with folder_lock(out, "training"):
        sweep(out / "models")
        yield
