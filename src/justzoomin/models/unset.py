"""Building a decoder without drawing weights that are read from a file next: drawing takes longer than reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

_DRAWING = frozenset({"normal_", "uniform_"})
"""What our own modules and torch's linear layers draw with."""


class UnsetWeights(TorchFunctionMode):
    """A context, of this thread alone, in which tensors that would be filled at random are left as they lie in memory.

    For modules of ours and plain layers alone: torch's truncated normal draws again until every value lies within its bounds,
    and never ends where nothing is drawn. Encoders of transformers are built with its own `no_init_weights`.
    """

    def __torch_function__(self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        """Skip a drawing; call everything else."""
        options = dict(kwargs or {})
        if getattr(func, "__name__", "") in _DRAWING:
            return args[0] if args else options["tensor"]
        return func(*args, **options)
