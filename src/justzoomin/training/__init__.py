"""Training: settings, the task, and runs that resume exactly."""

from justzoomin.training.config import TrainConfig, dump_config, load_config, train_config
from justzoomin.training.run import train
from justzoomin.training.saving import TrainProgress
from justzoomin.training.task import ZoomTask, rate_at

__all__ = ["TrainConfig", "TrainProgress", "ZoomTask", "dump_config", "load_config", "rate_at", "train", "train_config"]
