"""The parts of `gpu_check`: each trains, searches or measures on one device and yields rows of the table.

A part runs in a process of its own, and everything it needs is in the check's folder: the town, and the models of parts before.
"""

from __future__ import annotations

import csv
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from justzoomin.city import CityConfig, build_city
from justzoomin.data import Dataset, halves, open_dataset
from justzoomin.errors import JustZoomInError
from justzoomin.evaluation import evaluate
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.models import MapModel, build_model, model_preset, open_model, plan
from justzoomin.models.config import PRESETS
from justzoomin.search import Localizer, build_index, described
from justzoomin.training import TrainConfig, train, train_config
from simulated import Matching

Precision = Literal["fp32", "bf16", "fp16"]
TRAINED_IN: tuple[Precision, ...] = ("bf16", "fp16")
TOLERANCES: dict[Precision, float] = {"fp32": 0.01, "fp16": 0.1, "bf16": 0.5}
"""Largest allowed difference of a log-probability from the CPU's in fp32."""
STEP = 0.15
"""Step in which a described map keeps its logits: one that rounds to the other side changes log-probabilities by up to this."""
LIKELY = 10.0
"""Cells are compared whose log-probability on the CPU is at most this much below the best cell's."""
_HUB = {"model_type": "dinov2", "hidden_size": 64, "num_hidden_layers": 12, "num_attention_heads": 4, "mlp_ratio": 2,
        "patch_size": 8, "image_size": 48}
"""A tiny encoder, of the kind of those whose weights come from the hub."""
_BATCHES = 5
"""Batches of an epoch."""


@dataclass(frozen=True)
class Sizes:
    """What is trained and searched.

    Attributes:
        device: `cuda` or `cpu`.
        steps: Steps of a training.
        photos: Training photos of the town.
        town_m: Edge of the town in metres.
        depth: Levels of the town's grid of 4 x 4 cells.
        km: Edge of the large region in kilometres.
    """

    device: str
    steps: int
    photos: int
    town_m: float
    depth: int
    km: float


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        part: The part of the check.
        what: What was done.
        precision: Number format; empty if it does not matter.
        passed: Whether it did what it must.
        found: The figures, or what went wrong.
        seconds: How long it took.
        figures: The figures as numbers, for the JSON file.
    """

    part: str
    what: str
    precision: str
    passed: bool
    found: str
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A part of the check.

    Attributes:
        name: Its name.
        limit_s: Most seconds that it may take.
        run: Yields its rows.
    """

    name: str
    limit_s: float
    run: Callable[[Path, Sizes], Iterator[Row]]


class CheckError(Exception):
    """A result that is wrong, in words."""


def parts(presets: tuple[str, ...] = PRESETS) -> list[Part]:
    """Return the parts in their order: the town, a part for each preset, the index of a map, a large region."""
    return [Part("town", 60, _town), *(Part(name, 75, partial(_preset, name)) for name in presets),
            *(Part(f"index {name}", 60, partial(_index, name)) for name in presets if model_preset(name).matcher is not None),
            Part("large region", 90, _large)]


def tiny_settings(preset: str, sizes: Sizes, precision: Precision) -> TrainConfig:
    """Return the settings of a short training; a preset whose weights come from the hub gets a tiny encoder."""
    batch = max(1, sizes.photos // _BATCHES)
    epochs = -(-sizes.steps // -(-sizes.photos // batch))
    words = [f"epochs={epochs}", f"batch_size={batch}", f"validate_every={epochs}", "validate_photos=4", "log_every=1",
             f"save_every={max(1, sizes.steps // 5)}", f"precision={precision}", "augment.enabled=true", "mine_from=1",
             f"accelerator={'cpu' if sizes.device == 'cpu' else 'gpu'}", "devices=1", f"model.depth={sizes.depth}"]
    if model_preset(preset).encoder.source is not None:
        words += ["model.encoder.source=null", f"model.encoder.architecture={json.dumps(_HUB)}", "model.image_pixels=48"]
        if model_preset(preset).matcher is not None:
            words += ["model.matcher.symmetries=1", "model.matcher.metres_per_pixel=1",
                      "model.matcher.window_m=128", "model.matcher.margin_m=16"]
    return train_config(preset, None, tuple(words))


def _town(folder: Path, sizes: Sizes) -> Iterator[Row]:
    began = time.perf_counter()
    config = CityConfig(seed=5, size_m=sizes.town_m, photos=sizes.photos, val_photos=max(4, sizes.photos // 10),
                        depth=sizes.depth, photo_width=96, photo_height=54, gsd_m=0.5)
    build_city(folder / "town", config)
    yield Row("town", "make a synthetic town", "", True, f"{config.photos} + {config.val_photos} photos, {config.size_m:g} m",
              time.perf_counter() - began)


def _preset(preset: str, folder: Path, sizes: Sizes) -> Iterator[Row]:
    town = open_dataset(folder / "town")
    for precision in TRAINED_IN:
        yield _timed(preset, "train, stop, resume, evaluate", precision,
                     partial(_trained, preset, precision, town, folder, sizes))
    last = folder / f"{preset}-{TRAINED_IN[0]}" / "models" / "last"
    if not last.is_dir():
        build_model(tiny_settings(preset, sizes, "fp32").model).save_pretrained(last, town.grid)
    pairs = _pairs(town, open_model(last, device="cpu"))
    wanted = _log_probs(last, town, pairs, "cpu", "fp32")[0]
    for precision, tolerance in TOLERANCES.items():
        yield _timed(preset, "log-probabilities as on the CPU", precision,
                     partial(_agrees, last, town, pairs, sizes.device, precision, tolerance, wanted))


def _trained(preset: str, precision: Precision, town: Dataset, folder: Path, sizes: Sizes) -> tuple[str, dict[str, float]]:
    """Train, stop half-way, resume and evaluate."""
    config, out, speeds = tiny_settings(preset, sizes, precision), folder / f"{preset}-{precision}", list[float]()
    half = max(1, sizes.steps // 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(config, town, out, stop_after=half)
        train(config, town, out, resume=half < sizes.steps, stop_after=sizes.steps,
              report=lambda now: speeds.append(now.photos_per_s))
        with (out / "metrics.csv").open(encoding="utf-8") as file:
            losses = {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["name"] == "loss"}
        if sorted(losses) != list(range(sizes.steps)):
            raise CheckError(f"the resumed run logged steps {sorted(losses)[:3]} ... {sorted(losses)[-3:]} of {sizes.steps}")
        if not all(map(math.isfinite, losses.values())):
            first = next(step for step, loss in sorted(losses.items()) if not math.isfinite(loss))
            raise CheckError(f"the loss is not finite from step {first} on")
        model = open_model(out / "models" / "last", device=sizes.device)
        report = evaluate(model, town, "val").report
    recall, first, last = report["recall_at_m"]["40"], losses[0], losses[sizes.steps - 1]
    if report["n"] != len(town.split("val")):
        raise CheckError(f"{report['n']} of {len(town.split('val'))} photos were evaluated")
    speed = speeds[-1] if speeds else math.nan
    return (f"loss {first:.2f} to {last:.2f}, {speed:,.0f} photos/s, R@40m {recall:.0f} %",
            {"loss_first": first, "loss_last": last, "photos_per_s": speed, "recall_40m": recall})


def _agrees(folder: Path, town: Dataset, pairs: torch.Tensor, device: str, precision: Precision, tolerance: float,
            wanted: npt.NDArray[np.float64]) -> tuple[str, dict[str, float]]:
    """Compare a model's log-probabilities with the CPU's in fp32."""
    found, speed, model = _log_probs(folder, town, pairs, device, precision)
    return _compared(found, wanted, tolerance + (STEP if model.matcher is not None else 0.0), speed)


def _compared(found: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], tolerance: float,
              speed: float) -> tuple[str, dict[str, float]]:
    likely = wanted >= wanted.max(1, keepdims=True) - LIKELY
    apart = float(np.abs(found - wanted)[likely].max())
    if not apart <= tolerance:
        raise CheckError(f"log-probabilities differ by up to {apart:.2g} from the CPU's; {tolerance:g} is allowed")
    return (f"at most {apart:.1g} apart ({tolerance:g} allowed), {speed:,.0f} photos/s located",
            {"difference": apart, "tolerance": tolerance, "photos_per_s": speed})


def _pairs(town: Dataset, model: MapModel) -> torch.Tensor:
    """Return halves (B, 2, 3, n, n) of the validation photos."""
    samples = town.torch_dataset("val", model.config.photo_pixels, decode=model.config.photo_decode, frame=model.config.frame)
    return halves(torch.stack([samples[number]["wide"] for number in range(len(samples))]))


def _log_probs(folder: Path, town: Dataset, pairs: torch.Tensor, device: str, precision: Precision,
               index: Path | None = None) -> tuple[npt.NDArray[np.float64], float, MapModel]:
    """Return log-probabilities (B, N), photos located a second when the map is known, and the model."""
    model = open_model(folder, device=device)
    # A beam drops cells: where two are nearly equal, rounding decides which. So all cells are followed.
    every = model.config.retriever.model_copy(update={"beam": model.config.actions**model.config.depth})
    model.config = model.config.model_copy(update={"retriever": every})
    with plan(device, precision).autocast(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        localizer = Localizer(model, town.map, town.grid, index, search="posterior")
        found = localizer.log_probs(pairs)
        began = time.perf_counter()
        localizer.log_probs(pairs)
    return found, len(pairs) / (time.perf_counter() - began), model


def _index(preset: str, folder: Path, sizes: Sizes) -> Iterator[Row]:
    town, last = open_dataset(folder / "town"), folder / f"{preset}-{TRAINED_IN[0]}" / "models" / "last"
    if not last.is_dir():
        build_model(tiny_settings(preset, sizes, "fp32").model).save_pretrained(last, town.grid)

    def make() -> tuple[str, dict[str, float]]:
        began = time.perf_counter()
        build_index(last, town.map, folder / f"index-{preset}", device=sizes.device)
        seconds, made = time.perf_counter() - began, described(folder / f"index-{preset}")
        if made is None or made.ready < made.pieces:
            raise CheckError("the map is not described completely")
        square_km = (town.grid.region.size_m / 1000) ** 2
        return (f"{made.pieces} pieces of map, {seconds:.1f} s, {seconds / square_km:,.0f} s a km2",
                {"pieces": float(made.pieces), "seconds_a_km2": seconds / square_km})

    def search() -> tuple[str, dict[str, float]]:
        pairs = _pairs(town, open_model(last, device="cpu"))
        found, speed, _ = _log_probs(last, town, pairs, sizes.device, "fp32", folder / f"index-{preset}")
        wanted = _log_probs(last, town, pairs, "cpu", "fp32")[0]
        return _compared(found, wanted, TOLERANCES["fp32"] + STEP, speed)

    yield _timed(f"index {preset}", "describe the map", "fp32", make)
    yield _timed(f"index {preset}", "search with the index, as on the CPU without", "fp32", search)


def _large(folder: Path, sizes: Sizes) -> Iterator[Row]:
    half, depth = 500 * sizes.km, 4 if sizes.km > 1 else 3
    grid, count = ZoomGrid(Region(0.0, 0.0, (-half, half), (-half, half)), 4, depth), 16

    def search() -> tuple[str, dict[str, float]]:
        matching = Matching(grid, count, sizes.device)
        matching.search(1)  # reads the rough level once
        seconds = {}
        for photos in (1, count):
            began = time.perf_counter()
            masses = matching.search(photos)
            if sizes.device != "cpu":
                torch.cuda.synchronize()
            seconds[photos] = (time.perf_counter() - began) / photos
        if not bool(masses[-1].isfinite().any()):
            raise CheckError("no cell has a finite log-mass")
        words = f"{seconds[1] * 1000:,.0f} ms a photo alone, {seconds[count] * 1000:,.0f} ms in a batch of {count}"
        figures = {"km": sizes.km, "alone_ms": 1000 * seconds[1], "batch_ms": 1000 * seconds[count]}
        if sizes.device != "cpu":
            own, there = (one[0].double().log_softmax(0).cpu().numpy()[None]
                          for one in (Matching(grid, count, "cpu").search(1), matching.search(1)))
            said, more = _compared(there, own, TOLERANCES["fp32"], 1 / seconds[count])
            return f"{words}, {said.partition(',')[0]}", {**figures, **more}
        return words, figures

    yield _timed("large region", f"search of {sizes.km:g} km, a simulated description", "fp32", search)


def _timed(part: str, what: str, precision: str, work: Callable[[], tuple[str, dict[str, float]]]) -> Row:
    """Return the row of some work; an error of it becomes what the row says."""
    began = time.perf_counter()
    try:
        (found, figures), passed = work(), True
    except (CheckError, JustZoomInError, RuntimeError, ValueError, TypeError, LookupError, AssertionError, OSError) as error:
        found, figures, passed = " ".join(f"{type(error).__name__}: {error}".split())[:300], {}, False
    return Row(part, what, precision, passed, found, time.perf_counter() - began, figures)
