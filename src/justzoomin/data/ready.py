"""Ready photos: the photos of a split, resized once to a model's size, in one memory-mapped file.

A folder holds `head.json` (their settings), `entries.bin` (an `ENTRY` per photo, in the order of the split) and `pictures.bin`
(their pixels, or JPEGs, one after the other). docs/photo-cache.md describes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import simplejpeg

from justzoomin.data.cameras import PhotoCamera
from justzoomin.data.framing import SQUEEZE, Frame
from justzoomin.data.photos import PhotoStore
from justzoomin.data.transforms import Decode, cropped, plain_resize
from justzoomin.errors import DataError
from justzoomin.store import Rows, Store, checksum

STORE = Store("justzoomin-ready-photos/1", "ready photos", DataError, "Remove the folder and make them again.")
HEAD, ENTRIES, PICTURES = "head.json", "entries.bin", "pictures.bin"
ENTRY = np.dtype([("photo", "S16"), ("offset", "<u8"), ("length", "<u4"), ("crc", "<u4"), ("height", "<u4"), ("width", "<u4"),
                  ("aspect", "<f8")])
"""`photo` is the start of the SHA-256 of the photo's file, `crc` the CRC-32 of the picture's bytes, `aspect` the
photo's width over its height, which crops depend on."""
MAX_SIDE = 16_384
_SPOT_CHECKS = 16
Encoding = Literal["raw", "jpeg"]


@dataclass(frozen=True)
class ReadyKind:
    """The kind of ready photos: their split, size and settings.

    Args:
        split: Name of the split.
        pixels: Height of the model's photos; they are twice as wide.
        decode: How much of a photo is decoded.
        least_crop: Least share of a photo's area that a random crop keeps; pictures are stored larger then. None for full
            photos, resized to exactly the model's size.
        encoding: `raw` stores pixels, `jpeg` stores JPEGs of quality 95.
        frame: The frame that photos are brought into.
        cameras: What is known of the photos' cameras by id, for a frame that uses them.
    """

    split: str
    pixels: int
    decode: Decode
    least_crop: float | None = None
    encoding: Encoding = "raw"
    frame: Frame = SQUEEZE
    cameras: Mapping[str, PhotoCamera] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Name of the folder."""
        crop = "whole" if self.least_crop is None else f"crop{self.least_crop:g}"
        fit = f"-{self.frame.fit}{self.frame.fov_deg:g}deg" if self.frame.uses_cameras else ""
        return f"{self.split}-{self.pixels}px-{self.decode}-{crop}-{self.encoding}{fit}"

    def command(self, root: Path, out: Path) -> str:
        """Return the command that makes them."""
        crop = "" if self.least_crop is None else f" --least-crop {self.least_crop:g}"
        if self.frame.uses_cameras:
            crop += f" --photo-fit {self.frame.fit} --frame-fov {self.frame.fov_deg:g}"
        return f"jzi data ready {root} --split {self.split} --pixels {self.pixels} --decode {self.decode}{crop} --out {out}"

    def head(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return the content of head.json."""
        own = asdict(replace(self, cameras={}))
        del own["cameras"]
        if not self.frame.uses_cameras:  # heads are older than frames
            del own["frame"]
        else:
            known = "\n".join(f"{i},{self.cameras.get(i)!r}" for i in ids)
            own["cameras"] = hashlib.sha256(known.encode()).hexdigest()
        return {"format": STORE.format, **own, "photos": len(ids), "ids": hashlib.sha256("\n".join(ids).encode()).hexdigest()}


def photo_digest(data: bytes) -> bytes:
    """Return 16 bytes that identify a photo's bytes; the last is never zero, because numpy would drop it."""
    digest = hashlib.sha256(data).digest()
    return digest[:15] + (digest[15:16] if digest[15] else b"\x01")


class ReadyPhotos:
    """Ready photos of a split, by row.

    Args:
        folder: The folder of one kind.
        kind: What they must be.
        ids: Ids of the split's photos.

    Raises:
        DataError: If they are not there, are of other photos or settings, or cannot be trusted.
    """

    def __init__(self, folder: Path, kind: ReadyKind, ids: Sequence[str]) -> None:
        self.folder, self.kind = folder, kind
        if STORE.load(folder / HEAD, dict) != kind.head(ids):
            raise DataError(folder / HEAD, "the ready photos are of another split, another table or other settings",
                            "Make them again with jzi data ready.")
        self.entries = Rows(STORE, folder / ENTRIES, ENTRY, len(ids)).values
        self._pictures = Rows(STORE, folder / PICTURES, np.uint8)
        if not _sound(self.entries, self._pictures.count):
            raise STORE.error(folder / ENTRIES, f"it does not fit {PICTURES}")

    def __len__(self) -> int:
        return len(self.entries)

    def check(self, photos: PhotoStore, ids: Sequence[str]) -> None:
        """Compare some of the photos that still exist with those that the ready ones were made from.

        Raises:
            DataError: If a photo has changed.
        """
        present = photos.ids()
        there = [row for row, image_id in enumerate(ids) if image_id in present]
        for row in there[::max(1, len(there) // _SPOT_CHECKS)]:
            if photo_digest(photos.read(ids[row])) != self.entries["photo"][row]:
                raise DataError(photos.where(ids[row]), f"the photo differs from the copy in {self.folder}",
                                "Make the ready photos again with jzi data ready.")

    def aspect(self, row: int) -> float:
        """Return width over height of the photo that a ready one was made from."""
        return float(self.entries["aspect"][row])

    def picture(self, row: int) -> npt.NDArray[np.uint8]:
        """Return a picture as stored, uint8 (H, W, 3). Do not write into it.

        Raises:
            DataError: If its bytes have changed since they were written.
        """
        entry = self.entries[row]
        start, length = int(entry["offset"]), int(entry["length"])
        content = self._pictures.values[start:start + length]
        shape = (int(entry["height"]), int(entry["width"]), 3)
        if checksum(content) == int(entry["crc"]):
            try:
                raw = self.kind.encoding == "raw"
                pixels = content.reshape(shape) if raw else simplejpeg.decode_jpeg(content, "RGB")
                if pixels.shape == shape:
                    return pixels
            except ValueError:
                pass
        raise STORE.error(f"{self.folder / PICTURES}, picture {row}", "its bytes have changed since they were written")

    def wide(self, row: int, crop: tuple[float, float, float, float] | None = None) -> npt.NDArray[np.uint8]:
        """Return a photo at the model's size, uint8 (pixels, 2 * pixels, 3), in full or cropped as in `wide_photo`."""
        image, size = self.picture(row), (self.kind.pixels, 2 * self.kind.pixels)
        if crop is not None:
            image = cropped(image, crop)
        return image if image.shape[:2] == size else plain_resize(image, size)


def _sound(entries: npt.NDArray[Any], size: int) -> bool:
    """Return whether entries can belong to a file of that size."""
    if not len(entries):
        return True
    ends = entries["offset"].astype(np.float64) + entries["length"]
    sides = np.concatenate([entries["height"], entries["width"]])
    aspects = bool((entries["aspect"] > 0).all() and np.isfinite(entries["aspect"]).all())
    return bool(aspects and ends.max() <= size and sides.min() >= 1 and sides.max() <= MAX_SIDE)


def find_ready(out: Path, kind: ReadyKind, photos: PhotoStore, ids: Sequence[str], root: Path) -> ReadyPhotos:
    """Open the ready photos of a kind in a folder, raw ones before JPEGs, and compare some of them with the photos.

    Raises:
        DataError: If there are no ready photos, or they were made from other photos.
    """
    encodings: tuple[Encoding, ...] = ("raw", "jpeg")
    for encoding in encodings:
        there = replace(kind, encoding=encoding)
        if (out / there.folder).is_dir():
            found = ReadyPhotos(out / there.folder, there, ids)
            found.check(photos, ids)
            return found
    raise DataError(out, f"there are no ready photos {kind.folder}", f"Make them with: {kind.command(root, out)}.")
