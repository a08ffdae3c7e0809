"""Which photos to keep: sharpness, and hashes that find photos that look alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from justzoomin.data import difference_hash
from justzoomin.geometry import haversine_m, to_local

Pixels = npt.NDArray[np.uint8]

LOOKED_AT_PX = 384
"""Photos are examined at this height: the models see no finer detail."""
_FLAT = 1.0
"""Photos whose grey values vary less than this are blank."""


@dataclass(frozen=True)
class Look:
    """What a photo looks like, in two numbers.

    Args:
        sharpness: See `sharpness`.
        hash: See `difference_hash`.
    """

    sharpness: float
    hash: int


def look(pixels: Pixels) -> Look:
    """Measure a photo, uint8 (H, W, 3)."""
    import cv2

    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    return Look(sharpness(grey), difference_hash(grey))


def sharpness(grey: Pixels) -> float:
    """Return the variance of the Laplacian over the variance of the grey values, at a height of 384 px.

    About 0.2 to 1.2 for sharp street photos, 0.01 to 0.05 if they are blurred by a pixel (standard deviation) at that height,
    below 0.006 if blurred by two. A heuristic: noise increases it, fog decreases it. 0 for a flat picture.

    Args:
        grey: uint8 (H, W); photos lower than 384 px are used unscaled.

    Source: variance of the Laplacian as a measure of focus, Pech-Pacheco et al. 2000; dividing by the contrast is our addition.
    """
    import cv2

    height, width = grey.shape
    if height > LOOKED_AT_PX:
        grey = np.asarray(cv2.resize(grey, (max(1, round(width * LOOKED_AT_PX / height)), LOOKED_AT_PX),
                                     interpolation=cv2.INTER_AREA))
    small = grey.astype(np.float32)
    contrast = float(small.var())
    return float(np.asarray(cv2.Laplacian(small, cv2.CV_32F)).var()) / contrast if contrast >= _FLAT else 0.0


@dataclass(frozen=True)
class Seen:
    """What identifies a photo.

    Args:
        digest: Hash of the file's bytes.
        hash: `difference_hash` of its picture.
        lat: Latitude in degrees.
        lon: Longitude in degrees.
    """

    digest: str
    hash: int
    lat: float
    lon: float


@dataclass(frozen=True)
class Twin:
    """A photo that repeats another one.

    Args:
        index: Its index.
        of: Index of the kept one.
        same_bytes: Whether the files are identical.
        distance_m: Distance between their positions, in metres.
    """

    index: int
    of: int
    same_bytes: bool
    distance_m: float


def find_twins(photos: Sequence[Seen], centre: tuple[float, float], within_m: float, bits: int) -> list[Twin]:
    """Find photos that are the same file as an earlier one, or look like an earlier one nearby.

    Args:
        photos: Photos, those to keep first.
        centre: A position near them, (lat, lon) in degrees.
        within_m: Maximum distance in metres.
        bits: Maximum number of differing hash bits of photos that look alike.
    """
    twins: list[Twin] = []
    by_digest: dict[str, int] = {}
    by_place: dict[tuple[int, int], list[int]] = {}
    east, north = to_local(centre[0], centre[1], np.array([p.lat for p in photos]), np.array([p.lon for p in photos]))
    step = max(within_m, 0.01) * 1.05  # the chart is slightly curved: everything within reach is in the next square
    columns, rows = np.floor(east / step).astype(np.int64).tolist(), np.floor(north / step).astype(np.int64).tolist()
    for index, photo in enumerate(photos):
        first = by_digest.setdefault(photo.digest, index)
        if first != index:
            twins.append(Twin(index, first, True, _distance(photo, photos[first])))
            continue
        near = (by_place.get((columns[index] + i, rows[index] + j), ()) for i in (-1, 0, 1) for j in (-1, 0, 1))
        alike = _alike(photo, photos, (k for group in near for k in group), within_m, bits)
        if alike is None:
            by_place.setdefault((columns[index], rows[index]), []).append(index)
        else:
            twins.append(Twin(index, alike, False, _distance(photo, photos[alike])))
    return twins


def _alike(photo: Seen, photos: Sequence[Seen], candidates: Iterable[int], within_m: float, bits: int) -> int | None:
    """Return the first candidate that looks like a photo and is nearby, or None."""
    alike = [k for k in candidates if (photos[k].hash ^ photo.hash).bit_count() <= bits
             and _distance(photos[k], photo) <= within_m]
    return min(alike, default=None)


def _distance(one: Seen, other: Seen) -> float:
    return float(haversine_m(one.lat, one.lon, other.lat, other.lon))
