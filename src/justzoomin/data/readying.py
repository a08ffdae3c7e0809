"""Making ready photos: decoded once, appended to one file, resumable, named only when whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from justzoomin.data.decoding import photo_aspect
from justzoomin.data.photos import PhotoStore
from justzoomin.data.ready import ENTRIES, ENTRY, HEAD, PICTURES, STORE, ReadyKind, ReadyPhotos, photo_digest
from justzoomin.data.transforms import least_crop, sized_photo
from justzoomin.errors import DataError
from justzoomin.files import folder_lock, free_bytes, open_for_rows, open_to_write, refuse_links, sync, sync_folder, write_json
from justzoomin.parallel import ordered_map
from justzoomin.store import checksum, require_room

_SAMPLE = 8
_SYNC_EVERY = 256
_QUALITY = 95


@dataclass(frozen=True)
class ReadyPlan:
    """What making ready photos takes.

    Attributes:
        folder: Where they will be.
        photos: Their number.
        bytes: Estimate of their size, from some of them.
        free: Free space of that disk.
    """

    folder: Path
    photos: int
    bytes: int
    free: int


def ready_plan(photos: PhotoStore, ids: Sequence[str], kind: ReadyKind, out: Path) -> ReadyPlan:
    """Estimate what ready photos take on the disk.

    Raises:
        PhotoError: If one of the photos looked at cannot be used.
    """
    some = np.unique(np.linspace(0, len(ids) - 1, _SAMPLE).astype(int)).tolist() if len(ids) else []
    sizes = [len(_ready(photos, kind, ids[row])[1]) + ENTRY.itemsize for row in some]
    return ReadyPlan(out / kind.folder, len(ids), round(len(ids) * float(np.mean(sizes))) if sizes else 0, free_bytes(out))


def make_ready(photos: PhotoStore, ids: Sequence[str], kind: ReadyKind, out: Path, *, workers: int | None = None,
               progress: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Bring the photos of a split to size; go on where an earlier call stopped; return the folder.

    Where they are there already, the photos are read and compared with those they were made from; if one is
    another now, all are made anew.

    Args:
        photos: Where the photos are.
        ids: Their ids.
        kind: What they are made for.
        out: The folder that holds ready photos of all kinds.
        workers: Threads that decode; None for one per core.
        progress: Called with the number of photos done and of all.

    Raises:
        DataError: If the disk has too little room, another process makes them, or one of the folders is a link.
        PhotoError: If a photo cannot be used.
    """
    final, part = refuse_links(out, out / kind.folder), refuse_links(out, out / (kind.folder + ".part"))
    with folder_lock(out, "making of ready photos"):
        if final.is_dir() and _unchanged(final, kind, photos, ids):
            return final
        done = _resume(part, kind, photos, ids)
        missing = ready_plan(photos, ids, kind, out).bytes * (len(ids) - done) // max(1, len(ids))
        require_room(out, missing * 21 // 20, "the ready photos",
                     "Make room, give another folder with --out, or keep JPEGs with --encoding jpeg.")
        _append(part, kind, photos, ids, done, workers, progress)
        if final.is_dir():
            shutil.rmtree(final)
        part.replace(final)
        sync_folder(out)
    return final


def _ready(photos: PhotoStore, kind: ReadyKind, image_id: str) -> tuple[npt.NDArray[Any], bytes]:
    """The entry of a photo, without its offset, and the bytes to keep."""
    data, where = photos.read(image_id), photos.where(image_id)
    aspect, size = photo_aspect(data), (kind.pixels, 2 * kind.pixels)
    if kind.least_crop is not None:
        width, height = least_crop(aspect, (kind.least_crop, 1.0))
        size = (int(np.ceil(size[0] / height)), int(np.ceil(size[1] / width)))
    pixels = np.ascontiguousarray(sized_photo(data, where, size, kind.decode))
    content = pixels.tobytes() if kind.encoding == "raw" else simplejpeg.encode_jpeg(pixels, _QUALITY, "RGB", "444")
    entry = np.zeros((), ENTRY)
    for name, value in (("photo", photo_digest(data)), ("length", len(content)), ("crc", checksum(content)),
                        ("height", size[0]), ("width", size[1]), ("aspect", aspect)):
        entry[name] = value
    return entry, content


def _unchanged(final: Path, kind: ReadyKind, photos: PhotoStore, ids: Sequence[str]) -> bool:
    """Whether ready photos are there and every photo is still the one they were made from."""
    try:
        ready = ReadyPhotos(final, kind, ids)
    except DataError:
        return False
    return _same(ready.entries, photos, ids) == len(ids)


def _same(entries: npt.NDArray[Any], photos: PhotoStore, ids: Sequence[str]) -> int:
    """How many of the first photos are those of the entries."""
    for row, image_id in enumerate(ids[:len(entries)]):
        if photo_digest(photos.read(image_id)) != entries["photo"][row]:
            return row
    return len(entries)


def _resume(part: Path, kind: ReadyKind, photos: PhotoStore, ids: Sequence[str]) -> int:
    """Make the unfinished folder ready to be gone on with; return how many of its photos are whole."""
    try:
        if STORE.load(part / HEAD, dict) != kind.head(ids):
            raise STORE.error(part / HEAD, "it is the head of other ready photos")
        entries, size = np.fromfile(part / ENTRIES, ENTRY)[:len(ids)], (part / PICTURES).stat().st_size  # none that is torn
    except (DataError, OSError):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        write_json(kind.head(ids), part / HEAD)
        return 0
    starts = np.concatenate([[0], np.cumsum(entries["length"], dtype=np.int64)])
    whole = (entries["offset"].astype(np.int64) == starts[:-1]) & (starts[1:] <= size)
    done = len(entries) if whole.all() else int(whole.argmin())
    done = _same(entries[:done], photos, ids)
    for name, size in ((ENTRIES, done * ENTRY.itemsize), (PICTURES, int(starts[done]))):
        with open_for_rows(part / name) as file:
            file.truncate(size)
    return done


def _append(part: Path, kind: ReadyKind, photos: PhotoStore, ids: Sequence[str], done: int, workers: int | None,
            progress: Callable[[int, int], None]) -> None:
    waiting: list[bytes] = []
    with open_to_write(part / PICTURES, "ab") as pictures, open_to_write(part / ENTRIES, "ab") as entries:
        offset = pictures.seek(0, os.SEEK_END)

        def bring() -> None:
            """Pictures first: an entry on the disk then means that its picture is there too."""
            sync(pictures)
            entries.write(b"".join(waiting))
            sync(entries)
            waiting.clear()

        try:
            made = ordered_map(partial(_ready, photos, kind), ids[done:], workers)
            for number, (entry, content) in enumerate(made, done + 1):
                entry["offset"] = offset
                offset += pictures.write(content)
                waiting.append(entry.tobytes())
                if len(waiting) >= _SYNC_EVERY:
                    bring()
                progress(number, len(ids))
        finally:
            bring()
