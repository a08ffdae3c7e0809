"""Street photos: bytes from TAR shards in place or from files, decoded no larger than needed."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from justzoomin.errors import DataError, PhotoError
from justzoomin.maps import TarShards

Pixels = npt.NDArray[np.uint8]

SUFFIX = "_undistorted.jpg"
MEMBER_FOLDER = "streetview/images"
MAX_PIXELS = 100_000_000
"""More pixels than this are refused before decoding: no street camera makes them, decompression bombs do."""
MIN_SIDE = 16
"""Photos narrower or lower than this many pixels show nothing to localize by."""
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""What Pillow may open: formats of photos only, none that runs another program (EPS starts Ghostscript)."""
_ORIENTATION = 0x0112


class PhotoStore(Protocol):
    """Where the bytes of photos come from."""

    def read(self, image_id: str) -> bytes:
        """Bytes of one photo; raises PhotoError if there is none."""

    def ids(self) -> set[str]:
        """Ids of all photos there are."""

    def where(self, image_id: str) -> str:
        """Name of the file or shard member, for error texts."""

    def total_bytes(self) -> int:
        """Bytes of all photos."""


class ShardPhotos:
    """Photos inside `archives/streetview_images_*.tar`, read in place."""

    def __init__(self, shards: Iterable[Path]) -> None:
        self._shards = TarShards(sorted(shards))
        self._names: dict[str, str] = {}
        for name in self._shards.names():
            if name.endswith(SUFFIX):
                first = self._names.setdefault(name.rpartition("/")[2].removesuffix(SUFFIX), name)
                if first != name:
                    raise DataError(f"{self._shards.shard_of(name)}:{name}", f"the photo stands there as {first} as well",
                                    "Remove the member that does not belong there.")

    def read(self, image_id: str) -> bytes:
        """Bytes of one photo."""
        if image_id not in self._names:
            raise PhotoError(image_id + SUFFIX, "no shard holds this photo",
                             "Download the missing shard, or drop the row from the split.")
        return self._shards.read(self._names[image_id])

    def ids(self) -> set[str]:
        """Ids of all photos in the shards."""
        return set(self._names)

    def where(self, image_id: str) -> str:
        """Shard and member of a photo."""
        name = self._names.get(image_id)
        return f"{self._shards.shard_of(name)}:{name}" if name else image_id + SUFFIX

    def total_bytes(self) -> int:
        """Bytes of all photos."""
        return sum(self._shards.sizes[n] for n in self._names.values())


class FolderPhotos:
    """Photos as files `<image_id>_undistorted.jpg` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, image_id: str) -> Path:
        if "/" in image_id or "\\" in image_id or image_id in {"", ".", ".."}:
            raise PhotoError(repr(image_id), "an image id may not hold a path", "Correct the row of the split.")
        return self._folder / (image_id + SUFFIX)

    def read(self, image_id: str) -> bytes:
        """Bytes of one photo."""
        path = self._path(image_id)
        try:
            return path.read_bytes()
        except OSError as error:
            raise PhotoError(path, f"the photo cannot be read ({error.strerror})",
                             "Put the file there, or drop the row from the split.") from error

    def ids(self) -> set[str]:
        """Ids of all photos in the folder."""
        return {p.name.removesuffix(SUFFIX) for p in self._folder.glob("*" + SUFFIX)}

    def where(self, image_id: str) -> str:
        """Path of a photo."""
        return str(self._path(image_id))

    def total_bytes(self) -> int:
        """Bytes of all photos."""
        return sum(p.stat().st_size for p in self._folder.glob("*" + SUFFIX))


def open_photos(root: Path) -> PhotoStore:
    """Find the photos of a repository, as downloaded or as extracted; an extracted folder that holds any goes first.

    Raises:
        DataError: If there are neither shards nor a folder of photos.
    """
    folder = root / MEMBER_FOLDER
    shards = sorted((root / "archives").glob("streetview_images_*.tar"))
    if folder.is_dir() and not (shards and next(folder.glob("*" + SUFFIX), None) is None):
        return FolderPhotos(folder)
    if shards:
        return ShardPhotos(shards)
    raise DataError(root, f"no archives/streetview_images_*.tar and no {MEMBER_FOLDER}/ in it",
                    "Give the folder that holds the dataset, downloaded or extracted.")


def decode_photo(data: bytes, where: str, min_size: tuple[int, int] | None = None) -> Pixels:
    """Decode a photo to upright RGB.

    JPEGs are decoded at the smallest of libjpeg's scales (1/1 to 1/8) that is not below `min_size`: a 2048 x 1152
    photo that becomes 768 x 384 is never decoded in full.

    Args:
        data: The file's bytes, in one of `FORMATS`.
        where: Name of the file, for error texts.
        min_size: Least height and width in pixels that the caller needs; None decodes in full.

    Returns:
        uint8 (H, W, 3), turned upright by the EXIF orientation. Other EXIF fields are not looked at.

    Raises:
        PhotoError: If it is no image, truncated, too small, of an absurd pixel count, or its values are no colours.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise PhotoError(where, f"{width} x {height} pixels", f"Photos up to {MAX_PIXELS} pixels are read.")
        if min(width, height) < MIN_SIDE:
            raise PhotoError(where, f"only {width} x {height} pixels",
                             f"Give a photo of at least {MIN_SIDE} pixels a side.")
        orientation = exif_orientation(image)
        if image.format in {"JPEG", "MPO"} and image.mode in {"RGB", "L"}:
            need = (min_size if orientation < 5 else min_size[::-1]) if min_size else (0, 0)
            pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=need[0], min_width=need[1], strict=True)
        else:
            pixels = _other(image, where)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(where, f"far too many pixels ({error})", f"Photos up to {MAX_PIXELS} pixels are read.") from error
    except UnidentifiedImageError as error:
        raise PhotoError(where, "it is no image that can be read", "Give a JPEG or PNG photo.") from error
    except _DECODING as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PhotoError(where, f"the image is broken ({reason})", "Fetch or export the photo again.") from error
    return _upright(pixels, orientation)


_DECODING = (OSError, ValueError, TypeError, SyntaxError, struct.error, EOFError, MemoryError, LookupError, ArithmeticError,
             RuntimeError)
"""What Pillow and libjpeg raise over broken files."""


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8 of an image; 1, as it lies, where it states none or its EXIF part cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DECODING:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _other(image: Image.Image, where: str) -> Pixels:
    """RGB of an image that is no plain JPEG; 16-bit greys keep their upper half, which Pillow would clip."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):  # older Pillows say I
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in {"I", "F"}:
        raise PhotoError(where, f"its pixels are {'integers of 32 bits' if image.mode == 'I' else 'real numbers'}, no colours",
                         "Export it with 8 bits a colour.")
    return np.asarray(image.convert("RGB"))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo the EXIF orientation 1 to 8 (TIFF tag 274); other values leave the photo as it is."""
    turns = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
    quarter, mirrored = turns.get(orientation, (0, False))
    turned = np.rot90(pixels, quarter) if quarter else pixels
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
