"""Cache for outputs of the frozen blocks: a view that is not augmented goes through these blocks once.

A kept output belongs to its pixels and to everything else it depends on: the frozen weights, the architecture, the
normalization and the precision. So it needs no key of a map: a changed tile gives other pixels, which are encoded again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Protocol

import torch

from justzoomin.data import normalize
from justzoomin.errors import ModelError, TrainingError
from justzoomin.models import MapModel
from justzoomin.training.prefix_disk import DiskStore

Storage = Literal["fp32", "fp16"]
DTYPES: dict[Storage, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16}


class Store(Protocol):
    """A store of outputs by the number of the view."""

    def get(self, number: int, pixels: Callable[[], bytes]) -> torch.Tensor | None:
        """Return the output kept for a view, or None if there is none for these pixels."""

    def put(self, number: int, pixels: Callable[[], bytes], tokens: torch.Tensor) -> None:
        """Keep an output, if there is room."""


class MemoryStore:
    """Outputs in memory, on the device where they were made. The first ones stay; beyond the limit no more are kept.

    Dropping the least recently used outputs would be worse: an epoch goes through all photos once, so the views that were seen
    last come again last.

    Args:
        max_bytes: Size limit in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._kept: dict[int, torch.Tensor] = {}

    def get(self, number: int, pixels: Callable[[], bytes]) -> torch.Tensor | None:
        """Return the output kept for a view, or None; within a process the pixels of a view do not change."""
        return self._kept.get(number)

    def put(self, number: int, pixels: Callable[[], bytes], tokens: torch.Tensor) -> None:
        """Keep an output, if there is room."""
        size = tokens.element_size() * tokens.numel()
        if number not in self._kept and size <= self._left:
            self._left -= size
            self._kept[number] = tokens.clone()  # a copy, so that the batch is not kept in memory


class PrefixCache:
    """Outputs of `VisionEncoder.prefix` for views, computed once and kept.

    Args:
        model: The model; its encoder has a frozen part.
        store: The store that keeps the outputs.
        storage: Number format in the store: `fp32` is exact; `fp16` needs half the space and rounds.

    Attributes:
        hits: Number of views found so far.
        misses: Number of views encoded so far.
    """

    def __init__(self, model: MapModel, store: Store, storage: Storage = "fp32") -> None:
        self.model, self.store, self._dtype = model, store, DTYPES[storage]
        self.hits = self.misses = 0

    def tokens(self, numbers: Sequence[int], views: torch.Tensor) -> torch.Tensor:
        """Return the outputs of the frozen part (V, L, D), float32, on the views' device.

        Args:
            numbers: Numbers of the views among all views of the grid.
            views: Their pixels, uint8 (V, 3, n, n), unchanged from the map.
        """
        pixels = [_pixels(view) for view in views]
        found = [self.store.get(number, read) for number, read in zip(numbers, pixels, strict=True)]
        missing = [place for place, output in enumerate(found) if output is None]
        self.hits += len(found) - len(missing)
        self.misses += len(missing)
        if missing:
            config = self.model.config
            chosen = views if len(missing) == len(found) else views[torch.tensor(missing, device=views.device)]
            made = self.model.torch_encoder.prefix(normalize(chosen, config.mean, config.std)).to(self._dtype)
            for place, output in zip(missing, made, strict=True):
                found[place] = output
                if bool(torch.isfinite(output).all()):  # an output beyond the range of fp16 is used, but not kept
                    self.store.put(numbers[place], pixels[place], output)
        return torch.stack([output.to(views.device) for output in found if output is not None]).float()


def open_cache(model: MapModel, kind: Literal["memory", "disk"], max_bytes: int, storage: Storage, folder: Path, count: int,
               precision: str) -> PrefixCache:
    """Return a cache for a run.

    Args:
        model: The model to train.
        kind: `memory` or `disk`.
        max_bytes: Size limit of all outputs in bytes.
        storage: `fp32` or `fp16`.
        folder: Parent folder of a cache on the disk, whose own folder is named by its key.
        count: Number of views of the grid.
        precision: Number format of the run.

    Raises:
        ModelError: If the model has no frozen part.
        TrainingError: If the limit is too small for one view, the disk is too full, or the folder holds something else.
    """
    if model.torch_encoder.prefix_size is None:
        raise ModelError("prefix_cache", "the encoder has no frozen part whose outputs could be kept",
                         "Set prefix_cache=null, or train only the last blocks with model.encoder.trainable_blocks.")
    shape, each = _shape(model), torch.finfo(DTYPES[storage]).bits // 8
    if max_bytes < shape.numel() * each:
        what = f"the output of one view needs {shape.numel() * each} bytes, more than this limit"
        raise TrainingError("prefix_cache_mb", what, "Raise prefix_cache_mb, or set prefix_cache=null.")
    if kind == "memory":
        return PrefixCache(model, MemoryStore(max_bytes), storage)
    key = prefix_key(model, storage, precision)
    return PrefixCache(model, DiskStore(folder / key[:16], key, tuple(shape), DTYPES[storage], count, max_bytes), storage)


def prefix_key(model: MapModel, storage: Storage, precision: str) -> str:
    """Return sixty-four hex digits for everything except the pixels that an output depends on."""
    encoder, config = model.torch_encoder, model.config
    facts = {"encoder": encoder.config.model_dump(mode="json", exclude={"source"}), "mean": config.mean, "std": config.std,
             "pixels": config.image_pixels, "storage": storage, "precision": precision, "transformers": version("transformers")}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted([*encoder.named_parameters(), *encoder.named_buffers()]):
        if not tensor.requires_grad:
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _shape(model: MapModel) -> torch.Size:
    """Return the shape of one view's output, found by computing one."""
    pixels = model.config.image_pixels
    mode = model.training
    try:
        return model.eval().torch_encoder.prefix(torch.zeros(1, 3, pixels, pixels, device=model.device)).shape[1:]
    finally:
        model.train(mode)


def _pixels(view: torch.Tensor) -> Callable[[], bytes]:
    return lambda: view.cpu().numpy().tobytes()
