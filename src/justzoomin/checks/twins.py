"""Photos that two splits share: the same bytes, or nearly the same picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from justzoomin.data import PhotoStore, decode_photo, difference_hash
from justzoomin.errors import PhotoError, TileError
from justzoomin.parallel import ordered_map

Progress = Callable[[str, int, int], None]
T = TypeVar("T")

_FLAT = 6
"""Photos whose grey values span less than this count as one colour."""
_BANDS = 4
SAME_BITS = _BANDS - 1
"""64-bit hashes that differ in at most this many bits belong to nearly the same picture; four bands of 16 bits find all."""


def same_bytes(store: PhotoStore, ids: Sequence[str], others: Sequence[str], workers: int = 4,
               progress: Progress | None = None) -> tuple[list[tuple[str, str]], list[str]]:
    """Return pairs of photos, one of each split, with identical files, and the ids that could not be read.

    Only files whose size occurs in both splits are read, each of them once.
    """
    sizes = store.sizes()
    both = {sizes[i] for i in ids if i in sizes} & {sizes[i] for i in others if i in sizes}
    wanted = [i for i in dict.fromkeys([*ids, *others]) if sizes.get(i) in both]

    def digest(image_id: str) -> bytes | None:
        try:
            return hashlib.blake2b(store.read(image_id), digest_size=16).digest()
        except (PhotoError, TileError):
            return None

    digests = dict(zip(wanted, _run(digest, wanted, "bytes of photos", workers, progress), strict=True))
    by_digest: dict[bytes, list[str]] = {}
    for image_id in others:
        if (found := digests.get(image_id)) is not None:
            by_digest.setdefault(found, []).append(image_id)
    pairs = [(image_id, other) for image_id in ids if (key := digests.get(image_id)) is not None
             for other in by_digest.get(key, [])]
    unread = [i for i in dict.fromkeys([*ids, *others]) if i not in sizes or (i in digests and digests[i] is None)]
    return pairs, unread


def same_pictures(store: PhotoStore, ids: Sequence[str], others: Sequence[str], workers: int = 4,
                  progress: Progress | None = None) -> list[tuple[str, str]]:
    """Return pairs of photos, one of each split, whose difference hashes differ in at most three of 64 bits.

    Pictures of one colour and photos that cannot be decoded are left out.
    """
    wanted = list(dict.fromkeys([*ids, *others]))

    def picture_hash(image_id: str) -> int | None:
        try:
            return _picture_hash(store.read(image_id), store.where(image_id))
        except (PhotoError, TileError):
            return None

    hashes = dict(zip(wanted, _run(picture_hash, wanted, "pictures", workers, progress), strict=True))
    bands: dict[tuple[int, int], list[str]] = {}
    for image_id in others:
        for key in _keys(hashes[image_id]):
            bands.setdefault(key, []).append(image_id)
    pairs = []
    for image_id in ids:
        own = hashes[image_id]
        near = dict.fromkeys(other for key in _keys(own) for other in bands.get(key, []))
        pairs += [(image_id, other) for other in near
                  if own is not None and (there := hashes[other]) is not None and (own ^ there).bit_count() <= SAME_BITS]
    return pairs


def _picture_hash(data: bytes, where: str) -> int | None:
    """Return the difference hash of a photo, or None for a picture of (nearly) one colour.

    Raises:
        PhotoError: If the photo cannot be decoded.
    """
    grey = decode_photo(data, where, (72, 72)).mean(2).astype(np.uint8)
    return None if int(np.ptp(grey)) < _FLAT else difference_hash(grey)


def _keys(value: int | None) -> list[tuple[int, int]]:
    return [] if value is None else [(band, value >> 16 * band & 0xFFFF) for band in range(_BANDS)]


def _run(work: Callable[[str], T], items: list[str], label: str, workers: int, progress: Progress | None) -> list[T]:
    results = []
    for done, result in enumerate(ordered_map(work, items, workers), 1):
        results.append(result)
        if progress:
            progress(label, done, len(items))
    return results
