"""A hash that finds pictures that look alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def difference_hash(grey: npt.NDArray[np.uint8]) -> int:
    """Return 64 bits: whether each of 8 x 8 pixels is darker than its right neighbour, in the picture shrunk to 9 x 8 px.

    Pictures that look alike differ in few bits. The hash of a picture of one colour is meaningless.

    Args:
        grey: uint8 (H, W).

    Source: N. Krawetz, "Kind of Like That" (2013).
    """
    import cv2

    small = np.asarray(cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA))
    return int.from_bytes(np.packbits(small[:, :-1] < small[:, 1:]).tobytes(), "big")
