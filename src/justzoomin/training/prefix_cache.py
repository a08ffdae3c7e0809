"""Outputs of the frozen blocks, kept: a view that nobody changes goes through them once.

A kept output is bound to the pixels it was made from and to everything that made it: the frozen weights, the architecture, the
normalization and the precision. So no key of a map is needed: a changed tile gives other pixels, and other pixels are encoded.
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
from justzoomin.models import ZoomModel
from justzoomin.training.prefix_disk import DiskStore

Storage = Literal["fp32", "fp16"]
DTYPES: dict[Storage, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16}


class Store(Protocol):
    """Where outputs are kept, by number of the view."""

    def get(self, number: int, pixels: Callable[[], bytes]) -> torch.Tensor | None:
        """The output kept under a number, if it was made from these pixels."""

    def put(self, number: int, pixels: Callable[[], bytes], tokens: torch.Tensor) -> None:
        """Keep an output, if there is room."""


class MemoryStore:
    """Outputs in memory, on the device where they were made. What comes first stays; with the room used up, no more is kept.

    Throwing out the least recently used would keep fewer of those that are needed: an epoch goes through all photos once, so
    what was seen last comes back last.

    Args:
        max_bytes: Room.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._kept: dict[int, torch.Tensor] = {}

    def get(self, number: int, pixels: Callable[[], bytes]) -> torch.Tensor | None:
        """The output kept under a number; within a process a number has one picture."""
        return self._kept.get(number)

    def put(self, number: int, pixels: Callable[[], bytes], tokens: torch.Tensor) -> None:
        """Keep an output, if there is room."""
        size = tokens.element_size() * tokens.numel()
        if number not in self._kept and size <= self._left:
            self._left -= size
            self._kept[number] = tokens.clone()  # of its own, not a part of the batch it was made in


class PrefixCache:
    """What `VisionEncoder.prefix` gives for views, made once and kept.

    Args:
        model: The model; its encoder has a frozen part.
        store: Where outputs are kept.
        storage: Number format in the store: `fp32` gives back what was put in, `fp16` takes half the room and rounds.

    Attributes:
        hits: Views found so far.
        misses: Views encoded so far.
    """

    def __init__(self, model: ZoomModel, store: Store, storage: Storage = "fp32") -> None:
        self.model, self.store, self._dtype = model, store, DTYPES[storage]
        self.hits = self.misses = 0

    def tokens(self, numbers: Sequence[int], views: torch.Tensor) -> torch.Tensor:
        """Outputs of the frozen part (V, L, D), float32, on the views' device.

        Args:
            numbers: Numbers of the views among all views of the grid.
            views: Their pixels, uint8 (V, 3, n, n), as the map gives them.
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
                if bool(torch.isfinite(output).all()):  # beyond the range of fp16 it is used and not kept
                    self.store.put(numbers[place], pixels[place], output)
        return torch.stack([output.to(views.device) for output in found if output is not None]).float()


def open_cache(model: ZoomModel, kind: Literal["memory", "disk"], max_bytes: int, storage: Storage, folder: Path, count: int,
               precision: str) -> PrefixCache:
    """A cache for a run.

    Args:
        model: The model that is trained.
        kind: `memory` or `disk`.
        max_bytes: Room for all outputs.
        storage: `fp32` or `fp16`.
        folder: Where a cache on the disk lies, in a folder named by its key.
        count: Views of the grid.
        precision: Number format that the run computes in.

    Raises:
        ModelError: If the model has no frozen part.
        TrainingError: If the room does not hold one view, the disk is too full, or the folder holds something else.
    """
    if model.encoder.prefix_size is None:
        raise ModelError("prefix_cache", "the encoder has no frozen part whose outputs could be kept",
                         "Set prefix_cache=null, or train only the last blocks with model.encoder.trainable_blocks.")
    shape, each = _shape(model), torch.finfo(DTYPES[storage]).bits // 8
    if max_bytes < shape.numel() * each:
        raise TrainingError("prefix_cache_mb", f"one view's output takes {shape.numel() * each} bytes and there is less room",
                            "Raise prefix_cache_mb, or set prefix_cache=null.")
    if kind == "memory":
        return PrefixCache(model, MemoryStore(max_bytes), storage)
    key = prefix_key(model, storage, precision)
    return PrefixCache(model, DiskStore(folder / key[:16], key, tuple(shape), DTYPES[storage], count, max_bytes), storage)


def prefix_key(model: ZoomModel, storage: Storage, precision: str) -> str:
    """Sixty-four hex digits of everything but the pixels that an output depends on."""
    encoder, config = model.encoder, model.config
    facts = {"encoder": encoder.config.model_dump(mode="json", exclude={"source"}), "mean": config.mean, "std": config.std,
             "pixels": config.image_pixels, "storage": storage, "precision": precision, "transformers": version("transformers")}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted([*encoder.named_parameters(), *encoder.named_buffers()]):
        if not tensor.requires_grad:
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _shape(model: ZoomModel) -> torch.Size:
    """Shape of one view's output, by making one."""
    pixels = model.config.image_pixels
    mode = model.training
    try:
        return model.eval().torch_encoder.prefix(torch.zeros(1, 3, pixels, pixels, device=model.device)).shape[1:]
    finally:
        model.train(mode)


def _pixels(view: torch.Tensor) -> Callable[[], bytes]:
    return lambda: view.cpu().numpy().tobytes()
