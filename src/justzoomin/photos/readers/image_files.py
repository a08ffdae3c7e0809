"""Find image files: in a folder, by a path from a table, by an id."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from justzoomin.data import PassedOver, StatedFiles, composed, is_photo, photo_files, walk
from justzoomin.errors import DataError
from justzoomin.photos.readers.records import NOT_A_PHOTO, Skipped
from justzoomin.untrusted import printable

_RAW = "a camera raw file"


def image_files(folder: Path, beside: frozenset[str] = frozenset()) -> tuple[list[Path], list[Skipped]]:
    """List the photos below a folder, and what is ignored there; raw files only without a photo beside them.

    Args:
        folder: The folder.
        beside: Extensions of other files that are read, and so are not listed as ignored.

    Raises:
        DataError: If the folder cannot be read.
    """
    images, others = photo_files(folder)
    stems = {p.with_suffix("") for p in images}
    return images, [_skipped(other, folder) for other in others if other.path.suffix.lower() not in beside and
                    not (other.why == _RAW and other.path.with_suffix("") in stems)]


def _skipped(other: PassedOver, folder: Path) -> Skipped:
    item = printable(other.path.relative_to(folder).as_posix())
    if other.failed:
        return Skipped(item, "unreadable_folder", f"it is {other.why}")
    if other.why == _RAW:
        return Skipped(item, "raw", "camera raw files are not read; export it as JPEG")
    return Skipped(item, NOT_A_PHOTO, f"it is {other.why}")


class StatedImages:
    """Images by the paths in a table or JSON. Paths that lead out of the folder are refused: tables come from outside.

    Args:
        home: Folder of the table; paths are relative to it.
        images: Folder given by the user; paths are first relative to it, and must lead into it.
        stated: All paths of the table; see `StatedFiles`.
    """

    def __init__(self, home: Path, images: Path | None = None, stated: Iterable[str] = ()) -> None:
        self._files = StatedFiles(stated)
        self._roots = [images, home] if images is not None else [home]
        self.folder = (images or home)
        try:
            self._inside = self.folder.resolve()
        except (OSError, RuntimeError) as error:
            raise DataError(self.folder, "the folder cannot be found", "Give the folder of the images.") from error
        if not self._inside.is_dir():
            raise DataError(self.folder, "the folder does not exist", "Give the folder of the images.")

    def find(self, stated: str) -> Path | Skipped:
        """Return the file that a path means, or why there is none."""
        item = printable(stated)
        inside = outside = False
        for text in self._files.readings(stated):
            if PureWindowsPath(text).drive and os.name != "nt":
                outside = True
                continue
            for root in self._roots:
                try:
                    path = self._files.existing(root / text) or root / text
                    if not path.resolve().is_relative_to(self._inside):
                        outside = True
                    elif path.is_file():
                        return path
                    else:
                        inside = True
                except (OSError, ValueError, RuntimeError):  # names too long, zero bytes, circular links
                    continue
        if outside and not inside:  # relative to the table it may be outside, and relative to the images missing
            return Skipped(item, "outside", f"the path leads out of {self.folder}; give the images' folder with --images")
        return Skipped(item, "missing_file", f"the image does not exist in {self.folder}")


class ImagesById:
    """Images below a folder by their id: `<id>.jpg`, else `<id>_undistorted.jpg`, else the only image in `<id>/`.

    Raises:
        DataError: If the folder cannot be read.
    """

    UNDISTORTED = "_undistorted"

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(folder, "the folder does not exist", "Give the folder of the images.")
        self.folder = folder
        inside = folder.resolve()
        self._plain: dict[str, list[Path]] = {}
        self._undistorted: dict[str, list[Path]] = {}
        self._folders: dict[str, list[Path]] = {}
        for path in walk(folder):
            if not is_photo(path) or (path.is_symlink() and not path.resolve().is_relative_to(inside)):
                continue
            stem = composed(path.stem)
            self._plain.setdefault(stem, []).append(path)
            if stem.endswith(self.UNDISTORTED):
                self._undistorted.setdefault(stem.removesuffix(self.UNDISTORTED), []).append(path)
            if path.parent != folder:
                self._folders.setdefault(composed(path.parent.name), []).append(path)

    def find(self, image_id: str) -> tuple[Path, bool] | Skipped:
        """Return the image of an id and whether others undistorted it, or why there is none."""
        for there, undistorted in ((self._plain, False), (self._undistorted, True), (self._folders, False)):
            paths = there.get(composed(image_id), [])
            if len(paths) > 1:
                names = ", ".join(str(p.relative_to(self.folder)) for p in paths[:4])
                return Skipped(image_id, "ambiguous_file", f"{len(paths)} images match: {printable(names, 200)}")
            if paths:
                return paths[0], undistorted or paths[0].stem.endswith(self.UNDISTORTED)
        return Skipped(image_id, "missing_file", f"below {self.folder} there is neither {image_id}.jpg, "
                                                 f"{image_id}{self.UNDISTORTED}.jpg nor {image_id}/")
