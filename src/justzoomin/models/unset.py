"""Building a network without drawing weights that are read from a file next: drawing takes longer than reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

_DRAWING = frozenset({"normal_", "uniform_", "trunc_normal_", "erfinv_"})
"""What torch's and transformers' initialization spends its time in; `erfinv_` is a step of a truncated normal."""


class UnsetWeights(TorchFunctionMode):
    """A context, of this thread alone, in which tensors that would be filled at random are left as they lie in memory.

    Everything else is done, so tables that no file holds, such as those of positions, are right.
    """

    def __torch_function__(self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        """Skip a drawing; call everything else."""
        options = dict(kwargs or {})
        if getattr(func, "__name__", "") in _DRAWING:
            return args[0] if args else options["tensor"]
        return func(*args, **options)
