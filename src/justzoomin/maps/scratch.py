"""Arrays whose memory is used again: new memory from the system for each view takes as long as drawing it."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_KEPT_BYTES = 32 << 20
"""Most bytes kept for one array and thread; larger arrays are not kept."""
_kept = threading.local()


def scratch(name: str, shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an uninitialized array of this thread; the next call with the same name returns the same memory.

    Args:
        name: Its use; arrays with different names have separate memory.
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
