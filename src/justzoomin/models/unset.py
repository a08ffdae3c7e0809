"""Building a decoder without drawing weights, when they are read from a file next: drawing takes longer than reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

_DRAWING = frozenset({"normal_", "uniform_"})
"""Functions that our own modules and torch's linear layers use to draw weights."""


class UnsetWeights(TorchFunctionMode):
    """A context, for this thread only, in which tensors that would be drawn at random stay uninitialized.

    It is only for our own modules and plain layers. torch's truncated normal draws again until every value is within its
    bounds, and would never end if nothing is drawn. Encoders of transformers are built with its own `no_init_weights`.
    """

    def __torch_function__(self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        """Skip a function that draws; call every other function."""
        options = dict(kwargs or {})
        if getattr(func, "__name__", "") in _DRAWING:
            return args[0] if args else options["tensor"]
        return func(*args, **options)
