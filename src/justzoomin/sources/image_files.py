"""Finding image files: in a folder, by a path that a table states, by an id."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from justzoomin.errors import DataError
from justzoomin.sources.records import Skipped
from justzoomin.untrusted import printable

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".webp", ".heic", ".heif"})
RAW_ENDINGS = frozenset({".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"})
_NO_PHOTOS = frozenset({"__macosx", "@eadir", "$recycle.bin", "lost+found"})
"""Folders that systems and network drives make beside photos; they hold previews and rubbish."""


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder in a stable order, without hidden ones; links to folders are not followed.

    Raises:
        DataError: If a folder cannot be read.
    """
    def refuse(error: OSError) -> None:
        raise DataError(error.filename or folder, f"the folder cannot be read ({error.strerror})",
                        "Make it readable, or move it away.") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f.lower() not in _NO_PHOTOS)
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(parent, name)


def is_image(path: Path) -> bool:
    """Whether a file has the ending of an image."""
    return path.suffix.lower() in IMAGE_ENDINGS


def image_files(folder: Path) -> tuple[list[Path], list[Skipped]]:
    """The images below a folder, and camera raw files without an image beside them.

    Raises:
        DataError: If a folder cannot be read.
    """
    images, raws = [], []
    for path in walk(folder):
        if is_image(path):
            images.append(path)
        elif path.suffix.lower() in RAW_ENDINGS:
            raws.append(path)
    beside = {p.with_suffix("") for p in images}
    return images, [Skipped(str(p.relative_to(folder)), "raw", "camera raw files are not read; export it as JPEG")
                    for p in raws if p.with_suffix("") not in beside]


class StatedImages:
    """Images by the paths that a table or JSON states. What leads out of the folder is refused: tables come from outside.

    Args:
        home: Folder of the table; paths are relative to it.
        images: Folder that the user named; paths are relative to it first, and must end in it.
    """

    def __init__(self, home: Path, images: Path | None = None) -> None:
        self._roots = [images, home] if images is not None else [home]
        self.folder = (images or home)
        try:
            self._inside = self.folder.resolve()
        except (OSError, RuntimeError) as error:
            raise DataError(self.folder, "the folder cannot be found", "Give the folder that holds the images.") from error
        if not self._inside.is_dir():
            raise DataError(self.folder, "no such folder", "Give the folder that holds the images.")

    def find(self, stated: str) -> Path | Skipped:
        """The file that a stated path means, or why there is none."""
        item = printable(stated)
        inside = outside = False
        for text in dict.fromkeys((stated, stated.replace("\\", "/"))):
            if PureWindowsPath(text).drive and os.name != "nt":
                outside = True
                continue
            for root in self._roots:
                try:
                    path = (root / text).resolve()
                    if not path.is_relative_to(self._inside):
                        outside = True
                    elif path.is_file():
                        return root / text
                    else:
                        inside = True
                except (OSError, ValueError, RuntimeError):  # names too long, zero bytes, links in a circle
                    continue
        if outside and not inside:  # below the table's folder it may lie outside, and be missing below the images'
            return Skipped(item, "outside", f"the path leads out of {self.folder}; name the images' folder with --images")
        return Skipped(item, "missing_file", f"no such image in {self.folder}")


class ImagesById:
    """Images below a folder by their id: `<id>.jpg`, else `<id>_undistorted.jpg`, else the only image in `<id>/`.

    Raises:
        DataError: If the folder cannot be read.
    """

    UNDISTORTED = "_undistorted"

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(folder, "no such folder", "Give the folder that holds the images.")
        self.folder = folder
        inside = folder.resolve()
        self._plain: dict[str, list[Path]] = {}
        self._undistorted: dict[str, list[Path]] = {}
        self._folders: dict[str, list[Path]] = {}
        for path in walk(folder):
            if not is_image(path) or (path.is_symlink() and not path.resolve().is_relative_to(inside)):
                continue
            self._plain.setdefault(path.stem, []).append(path)
            if path.stem.endswith(self.UNDISTORTED):
                self._undistorted.setdefault(path.stem.removesuffix(self.UNDISTORTED), []).append(path)
            if path.parent != folder:
                self._folders.setdefault(path.parent.name, []).append(path)

    def find(self, image_id: str) -> tuple[Path, bool] | Skipped:
        """The image of an id and whether it was undistorted by others, or why there is none."""
        for there, undistorted in ((self._plain, False), (self._undistorted, True), (self._folders, False)):
            paths = there.get(image_id, [])
            if len(paths) > 1:
                names = ", ".join(str(p.relative_to(self.folder)) for p in paths[:4])
                return Skipped(image_id, "ambiguous_file", f"{len(paths)} images could be meant: {printable(names, 200)}")
            if paths:
                return paths[0], undistorted or paths[0].stem.endswith(self.UNDISTORTED)
        return Skipped(image_id, "missing_file", f"no {image_id}.jpg, {image_id}{self.UNDISTORTED}.jpg or {image_id}/ "
                       f"below {self.folder}")
