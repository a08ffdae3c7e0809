"""A training run from settings to models, which can be resumed at any point."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.loggers.logger import Logger
from torch.utils.data import DataLoader, Subset

from justzoomin.data import Dataset, Frame, JoinedDataset, ReadyKind, ReadyPhotos, ResumableBatchSampler, collate, find_ready
from justzoomin.errors import ConfigError, MissingExtraError, ModelError, TrainingError
from justzoomin.geometry import view_count, view_numbers
from justzoomin.maps import GridViews
from justzoomin.models import (
    Compute,
    MapModel,
    ModelConfig,
    build_model,
    family_of,
    open_model,
    plan,
    with_matcher,
    with_photo_scale,
)
from justzoomin.training.config import TrainConfig, dump_config, load_config
from justzoomin.training.estimate import TrainEstimate, estimate_of, memory_of
from justzoomin.training.families import check_family, task_of
from justzoomin.training.folder import CONFIG, METRICS, PREFIX, STATE, goes_on, held, is_done
from justzoomin.training.maps import TrainingMaps
from justzoomin.training.mining import Miner
from justzoomin.training.prefix_cache import PrefixCache, open_cache
from justzoomin.training.saving import AtomicCheckpoints, CsvLog, Saver, TrainProgress, environment, write_text
from justzoomin.training.state import load_state
from justzoomin.training.task import Task, TaskSetup, mix_seed


def train(config: TrainConfig, dataset: Dataset | Sequence[Dataset], out: Path, *, resume: bool = False,
          report: Callable[[TrainProgress], None] | None = None, stop_after: int | None = None,
          announce: Callable[[TrainEstimate, Compute], None] | None = None) -> Path:
    """Train a model; on one device or, started by torchrun or with `devices`/`nodes`, on many.

    Args:
        config: The settings. With `resume`, the saved settings of the run are used instead. If they equal the settings of the
            run in `out`, that run is continued too.
        dataset: The dataset, or several: a batch then mixes photos of all maps (see `TrainingMaps.of`).
        out: Folder of the run: config.yaml, environment.json, metrics.csv, tensorboard/, state.ckpt, models/best, models/last.
        resume: Continue the run in `out` where it stopped.
        report: Called from time to time with the progress of the run.
        stop_after: Stop after this many steps, as if interrupted (the schedule is still that of the complete run).
        announce: Called before the first step with the estimated cost and how the model is computed, if the cost can be
            estimated (see `estimate_of`).

    Returns:
        Folder of the best model (of the last model without validation).

    Raises:
        TrainingError: If the folder holds another run, there is nothing to resume, the run began on other photos, or the
            devices are not available.
        DataError: If a split is empty, contradicts itself or lacks photos, grids differ in size or depth, or another training
            is running in the folder.
        ModelError: If the model does not fit the grid.
    """
    out, asked = Path(out), config
    resumes = goes_on(out, asked, resume=resume)
    if resumes:
        config = load_config(out / CONFIG)
    devices = _devices(config)
    rank, world = _place(config, devices)
    maps = TrainingMaps.of(config, [dataset] if isinstance(dataset, Dataset) else dataset)
    _check(config, maps)
    config = config.model_copy(update={"model": config.model.model_copy(update={"depth": maps.grid.depth})})

    model = _build_model(config, maps)
    kind = task_of(model)
    check_family(model, kind, config, maps)
    compute = _compute(config)
    compute.prepare(model)
    views = [GridViews(each.map, each.grid, model.config.image_pixels) for each in maps.datasets]
    for each in views:
        each.check_root()  # refuses a map without a usable root view before the first step
    loaders, miner = _loaders(kind, config, model.config, maps, views, rank, world)
    sampler = miner.sampler
    steps = -(-len(sampler) // config.accumulate) * config.epochs
    provenance = {"trained_with": "jzi train", "config": config.model_dump(mode="json"), **maps.provenance(config, views),
                  **_start(config, model)}
    if resumes and is_done(out, steps, provenance["train_split_hash"]):
        with held(out) if rank == 0 else nullcontext():
            warnings.warn(f"{out}: this run is already complete", stacklevel=2)
        return _best(out)
    prefix = None if config.prefix_cache is None else _prefix_cache(config, model, maps, out, compute)
    task = kind.of(TaskSetup(model, config, maps, views, steps, miner, prefix, compute.fused_optimizer))
    with held(out) if rank == 0 else nullcontext():  # after everything that can be refused: a refused run leaves no folder
        if rank == 0:
            write_text(out / CONFIG, dump_config(config))
            write_text(out / "environment.json", environment(compute.words()))
            _tell_cost(estimate_of(model, config, steps, compute), compute, announce)
        saver = Saver(out, sampler, provenance, report)
        resume_from = out / STATE if resumes and (out / STATE).is_file() else None
        loggers = _loggers(config, out, resume_from) if rank == 0 else []
        _quiet()
        # If a step may leave parameters without a gradient, these differ between processes.
        many = "ddp_find_unused_parameters_true" if kind.leaves_unused else "ddp"
        trainer = lightning.Trainer(
            accelerator=config.accelerator, devices=devices, num_nodes=config.nodes, precision=compute.lightning_precision,
            strategy=many if world > 1 else "auto", max_epochs=config.epochs, max_steps=stop_after or -1,
            accumulate_grad_batches=config.accumulate, gradient_clip_val=config.clip_norm or None,
            check_val_every_n_epoch=config.validate_every, num_sanity_val_steps=0, logger=loggers,
            callbacks=[saver], plugins=[AtomicCheckpoints()], enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False, log_every_n_steps=config.log_every,
        )
        grouped = torch.distributed.is_available() and torch.distributed.is_initialized()
        try:
            trainer.fit(task, *loaders, ckpt_path=resume_from, weights_only=True)
        finally:
            if world > 1 and not grouped and torch.distributed.is_initialized():
                # Lightning leaves gloo's threads running: a process that ends with them may abort.
                torch.distributed.destroy_process_group()
    return _best(out)


def _tell_cost(cost: TrainEstimate | None, compute: Compute,
               announce: Callable[[TrainEstimate, Compute], None] | None) -> None:
    if cost is None:
        return
    if announce is not None:
        announce(cost, compute)
    there = memory_of(compute.device)
    if there is not None and cost.memory_bytes > there:
        warnings.warn(f"a step is estimated to need {cost.memory_bytes / 1e9:.1f} GB of memory, but the device "
                      f"{compute.device} has {there / 1e9:.1f} GB. If memory runs out, use a smaller batch_size and a larger "
                      "accumulate", stacklevel=3)


def _best(out: Path) -> Path:
    best = out / "models" / "best"
    return best if best.is_dir() else out / "models" / "last"


def _check(config: TrainConfig, maps: TrainingMaps) -> None:
    if config.model.grid != maps.grid.grid:
        raise ModelError("model.grid", f"the model picks among {config.model.grid} x {config.model.grid} cells, but the "
                         f"dataset's grid is {maps.grid.grid} x {maps.grid.grid}",
                         f"Train with --set model.grid={maps.grid.grid}.")
    there = {"gpu": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if config.accelerator in there and there[config.accelerator] < max(1, config.devices):
        raise TrainingError(f"accelerator={config.accelerator}", f"{max(1, config.devices)} devices are needed, but torch can "
                            f"use {there[config.accelerator]} on this machine",
                            "Use fewer with --set devices=N, or train with --set accelerator=cpu.")


def _build_model(config: TrainConfig, maps: TrainingMaps) -> MapModel:
    if config.init is None:
        return build_model(config.model, pretrained=True, seed=config.seed)
    model = open_model(config.init)
    if model.config.grid != maps.grid.grid:
        raise ModelError(config.init, f"its grid is {model.config.grid} x {model.config.grid}, but the dataset's grid is "
                         f"{maps.grid.grid} x {maps.grid.grid}", "Start from a model with the dataset's grid size.")
    if config.model.matcher is not None and model.matcher is None and "matcher" in family_of(model.family).uses:
        model = with_matcher(model, config.model.matcher, config.model.preset, config.seed, config.model.encoder.stages)
    scale = 1 if config.model.matcher is None else config.model.matcher.photo_scale
    if model.matcher is not None and scale not in (1, model.matcher.config.photo_scale):
        model = with_photo_scale(model, scale)
    if config.model.photo_fit != "squeeze":  # the default keeps what the model was trained with
        model.config = model.config.model_copy(update={"photo_fit": config.model.photo_fit})
    if model.matcher is not None and config.model.matcher is not None and config.model.matcher.photo_fit is not None:
        model.matcher.config = model.matcher.config.model_copy(update={"photo_fit": config.model.matcher.photo_fit})
        model.config = model.config.model_copy(update={"matcher": model.matcher.config})
    return model


def _start(config: TrainConfig, model: MapModel) -> dict[str, Any]:
    """Return the record of the model that a training starts from, and whether the zoomer is trained."""
    found: dict[str, Any] = {}
    if config.init is not None:
        found["started_from"] = {key: value for key, value in model.provenance.items() if key != "config"}
    if model.config.matcher is not None and not config.matching.zoom_weight:
        found["zoomer_trained"] = False
    return found


def _loaders(kind: type[Task], config: TrainConfig, settings: ModelConfig, maps: TrainingMaps, views: list[GridViews],
             rank: int, world: int) -> tuple[tuple[DataLoader[Any], DataLoader[Any] | None], Miner]:
    crop = config.augment.crop_scale if config.augment.enabled else None
    frame = settings.frame if kind.needs_paths(config) else settings.frame.parts[-1]  # a matcher alone needs its own part
    if crop is not None and frame.uses_cameras:
        fit = frame.parts[-1].fit
        warnings.warn(f"augment.crop_scale is not used: with photo_fit={fit} photos keep their angles", stacklevel=3)
        crop = None
    if config.matching.forgets and (settings.matcher is None or not frame.uses_cameras):
        raise ConfigError("matching.forget_tilt", "this model uses no cameras, so none can be forgotten",
                          "Set matching.forget_tilt=0 and matching.forget_camera=0, or use a ray matcher with photo_fit=crop.")
    # The same for all maps: a batch holds either the pixels or the numbers of all its views.
    with_views = kind.needs_paths(config) and not all(views[number].cached for number in maps.train)
    photos = _samples(config, settings, frame, maps, views, config.train_split, crop, with_views=with_views)
    paths = _paths(maps, photos) if config.batch_places else None
    groups = None if settings.matcher is None else maps.pieces(config.train_split, settings.matcher)
    sampler = ResumableBatchSampler(len(photos), config.batch_size, config.seed, rank, world, accumulate=config.accumulate,
                                    paths=paths, places=config.batch_places or 1, groups=groups)
    common: dict[str, Any] = {"collate_fn": collate, "num_workers": config.workers,
                              "persistent_workers": config.workers > 0, "pin_memory": torch.cuda.is_available()}
    training: DataLoader[Any] = DataLoader(photos, batch_sampler=sampler, **common)
    if config.val_split is None:
        return (training, None), Miner(photos, sampler)
    # Validation needs the views that the model itself chooses, and photos as the whole model sees them.
    held_out = _samples(config, settings, settings.frame, maps, views, config.val_split, None, with_views=False)
    count = min(len(held_out), config.validate_photos or len(held_out))
    rows = range(count) if len(maps.val) == 1 else np.unique(np.linspace(0, len(held_out) - 1, count).astype(int)).tolist()
    mine = Subset(held_out, list(rows)[rank::world] or [0])
    return (training, DataLoader(mine, batch_size=config.batch_size, **common)), Miner(photos, sampler)


def _samples(config: TrainConfig, settings: ModelConfig, frame: Frame, maps: TrainingMaps, views: list[GridViews], split: str,
             crop: tuple[float, float] | None, *, with_views: bool) -> JoinedDataset:
    numbers = maps.train if split == config.train_split else maps.val
    parts = []
    for number in numbers:
        dataset = maps.datasets[number]
        part = dataset.torch_dataset(split, settings.photo_pixels, decode=settings.photo_decode, crop_scale=crop,
                                     seed=mix_seed(config.seed, number) if number else config.seed, views=views[number],
                                     frame=frame)
        if split == config.train_split and settings.matcher is not None:
            part.forget = config.matching.forget_tilt, config.matching.forget_camera
        part.ready = _ready(config, settings, frame, dataset, split, crop[0] if crop else None, several=len(maps.datasets) > 1)
        part.with_views = with_views
        parts.append(part)
    return JoinedDataset(parts, numbers)


def _paths(maps: TrainingMaps, photos: JoinedDataset) -> npt.NDArray[np.int64]:
    """Return the numbers (N, T) of the cells along each photo's path; with several maps, distinct and with the map first."""
    numbers = view_numbers(maps.grid, photos.sequences)
    if len(maps.datasets) == 1:
        return numbers[:, 1:]
    return numbers + photos.stride * photos.map_numbers[:, None]


def _ready(config: TrainConfig, settings: ModelConfig, frame: Frame, dataset: Dataset, split: str, least: float | None, *,
           several: bool) -> ReadyPhotos | None:
    if config.ready_photos is None or (frame.beside is not None and split != config.train_split):
        return None
    if config.matching.forgets and split == config.train_split:
        raise ConfigError("matching.forget_tilt", "ready photos are of the cameras that are known, so none can be forgotten",
                          "Set matching.forget_tilt=0 and matching.forget_camera=0, or leave ready_photos out.")
    if frame.beside is not None:
        raise ConfigError("ready_photos", "zoomer and matcher see photos in two ways (model.matcher.photo_fit), but ready "
                          "photos are of one way", "Leave it out, or train the matcher alone with matching.zoom_weight=0.")
    ids = dataset.split(split).image_ids
    kind = ReadyKind(split, settings.photo_pixels, settings.photo_decode, least, frame=frame,
                     cameras=dataset.cameras(ids) if frame.uses_cameras else {})
    folder = Path(config.ready_photos)
    if several:
        folder /= dataset.root.resolve().name
    return find_ready(folder, kind, dataset.photos, ids, dataset.root)


def _loggers(config: TrainConfig, out: Path, resume_from: Path | None) -> list[Logger]:
    step = None
    if resume_from is not None:
        step = int(load_state(resume_from)["global_step"])
    loggers: list[Logger] = [CsvLog(out / METRICS, step)]
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        loggers.append(TensorBoardLogger(out, name="tensorboard", version=""))
    except ModuleNotFoundError:
        warnings.warn("tensorboard is not installed: metrics are written to metrics.csv only", stacklevel=2)
    if config.wandb_project:
        try:
            from lightning.pytorch.loggers import WandbLogger

            loggers.append(WandbLogger(project=config.wandb_project, save_dir=out, name=out.name))
        except ModuleNotFoundError as error:
            raise MissingExtraError("wandb", "wandb") from error
    return loggers


def _compute(config: TrainConfig) -> Compute:
    kind: str = config.accelerator
    if kind in {"auto", "gpu"}:
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return plan(kind, config.precision, training=True, channels_last=config.channels_last, compiled=config.compile)


def _prefix_cache(config: TrainConfig, model: MapModel, maps: TrainingMaps, out: Path, compute: Compute) -> PrefixCache:
    assert config.prefix_cache is not None
    folder = out / PREFIX if config.prefix_cache_folder is None else Path(config.prefix_cache_folder)
    if config.augment.enabled and config.augment.views:
        warnings.warn("prefix_cache: views are augmented, so only the root view is kept; augment.views=false keeps all views",
                      stacklevel=3)
    return open_cache(model, config.prefix_cache, config.prefix_cache_mb * 1_000_000,
                      config.prefix_cache_dtype, folder, view_count(maps.grid) * len(maps.datasets), compute.precision)


def _devices(config: TrainConfig) -> int:
    """Return the number of devices of this machine that the run uses."""
    if config.devices:
        return config.devices
    return max(1, torch.cuda.device_count()) if config.accelerator in {"auto", "gpu"} else 1


def _place(config: TrainConfig, devices: int) -> tuple[int, int]:
    """Return the rank of this process and the number of all processes, started by torchrun or by Lightning."""
    environ = os.environ
    world = int(environ.get("WORLD_SIZE") or devices * config.nodes)
    rank = environ.get("RANK")
    if rank is not None:
        return int(rank), world
    return int(environ.get("NODE_RANK") or 0) * devices + int(environ.get("LOCAL_RANK") or 0), world


def _quiet() -> None:
    """Hide Lightning's advice about workers and loggers, which is not meant for users."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
