"""Street photos: their bytes, from TAR shards in place or from files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from justzoomin.archives import TarShards
from justzoomin.errors import DataError, PhotoError
from justzoomin.untrusted import files_in, read_limited

SUFFIX = "_undistorted.jpg"
MEMBER_FOLDER = "streetview/images"
MAX_PHOTO_BYTES = 1 << 29
"""Larger files are not read as photos."""


class PhotoStore(Protocol):
    """Source of the bytes of photos."""

    def read(self, image_id: str) -> bytes:
        """Read the bytes of one photo.

        Raises:
            PhotoError: If the photo is missing.
        """

    def ids(self) -> set[str]:
        """Return the ids of all photos."""

    def where(self, image_id: str) -> str:
        """Return the name of the file or shard member, for error texts."""

    def sizes(self) -> dict[str, int]:
        """Return the size of each photo in bytes, by id."""


class ShardPhotos:
    """Photos inside `archives/streetview_images_*.tar`, read in place."""

    def __init__(self, shards: Iterable[Path]) -> None:
        self._shards = TarShards(sorted(shards))
        self._names: dict[str, str] = {}
        for name in self._shards.names():
            if name.endswith(SUFFIX):
                first = self._names.setdefault(name.rpartition("/")[2].removesuffix(SUFFIX), name)
                if first != name:
                    raise DataError(f"{self._shards.shard_of(name)}:{name}", f"the same photo is also stored as {first}",
                                    "Remove the member that does not belong there.")

    def read(self, image_id: str) -> bytes:
        """Read the bytes of one photo."""
        if image_id not in self._names:
            raise PhotoError(image_id + SUFFIX, "no shard holds this photo",
                             "Download the missing shard, or drop the row from the split.")
        return self._shards.read(self._names[image_id])

    def ids(self) -> set[str]:
        """Return the ids of all photos in the shards."""
        return set(self._names)

    def where(self, image_id: str) -> str:
        """Return shard and member of a photo."""
        name = self._names.get(image_id)
        return f"{self._shards.shard_of(name)}:{name}" if name else image_id + SUFFIX

    def sizes(self) -> dict[str, int]:
        """Return the size of each photo in bytes, by id."""
        return {image_id: self._shards.sizes[name] for image_id, name in self._names.items()}


class FolderPhotos:
    """Photos as files `<image_id>_undistorted.jpg` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, image_id: str) -> Path:
        if "/" in image_id or "\\" in image_id or image_id in {"", ".", ".."}:
            raise PhotoError(repr(image_id), "an image id must not contain a path", "Correct the row of the split.")
        return self._folder / (image_id + SUFFIX)

    def read(self, image_id: str) -> bytes:
        """Read the bytes of one photo."""
        path = self._path(image_id)
        try:
            return read_limited(path, MAX_PHOTO_BYTES)
        except OSError as error:
            raise PhotoError(path, f"the photo cannot be read ({error.strerror})",
                             "Put the file there, or drop the row from the split.") from error

    def ids(self) -> set[str]:
        """Return the ids of all photos in the folder."""
        return {p.name.removesuffix(SUFFIX) for p in files_in(self._folder, "*" + SUFFIX)}

    def where(self, image_id: str) -> str:
        """Return the path of a photo."""
        return str(self._path(image_id))

    def sizes(self) -> dict[str, int]:
        """Return the size of each photo in bytes, by id."""
        with os.scandir(self._folder) as entries:
            return {e.name.removesuffix(SUFFIX): e.stat().st_size for e in entries if e.name.endswith(SUFFIX)}


def open_photos(root: Path, without: Collection[Path] = ()) -> PhotoStore:
    """Find the photos of a repository, downloaded or extracted; an extracted folder that holds photos is preferred.

    Args:
        root: The repository's folder.
        without: Shards that are not opened.

    Raises:
        DataError: If there are neither shards nor a folder of photos, or a folder cannot be read.
    """
    folder = root / MEMBER_FOLDER
    shards = files_in(root / "archives", "streetview_images_*.tar")
    if folder.is_dir() and not (shards and not files_in(folder, "*" + SUFFIX)):
        return FolderPhotos(folder)
    if shards:
        return ShardPhotos(path for path in shards if path not in without)
    raise DataError(root, f"it holds neither archives/streetview_images_*.tar nor {MEMBER_FOLDER}/",
                    "Give the folder that holds the dataset, downloaded or extracted.")
