"""Making ready photos: each is decoded once and appended to one file. It can resume; the folder is renamed when complete."""

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
from justzoomin.data.framing import framed_photo
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
    """What making ready photos needs.

    Attributes:
        folder: Folder that will hold them.
        photos: Number of photos.
        bytes: Estimated size in bytes, from a sample.
        free: Free space on that disk in bytes.
    """

    folder: Path
    photos: int
    bytes: int
    free: int


def ready_plan(photos: PhotoStore, ids: Sequence[str], kind: ReadyKind, out: Path) -> ReadyPlan:
    """Estimate the disk space for ready photos.

    Raises:
        PhotoError: If a photo of the sample cannot be used.
    """
    some = np.unique(np.linspace(0, len(ids) - 1, _SAMPLE).astype(int)).tolist() if len(ids) else []
    sizes = [len(_ready(photos, kind, ids[row])[1]) + ENTRY.itemsize for row in some]
    return ReadyPlan(out / kind.folder, len(ids), round(len(ids) * float(np.mean(sizes))) if sizes else 0, free_bytes(out))


def make_ready(photos: PhotoStore, ids: Sequence[str], kind: ReadyKind, out: Path, *, workers: int | None = None,
               progress: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Resize the photos of a split, continuing where an earlier call stopped, and return the folder.

    If the ready photos exist already, the photos are read and compared with those they were made from. If one has changed,
    all are made again.

    Args:
        photos: Source of the photos.
        ids: Ids of the photos.
        kind: The kind of ready photos to make.
        out: The folder that holds ready photos of all kinds.
        workers: Threads that decode; None for one per core.
        progress: Called with the number of photos done and the number of all photos.

    Raises:
        DataError: If the disk has too little space, another process makes them, or one of the folders is a link.
        PhotoError: If a photo cannot be used.
    """
    final, part = refuse_links(out, out / kind.folder), refuse_links(out, out / (kind.folder + ".part"))
    with folder_lock(out, "making of ready photos"):
        if final.is_dir() and _unchanged(final, kind, photos, ids):
            return final
        done = _resume(part, kind, photos, ids)
        missing = ready_plan(photos, ids, kind, out).bytes * (len(ids) - done) // max(1, len(ids))
        require_room(out, missing * 21 // 20, "the ready photos",
                     "Free some space, give another folder with --out, or store JPEGs with --encoding jpeg.")
        _append(part, kind, photos, ids, done, workers, progress)
        if final.is_dir():
            shutil.rmtree(final)
        part.replace(final)
        sync_folder(out)
    return final


def _ready(photos: PhotoStore, kind: ReadyKind, image_id: str) -> tuple[npt.NDArray[Any], bytes]:
    """Return the entry of a photo, without its offset, and the bytes to store."""
    data, where = photos.read(image_id), photos.where(image_id)
    aspect, size = photo_aspect(data), (kind.pixels, 2 * kind.pixels)
    if kind.least_crop is not None:
        width, height = least_crop(aspect, (kind.least_crop, 1.0))
        size = (int(np.ceil(size[0] / height)), int(np.ceil(size[1] / width)))
    pixels = sized_photo(data, where, size, kind.decode) if not kind.frame.uses_cameras else framed_photo(
        data, where, kind.pixels, kind.decode, kind.frame, kind.cameras.get(image_id)).pixels
    pixels = np.ascontiguousarray(pixels)
    content = pixels.tobytes() if kind.encoding == "raw" else simplejpeg.encode_jpeg(pixels, _QUALITY, "RGB", "444")
    entry = np.zeros((), ENTRY)
    for name, value in (("photo", photo_digest(data)), ("length", len(content)), ("crc", checksum(content)),
                        ("height", size[0]), ("width", size[1]), ("aspect", aspect)):
        entry[name] = value
    return entry, content


def _unchanged(final: Path, kind: ReadyKind, photos: PhotoStore, ids: Sequence[str]) -> bool:
    """Return whether ready photos exist and every photo is still the one they were made from."""
    try:
        ready = ReadyPhotos(final, kind, ids)
    except DataError:
        return False
    return _same(ready.entries, photos, ids) == len(ids)


def _same(entries: npt.NDArray[Any], photos: PhotoStore, ids: Sequence[str]) -> int:
    """Return how many photos, counted from the first, match their entries."""
    for row, image_id in enumerate(ids[:len(entries)]):
        if photo_digest(photos.read(image_id)) != entries["photo"][row]:
            return row
    return len(entries)


def _resume(part: Path, kind: ReadyKind, photos: PhotoStore, ids: Sequence[str]) -> int:
    """Prepare the unfinished folder for resuming and return how many of its photos are complete."""
    try:
        if STORE.load(part / HEAD, dict) != kind.head(ids):
            raise STORE.error(part / HEAD, "it describes other ready photos")
        # fromfile drops an entry that is cut off
        entries, size = np.fromfile(part / ENTRIES, ENTRY)[:len(ids)], (part / PICTURES).stat().st_size
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
            """Write pictures first, then entries: so an entry on the disk means that its picture is there too."""
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
