"""Photo files: recognized by their extension, else by their content, and listed below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from justzoomin.errors import DataError
from justzoomin.filekind import is_heic, looks_like

PHOTO_ENDINGS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".insp", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif",
    ".heic", ".heif", ".hif"})
"""Extensions that `decode_photo` reads: `.mpo` is from cameras with two lenses, `.insp` from Insta360, `.hif` from Canon and
Sony."""
RAW_ENDINGS = frozenset({
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw", ".gpr",
    ".3fr", ".iiq", ".x3f", ".raw"})
_PHOTOS = frozenset({"a JPEG", "a PNG", "a TIFF", "a WebP", "a GIF", "a HEIC photo"})
"""What `looks_like` returns for photos. A BMP begins like many texts, so it is recognized by its extension only."""
_THUMBNAIL = ".thm"
"""Extension of small JPEGs that cameras write beside videos."""
_NO_PHOTOS = frozenset({"__macosx", "@eadir", "$recycle.bin", "lost+found"})
"""Folders that systems and network drives make beside photos; they hold previews and deleted files."""
_LOOKED_AT = 4096


@dataclass(frozen=True)
class PassedOver:
    """A file or folder that is not used as a photo.

    Attributes:
        path: The file or folder.
        why: What it is: "a hidden file", "a camera raw file" ...
        failed: Whether it could not be read although it should have been.
    """

    path: Path
    why: str
    failed: bool = False


def is_photo(path: Path) -> bool:
    """Return whether a file is a photo: by its extension, or by its content if the extension is unknown."""
    return path.suffix.lower() in PHOTO_ENDINGS or what_else(path) == ""


def what_else(path: Path) -> str:
    """Describe a file without a photo's extension: "a camera raw file", "a text"; empty if its content is a photo."""
    ending = path.suffix.lower()
    if ending in RAW_ENDINGS:
        return "a camera raw file"
    try:
        with path.open("rb") as file:
            content = file.read(_LOOKED_AT)
    except OSError as error:
        return f"a file that cannot be read ({error.strerror})"
    kind = looks_like(content)
    if is_heic(content) or kind in _PHOTOS:
        return "a thumbnail" if ending == _THUMBNAIL else ""
    return kind or "something else"


def walk(folder: Path, passed_over: list[PassedOver] | None = None) -> Iterator[Path]:
    """Yield all files below a folder in a stable order, without hidden ones; links to folders are not followed.

    Args:
        folder: The folder.
        passed_over: List to which everything left out is added, including folders that cannot be read.

    Raises:
        DataError: If the folder cannot be read; without `passed_over` also if a folder below it cannot be read.
    """
    left = passed_over if passed_over is not None else []

    def refuse(error: OSError) -> None:
        where = error.filename or folder
        if passed_over is None or Path(where) == folder:
            raise DataError(where, f"the folder cannot be read ({error.strerror})", "Make it readable, or move it away."
                            ) from error
        left.append(PassedOver(Path(where), f"a folder that cannot be read ({error.strerror})", failed=True))

    for parent, folders, files in os.walk(folder, onerror=refuse):
        for name in sorted(folders):
            why = ("a hidden folder" if name.startswith(".") else "a folder of the system" if name.lower() in _NO_PHOTOS else
                   "a link to a folder" if Path(parent, name).is_symlink() else "")
            if why:
                left.append(PassedOver(Path(parent, name), why))
                folders.remove(name)
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            if name.startswith("."):
                left.append(PassedOver(path, "a hidden file"))
            elif not path.is_file():
                left.append(PassedOver(path, "a broken link" if path.is_symlink() else "not a regular file"))
            else:
                yield path


def photo_files(folder: Path) -> tuple[list[Path], list[PassedOver]]:
    """Return the photos below a folder and its subfolders in a stable order, and everything else found there.

    Raises:
        DataError: If a folder cannot be read.
    """
    photos: list[Path] = []
    passed: list[PassedOver] = []
    for path in walk(folder, passed):
        why = "" if path.suffix.lower() in PHOTO_ENDINGS else what_else(path)
        if why:
            passed.append(PassedOver(path, why))
        else:
            photos.append(path)
    return photos, passed
