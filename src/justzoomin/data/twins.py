"""Photos that two splits share: the same bytes, or nearly the same picture."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from justzoomin.data.photos import SUFFIX, FolderPhotos, PhotoStore, ShardPhotos, decode_photo
from justzoomin.errors import PhotoError, TileError

Progress = Callable[[str, int, int], None]
T = TypeVar("T")

_BANDS = 4
SAME_BITS = _BANDS - 1
"""Hashes of 64 bits that differ in at most this many are of nearly the same picture; four bands of 16 bits find them all."""


def same_bytes(store: PhotoStore, ids: Sequence[str], others: Sequence[str], workers: int = 4,
               progress: Progress | None = None) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of photos, one of each split, whose files are the same, and the ids that could not be read.

    Only files whose size occurs in both splits are read, each once.
    """
    sizes = _sizes(store, {*ids, *others})
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
    """Pairs of photos, one of each split, whose difference hashes differ in at most three of 64 bits.

    Pictures of one colour and photos that cannot be decoded are left out.

    Source of the hash: N. Krawetz, "Kind of Like That" (2013), differences of neighbours on 9 x 8 grey pixels.
    """
    wanted = list(dict.fromkeys([*ids, *others]))

    def picture_hash(image_id: str) -> int | None:
        try:
            return difference_hash(store.read(image_id), store.where(image_id))
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


def difference_hash(data: bytes, where: str) -> int | None:
    """64 bits of which neighbour is brighter; None for a picture of (nearly) one colour.

    Raises:
        PhotoError: If the photo cannot be decoded.
    """
    import cv2

    grey = decode_photo(data, where, (72, 72)).astype(np.float32).mean(2)
    small = np.asarray(cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA))
    if float(np.ptp(small)) < 4.0:
        return None
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), "big")


def _sizes(store: PhotoStore, ids: set[str]) -> dict[str, int]:
    """Bytes of photos; those that are not there are left out."""
    if isinstance(store, ShardPhotos):
        return {i: store._shards.sizes[name] for i, name in store._names.items() if i in ids}
    if isinstance(store, FolderPhotos):
        with os.scandir(store._folder) as entries:
            return {i: e.stat().st_size for e in entries if (i := e.name.removesuffix(SUFFIX)) in ids and i != e.name}
    return {i: len(store.read(i)) for i in ids & store.ids()}


def _keys(value: int | None) -> list[tuple[int, int]]:
    return [] if value is None else [(band, value >> 16 * band & 0xFFFF) for band in range(_BANDS)]


def _run(work: Callable[[str], T], items: Iterable[str], label: str, workers: int, progress: Progress | None) -> list[T]:
    items = list(items)
    results = []
    with ThreadPoolExecutor(workers) as pool:
        for done, result in enumerate(pool.map(work, items), 1):
            results.append(result)
            if progress:
                progress(label, done, len(items))
    return results
