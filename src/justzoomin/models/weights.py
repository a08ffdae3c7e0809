"""The weights file of a model folder. Its header is read first, and limits the sizes that the settings may have."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from justzoomin.errors import ModelError
from justzoomin.models.architectures import sizes
from justzoomin.models.config import ModelConfig
from justzoomin.models.families import family_of

Shapes = dict[str, tuple[int, ...]]

_MAX_HEADER_BYTES = 16 << 20
_AGAIN = "The file is truncated or not a safetensors file. Copy or download it again."
_BELONGING = "Use the config.json that belongs to these weights, or weights that belong to it."
_FACTORIES = frozenset({"empty", "zeros", "ones", "full", "rand", "randn"})
_SPARE = 1 << 24
"""Numbers that a model may allocate in addition to its weights, such as tables of positions."""


def read_shapes(path: Path) -> Shapes:
    """Return the shapes of the tensors in a file by name; no weight is read.

    Raises:
        ModelError: If the file cannot be read, or the weights would not fit into this machine's memory.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > _MAX_HEADER_BYTES:
            raise ValueError(f"its header has {header} bytes; at most {_MAX_HEADER_BYTES} are allowed")
        with safe_open(path, "pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(path, f"these weights cannot be read ({error})", _AGAIN) from error
    needed, there = 4 * count(shapes), memory_bytes()
    if there is not None and needed > there:
        raise ModelError(path, f"its weights need {needed / 1e9:.1f} GB of memory, but this machine has {there / 1e9:.1f} GB",
                         "Use a machine with more memory, or a smaller model.")
    return shapes


def open_weights(path: Path, without: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Return the tensors of a file by name, except those whose names begin with one of `without`.

    Raises:
        ModelError: If the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in sorted(file.keys()) if not name.startswith(without)}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(path, f"these weights cannot be read ({error})", _AGAIN) from error


def memory_bytes() -> int | None:
    """Return the memory of this machine in bytes; None if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the number of values in tensors of these shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


def check_settings(config: ModelConfig, shapes: Shapes, where: Path) -> None:
    """Refuse settings that need larger weights than the file has, before anything is built from them.

    A width must be in the shape of some tensor, and each block has its own tensors.

    Raises:
        ModelError: If so. The message names the setting.
    """
    widest = max((size for shape in shapes.values() for size in shape), default=0)
    for name, value, counted in _asked(config):
        most = len(shapes) if counted else widest
        if value > most:
            what = f"the weights have only {most} tensors" if counted else f"no tensor of the weights is wider than {most}"
            raise ModelError(f"{where}: {name}", f"it is {value}, but {what}", _BELONGING)


def _asked(config: ModelConfig) -> Iterator[tuple[str, int, bool]]:
    """Yield the settings that determine sizes of weights: name, value, and whether the value counts blocks."""
    for name, value, counted in sizes(config.encoder.architecture or {}):
        yield f"encoder.architecture.{name}", value, counted
    yield "encoder.stages", max(config.encoder.stages, default=0), True
    family = family_of(config.family)
    if "decoder" in family.uses:
        yield "decoder.blocks", config.decoder.blocks, True
        yield "decoder.width", config.decoder.width or 0, False
        yield "decoder.ffn_multiple_of", config.decoder.ffn_multiple_of, False
    if "retriever" in family.uses:
        yield "retriever.width", config.retriever.width or 0, False
    if family.most_cells is not None:
        yield "depth", config.actions**config.depth, False
    if config.matcher is not None:
        for name in ("width", "channels", "ranges", "headings"):
            yield f"matcher.{name}", getattr(config.matcher, name), False


class Budget(TorchFunctionMode):
    """A context, for this thread only, in which a model is built that must not have more weights than its file.

    Every tensor is counted before it is made.

    Args:
        shapes: Shapes of the file's tensors.
        where: The settings file.

    Raises:
        ModelError: Inside the context, as soon as the model needs more numbers or tensors.
    """

    def __init__(self, shapes: Shapes, where: Path) -> None:
        super().__init__()
        self._where = where
        self._numbers, self._tensors = count(shapes) + _SPARE, 4 * len(shapes) + 1000
        self._file = count(shapes)

    def __torch_function__(self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        """Call the function; count the tensor first if it makes one."""
        options = dict(kwargs or {})
        if getattr(func, "__name__", "") in _FACTORIES:
            given = options.get("size", args[0] if args and isinstance(args[0], list | tuple) else
                                [size for size in args if type(size) is int])
            self._numbers -= math.prod(int(size) for size in given)
            self._tensors -= 1
            if self._numbers < 0 or self._tensors < 0:
                raise ModelError(self._where, "its settings (widths, blocks, image_size) need more weights than the "
                                 f"{self._file} numbers in the weights file", _BELONGING)
        return func(*args, **options)
