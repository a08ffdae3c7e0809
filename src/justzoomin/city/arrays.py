"""Array types, colour curves and periodic noise shared by the rooms of the town."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]

NOISE = 512  # side of the periodic noise tiles


def linear(rgb: tuple[float, ...] | Array) -> F32:
    """Return linear light (0..1) of sRGB values 0..255, by the sRGB transfer curve (IEC 61966-2-1)."""
    c = np.asarray(rgb, np.float64) / 255.0
    return np.asarray(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4), np.float32)


LINEAR_OF_BYTE: F32 = linear(np.arange(256.0))


def noise_tile(seed: int, slope: float) -> F32:
    """Return a periodic (512, 512) tile of noise in 0..1 whose amplitude falls with frequency**-slope."""
    rng = np.random.default_rng([seed, 77])
    spectrum = np.fft.rfft2(rng.standard_normal((NOISE, NOISE)))
    fy = np.fft.fftfreq(NOISE)[:, None] * NOISE
    fx = np.fft.rfftfreq(NOISE)[None, :] * NOISE
    radius = np.hypot(fx, fy)
    radius[0, 0] = 1.0
    spectrum *= radius**-slope
    spectrum[0, 0] = 0.0
    tile = np.fft.irfft2(spectrum, (NOISE, NOISE))
    ranks = np.clip(0.5 + tile / (tile.std() * 4.0), 0.0, 1.0)
    # rounded: the last bits of an FFT may differ between builds of numpy
    return np.asarray(np.round(ranks * 1024.0) / 1024.0, np.float32)


def sample(tile: F32, u: F32, v: F32) -> F32:
    """Return the nearest values of a periodic noise tile at (u, v) in tile pixels, any sign."""
    rows = v.astype(np.int32) & (NOISE - 1)
    cols = u.astype(np.int32) & (NOISE - 1)
    rows *= NOISE
    rows += cols
    return np.take(tile.reshape(-1), rows)


def sample_smooth(tile: F32, u: F32, v: F32) -> F32:
    """Return bilinear values of a periodic noise tile at (u, v) in tile pixels, any sign."""
    import cv2

    n = u.size
    if not n:  # OpenCV refuses an empty map
        return np.zeros(u.shape, np.float32)
    width = 1024
    rows = -(-n // width)
    maps = np.zeros((2, rows * width), np.float32)
    np.mod(u.reshape(-1), NOISE, out=maps[0, :n])
    np.mod(v.reshape(-1), NOISE, out=maps[1, :n])
    out = cv2.remap(tile, maps[0].reshape(rows, width), maps[1].reshape(rows, width), cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_WRAP)
    return np.asarray(out, np.float32).reshape(-1)[:n].reshape(u.shape)
