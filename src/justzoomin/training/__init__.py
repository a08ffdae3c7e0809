"""Training: settings, the tasks of the families, and runs that resume exactly."""

from justzoomin.training.base import Task, rate_at
from justzoomin.training.config import (
    FINETUNE,
    MatchingConfig,
    TrainConfig,
    dump_config,
    load_config,
    train_config,
)
from justzoomin.training.contrast import info_nce
from justzoomin.training.run import train
from justzoomin.training.saving import TrainProgress
from justzoomin.training.task import ZoomTask

__all__ = [
    "FINETUNE",
    "MatchingConfig", "Task", "TrainConfig", "TrainProgress", "ZoomTask", "dump_config", "info_nce", "load_config", "rate_at",
    "train", "train_config",
]
