"""Arrays that are used again: asking the system for fresh pages for every view takes as long as drawing it."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_KEPT_BYTES = 32 << 20
"""Of one array and thread; larger ones are made and forgotten."""
_kept = threading.local()


def scratch(name: str, shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of this thread with anything in it; the next call with the same name gives the same memory again.

    Args:
        name: What it is for: arrays of different names lie apart.
        shape: Its shape.
        kind: Its dtype.
    """
    dtype = np.dtype(kind)
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_KEPT_BYTES:
        return np.empty(shape, dtype)
    memory: npt.NDArray[np.uint8] | None = getattr(_kept, name, None)
    if memory is None or memory.nbytes < size:
        memory = np.empty(size, np.uint8)
        setattr(_kept, name, memory)
    return memory[:size].view(dtype).reshape(shape)
