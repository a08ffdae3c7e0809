"""Photos that the arguments of a command name: files, folders, and lists of paths."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from justzoomin.errors import JustZoomInError
    from justzoomin.photos.readers import ListedPhoto

LIST_SUFFIX, TABLE_SUFFIX, MAPILLARY_SUFFIX = ".txt", ".csv", ".json"
MAX_LIST_BYTES = 1 << 28
NAMED = 5
"""Number of skipped files of a folder that are named."""


class Named(NamedTuple):
    """The photos that arguments name.

    Attributes:
        files: The photo files in order; an error for an argument that is wrong.
        remarks: A remark about each folder or list that also holds other entries.
        listed: What lists state about photos, by path.
    """

    files: list[Path | JustZoomInError]
    remarks: list[str]
    listed: dict[str, ListedPhoto]


def expand(paths: list[Path]) -> Named:
    """Return the photo files that arguments name, in order: those in folders and subfolders, and those in lists.

    A list is a text file with a path per line, a CSV with a column photo, or JSON of the Mapillary API. A folder or list
    without photos gives an error instead.
    """
    from justzoomin.errors import DataError, PhotoError

    files: list[Path | JustZoomInError] = []
    remarks: list[str] = []
    listed: dict[str, ListedPhoto] = {}
    for path in paths:
        try:
            if path.is_dir():
                files += _inside(path, remarks)
            elif path.suffix.lower() == LIST_SUFFIX and path.is_file():
                files += _listed(path)
            elif path.suffix.lower() in {TABLE_SUFFIX, MAPILLARY_SUFFIX} and path.is_file():
                rows = _stated(path, remarks)
                files += [row.path for row in rows]
                listed |= {str(row.path): row for row in rows}
            else:
                files.append(path)
        except DataError as error:
            files.append(error)
        except OSError as error:
            files.append(PhotoError(path, f"it cannot be read ({error.strerror})", "Give a readable folder or list."))
    return Named(files, remarks, listed)


def _stated(path: Path, remarks: list[str]) -> list[ListedPhoto]:
    """Return the photos of a CSV or of Mapillary JSON, with what it states about them.

    Raises:
        DataError: If it is not such a list.
    """
    from justzoomin.errors import DataError
    from justzoomin.photos.readers import photos_of_mapillary, read_photo_list
    from justzoomin.untrusted import printable

    if path.suffix.lower() == TABLE_SUFFIX:
        return read_photo_list(path)
    rows, skipped = photos_of_mapillary(path)
    if skipped:
        remarks.append(f"{path}: {len(skipped):,} images are not used, the first: {printable(skipped[0].detail, 300)}")
    if not rows:
        raise DataError(path, "it names no photo that exists", "Put the images beside the file, each called ID.jpg.")
    return rows


def _inside(folder: Path, remarks: list[str]) -> list[Path | JustZoomInError]:
    """Return the photos of a folder, and errors for subfolders that cannot be read or if there is no photo.

    A line about other files is added to `remarks`.

    Raises:
        DataError: If the folder cannot be read.
    """
    from justzoomin.data import photo_files
    from justzoomin.errors import PhotoError
    from justzoomin.untrusted import printable

    photos, others = photo_files(folder)
    skipped = [f"{other.path.relative_to(folder)} ({other.why})" for other in others if not other.failed]
    if skipped:
        more = f" and {len(skipped) - NAMED:,} more" if len(skipped) > NAMED else ""
        remarks.append(f"{folder}: {len(skipped):,} {'entry' if len(skipped) == 1 else 'entries'} skipped: "
                       f"{printable(', '.join(skipped[:NAMED]), 1000)}{more}")
    failed: list[JustZoomInError] = [PhotoError(other.path, f"it is {other.why}", "Make it readable, or move it away.")
                                     for other in others if other.failed]
    if not photos and not failed:
        failed = [PhotoError(folder, "neither the folder nor a subfolder holds a photo",
                             "Give JPEG, PNG, TIFF, WebP, BMP, GIF or HEIC photos.")]
    return [*photos, *failed]


def _listed(path: Path) -> list[Path | JustZoomInError]:
    """Return the paths in a list; relative paths start from the folder of the list.

    Raises:
        OSError: If the file cannot be read or is larger than `MAX_LIST_BYTES`.
    """
    from justzoomin.data import StatedFiles
    from justzoomin.errors import PhotoError
    from justzoomin.untrusted import read_limited

    content = read_limited(path, MAX_LIST_BYTES)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what Notepad calls Unicode
        content = content.decode("utf-16", "replace").encode("utf-8", "replace")
    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    names = [os.fsdecode(line.strip()) for line in lines if line.strip()]
    bad = next((name for name in names if "\0" in name), None)
    if bad is not None or not names:
        return [PhotoError(path, "the list names no photo" if bad is None else "it is not a list of paths: it holds zero bytes",
                           "Write one path on each line.")]
    stated = StatedFiles(names)
    return [stated.find(path.parent, name) or path.parent / name for name in names]
