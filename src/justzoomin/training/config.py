"""Settings of a training run: one frozen object, built from a preset, a file and `key=value` words."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from justzoomin.data import AugmentConfig
from justzoomin.errors import ConfigError
from justzoomin.models import ModelConfig, model_preset
from justzoomin.untrusted import load_yaml

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_MAX_CONFIG_BYTES = 1 << 20


class MatchingConfig(BaseModel):
    """How a ray matcher is trained.

    Attributes:
        poses: Number of map poses that a photo's true pose is compared with in a step and that teach the map's description.
        drawn: Number of poses that are drawn, if it is more. Those that the batch's photos find most probable are the `poses`.
            The others count in the loss, but do not teach the map's description.
        supervision: Weight of learning what photos and map show from the datasets' `labels.npz` (`jzi data synth --labels`):
            kinds of surface, heights and distances; 0 for none. What is learned for it alone is not part of the model.
        seen_m: Largest distance of these poses from the nearest training photo of the map; None for anywhere on the map.
        place_noise_m: Standard deviation of the noise on the true place, in metres.
        bearing_noise_deg: Standard deviation of the noise on the true bearing, in degrees.
        mirror: Share of batches in which photos and map are mirrored.
        light: Largest change of brightness of photos and map; colours and contrast change with it.
        forget_tilt: Share of photos whose pitch and roll are not used, other photos in each epoch; refused where the frame
            uses no cameras. So the matcher learns from photos such as those whose file states a focal length and no more.
        forget_camera: Share of photos of whose camera nothing is used.
        zoom_weight: Weight of the zoomer's loss; 0 leaves the zoomer unchanged. This loss does not change an encoder that the
            zoomer shares with the matcher.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    poses: int = Field(1024, ge=1)
    drawn: int = Field(0, ge=0)
    supervision: float = Field(0.0, ge=0)
    seen_m: float | None = Field(20.0, gt=0)
    place_noise_m: float = Field(1.5, ge=0)
    bearing_noise_deg: float = Field(6.0, ge=0)
    mirror: float = Field(0.5, ge=0, le=1)
    light: float = Field(0.25, ge=0, lt=1)
    forget_tilt: float = Field(0.0, ge=0, le=1)
    forget_camera: float = Field(0.0, ge=0, le=1)
    zoom_weight: float = Field(1.0, ge=0)

    @model_validator(mode="after")
    def _shares(self) -> MatchingConfig:
        if self.forget_tilt + self.forget_camera > 1.0:
            raise ValueError(f"forget_tilt ({self.forget_tilt:g}) and forget_camera ({self.forget_camera:g}) are shares of all "
                             "photos: together they may not be more than 1")
        return self

    @property
    def forgets(self) -> bool:
        """Whether some of the cameras that are known are not used."""
        return self.forget_tilt + self.forget_camera > 0.0


class TrainConfig(BaseModel):
    """Everything a run depends on besides the data; the defaults are the published values.

    Attributes:
        model: The model to train.
        init: Folder or hub id of a model whose weights the training starts from, instead of fresh or encoder weights.
        augment: Augmentation of photos and views.
        matching: Training of the ray matcher, if the model has one; a batch then holds photos of one piece of map.
        train_split: Name of the split to train on.
        val_split: Name of the split to validate on; None to skip validation.
        epochs: Number of passes over the training photos.
        batch_size: Number of photos of a batch on each device.
        accumulate: Number of batches whose gradients are added up before a step.
        batch_places: Number of places that a batch of all processes is drawn from, nearby photos together; None draws photos at
            random.
        negatives: Number of additional cells per photo that hold no photo of the batch; retrieval only.
        mine_from: Epoch, counted from 0 and at least 1, from which batches group photos whose cells look most alike; retrieval
            only. None to leave it out: then `batch_places` is used in all epochs.
        mine_every: Number of epochs between two searches for such photos.
        mine_neighbours: Number of such photos that are found for each photo.
        learning_rate: Peak of the schedule.
        final_rate: Share of the peak at which the cosine ends.
        warmup: Share of all steps during which the learning rate rises linearly.
        weight_decay: Weight decay of AdamW.
        clip_norm: Largest norm of the gradient; 0 to turn clipping off.
        label_smoothing: Share of the target that is spread over all actions.
        precision: Number format; `auto` is bf16 on GPUs and CPUs that multiply in it, otherwise fp32.
        channels_last: Whether weights of convolutions are stored with the channels last.
        compile: Whether the encoder is compiled with torch.compile.
        prefix_cache: Where to keep outputs of frozen blocks for views that are not augmented: `memory` or `disk`; None keeps
            none.
        prefix_cache_mb: Size limit of this cache, in megabytes.
        prefix_cache_dtype: Number format of this cache: `fp32` is exact, `fp16` needs half the space.
        prefix_cache_folder: Folder of this cache on the disk; None for a folder in the run's folder.
        ready_photos: Folder of ready photos to train and validate on; None to read the original photos.
        seed: Seed of weights, order, crops, augmentation and dropout.
        workers: Number of processes that load photos; 0 loads in the training process.
        devices: Number of devices of this machine to use; 0 for all GPUs, or one CPU process.
        nodes: Number of machines.
        accelerator: Kind of device: `auto`, `cpu`, `gpu`, `mps`.
        validate_every: Number of epochs between validations.
        validate_photos: Number of photos of the validation split to use during training; None for all.
        select_radius_m: Radius in metres of the R@Xm that selects the best checkpoint.
        keep_every: Number of epochs between checkpoints that are kept; 0 keeps only the best and the last.
        save_every: Number of steps between the states that an interrupted run resumes from.
        log_every: Number of steps between log lines.
        wandb_project: Weights & Biases project to log to in addition (an extra); None to leave it out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelConfig = Field(default_factory=lambda: model_preset("paper"))
    init: str | None = None
    augment: AugmentConfig = AugmentConfig()
    matching: MatchingConfig = MatchingConfig()
    train_split: str = "train"
    val_split: str | None = "val"
    epochs: int = Field(30, ge=1)
    batch_size: int = Field(64, ge=1)
    accumulate: int = Field(1, ge=1)
    batch_places: int | None = Field(None, ge=1)
    negatives: float = Field(0.25, ge=0, le=16)
    mine_from: int | None = Field(None, ge=1)
    mine_every: int = Field(4, ge=1)
    mine_neighbours: int = Field(64, ge=1, le=1024)
    learning_rate: float = Field(3e-4, gt=0)
    final_rate: float = Field(0.1, ge=0, le=1)
    warmup: float = Field(0.05, ge=0, le=1)
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(1.0, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    precision: Precision = "auto"
    channels_last: bool = False
    compile: bool = False
    prefix_cache: Literal["memory", "disk"] | None = None
    prefix_cache_mb: int = Field(4096, ge=1)
    prefix_cache_dtype: Literal["fp32", "fp16"] = "fp32"
    prefix_cache_folder: str | None = None
    ready_photos: str | None = None
    seed: int = Field(0, ge=0)
    workers: int = Field(0, ge=0)
    devices: int = Field(0, ge=0)
    nodes: int = Field(1, ge=1)
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    validate_every: int = Field(1, ge=1)
    validate_photos: int | None = Field(None, ge=1)
    select_radius_m: float = Field(40.0, gt=0)
    keep_every: int = Field(0, ge=0)
    save_every: int = Field(200, ge=1)
    log_every: int = Field(20, ge=1)
    wandb_project: str | None = None


FINETUNE = "finetune"
_SMALL: dict[str, Any] = {
    "epochs": 12, "batch_size": 64, "learning_rate": 1e-3, "weight_decay": 0.05, "validate_every": 2,
    # Meant for a dozen epochs over tens of thousands of photos. With few photos, turn augmentation on.
    "augment": {"enabled": False},
}
_RETRIEVAL: dict[str, Any] = {**_SMALL, "batch_size": 128, "batch_places": 16, "mine_from": 4, "validate_every": 4}
_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {}, "small": _SMALL, "best": {**_SMALL, "batch_size": 56, "learning_rate": 2e-3},
    # For the published dataset on one GPU: two pieces of map a step, with 32 photos each. The matcher alone is trained.
    "best-base": {"epochs": 10, "batch_size": 32, "accumulate": 2, "weight_decay": 0.05, "validate_every": 2,
                  "validate_photos": 500, "workers": 8, "augment": {"views": False, "crop_scale": None},
                  "matching": {"poses": 2048, "zoom_weight": 0.0}},
    # For a few hundred photos of one town, seen often. The zoomer is not trained: it would memorize these streets, and then
    # contradict the matcher where no training photo was taken.
    FINETUNE: {**_SMALL, "batch_size": 56, "learning_rate": 5e-4, "epochs": 15, "validate_every": 5,
               "matching": {"zoom_weight": 0.0}},
    "retriever": _RETRIEVAL, "hierarchical": _RETRIEVAL, "classifier": _SMALL,
}


def train_config(preset: str = "paper", file: Path | None = None, settings: tuple[str, ...] = ()) -> TrainConfig:
    """Build the settings from the preset, then a YAML file, then `key=value` words; later values win.

    Args:
        preset: `paper`, `small`, `best`, `best-base`, `finetune`, or `retriever`, `hierarchical` or `classifier` for
            the other families.
        file: YAML file with any of the settings; the saved config of another run works too.
        settings: Words such as `epochs=5` or `augment.enabled=false`; values are read as YAML.

    Raises:
        ConfigError: If a setting is unknown or its value is invalid.
        ModelError: If the preset is unknown.
    """
    model = model_preset("best" if preset == FINETUNE else preset)
    values: dict[str, Any] = {"model": model.model_dump(), **deepcopy(_PRESETS[preset])}
    where = f"preset {preset}"
    if file is not None:
        where = str(file)
        _merge(values, _read_yaml(file), where)
    for word in settings:
        where = f"--set {word}"
        key, sign, text = word.partition("=")
        if not sign or not key:
            raise ConfigError(where, "it does not have the form key=value",
                              "Write for instance --set epochs=5 or --set augment.jpeg_p=0.")
        try:
            nested: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(where, "its value is not valid YAML", "Write for instance --set epochs=5.") from error
        for part in reversed(key.split(".")):
            nested = {part: nested}
        _merge(values, nested, where)
    return validate(values, where)


def validate(values: dict[str, Any], where: str) -> TrainConfig:
    """Check plain values and return them as settings.

    Raises:
        ConfigError: If a setting is wrong. The message names the first one.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(p) for p in first["loc"]) or "settings"
        what = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {field}", f"{what} (given: {first['input']!r})",
                          "See docs/training.md for the settings and their ranges.") from error


def load_config(path: Path) -> TrainConfig:
    """Read the settings that a run saved.

    Raises:
        ConfigError: If the file is missing or wrong.
    """
    return validate(_read_yaml(path), str(path))


def dump_config(config: TrainConfig) -> str:
    """Return settings as YAML text for `load_config`."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return text


def _read_yaml(path: Path) -> dict[str, Any]:
    values = load_yaml(path, _MAX_CONFIG_BYTES, ConfigError)
    if not isinstance(values, dict):
        raise ConfigError(path, "it does not hold a mapping", "Write `key: value` lines.")
    return values


def _merge(into: dict[str, Any], changes: dict[str, Any], where: str) -> None:
    for key, value in changes.items():
        if key == "model" and isinstance(value, str):
            into[key] = model_preset(value).model_dump()
        elif isinstance(value, dict) and isinstance(into.get(key), dict) and "model_type" not in value:
            _merge(into[key], value, where)
        else:
            into[key] = value
