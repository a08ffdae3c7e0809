"""A pack: a folder, or a repository of the hub, that is all a localizer of one place needs.

`pack.json` says what the pack holds and under which licences, `hashes.json` lists every file with its size and SHA-256. Nothing
of a pack is opened before its list is read, its paths are checked, and every file has the listed size and hash.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from justzoomin.archives import MANIFEST_FILE, Manifest
from justzoomin.errors import DataError
from justzoomin.untrusted import printable, read_limited

PACK_FILE = "pack.json"
FORMAT = "justzoomin-pack/1"
MODEL, MAP, INDEX = "model", "map", "index"
PARTS = (MODEL, MAP, INDEX)
MAX_FILES = 100_000
_OWN = (".jzi-index", ".cache")
"""Folders that reading a map or the hub's client makes beside the files; nothing in them is taken from outside."""
_MAX_BYTES = 1 << 20
_MAX_TEXT = 10_000
_AGAIN = "Get the pack again, or tell its owners."


@dataclass(frozen=True)
class Rights:
    """Under which licence a part of a pack is shared, and whom to credit.

    Args:
        licence: Name of the licence.
        attribution: Whom to credit; empty if nobody must be.
    """

    licence: str
    attribution: str


@dataclass(frozen=True)
class Pack:
    """A pack whose files have been checked.

    Args:
        folder: The folder of the pack on this machine.
        title: Name of the place.
        map: What to open as the map: a folder, or a tile package.
        index: Folder of the map's index; None if the pack has none.
        rights: Rights of the parts, by name: `model` and `map`.
        files: Number of files.
        bytes: Their total size.
        commit: The hub's commit that the pack was fetched from; None for a folder.
    """

    folder: Path
    title: str
    map: Path
    index: Path | None
    rights: dict[str, Rights]
    files: int
    bytes: int
    commit: str | None = None

    @property
    def model(self) -> Path:
        """The model's folder."""
        return self.folder / MODEL


def open_pack(source: str | Path, revision: str | None = None) -> Pack:
    """Open a pack after checking all its files.

    Args:
        source: Folder of the pack, or `owner/name` on the hub.
        revision: Branch, tag or commit on the hub.

    Raises:
        DataError: If the pack cannot be found or fetched, is not a pack, or a file is missing, differs, is not listed, or has a
            path that leads out of the pack.
    """
    folder = Path(source)
    commit = None
    if not folder.is_dir():
        from justzoomin.packs.fetching import fetch_pack

        folder = fetch_pack(source, revision)
        commit = folder.name
    listed = listed_files(folder, fetched=commit is not None)
    for name, detail in listed.problems(folder):
        raise DataError(folder / name, f"{detail}, by {MANIFEST_FILE} of the pack", _AGAIN)
    for name in _found(folder):
        if name not in listed.files:
            raise DataError(folder / name, f"{MANIFEST_FILE} of the pack does not list this file", f"Remove it. {_AGAIN}")
    title, map_path, rights = _read(folder)
    index = folder / INDEX if any(name.startswith(f"{INDEX}/") for name in listed.files) else None
    return Pack(folder, title, folder / map_path, index, rights, len(listed.files),
                sum(stamp.size for stamp in listed.files.values()), commit)


def listed_files(folder: Path, *, fetched: bool = False) -> Manifest:
    """Return the list of a pack's files, after a check of its paths.

    Args:
        folder: The pack.
        fetched: Whether its files are links into the hub's cache, which are followed.

    Raises:
        DataError: If there is no list, or a path leads out of the pack or is not one of a pack.
    """
    listed = Manifest.load(folder)
    where = folder / MANIFEST_FILE
    if listed is None:
        raise DataError(where, "this is not a pack: the list of its files is missing",
                        "Name a folder that jzi pack make wrote, or owner/name on the hub.")
    if len(listed.files) > MAX_FILES:
        raise DataError(where, f"it lists more than {MAX_FILES} files", _AGAIN)
    for name in listed.files:
        if name.partition("/")[0] not in PARTS and name != PACK_FILE:
            raise DataError(where, f"it lists {printable(name, 80)!r}, which is not in a folder of a pack", _AGAIN)
        if set(name.split("/")) & set(_OWN):
            raise DataError(where, f"it lists {printable(name, 80)!r}, a path for files of this machine", _AGAIN)
        place = folder
        for part in name.split("/"):
            place = place / part
            if place.is_symlink() and not (fetched and place == folder / name):
                raise DataError(place, "it is a link, which may lead out of the pack", f"Copy the pack as files. {_AGAIN}")
    if PACK_FILE not in listed.files:
        raise DataError(where, f"it does not list {PACK_FILE}", _AGAIN)
    return listed


def _found(folder: Path) -> Iterator[str]:
    """Yield the paths of all files in the folders of a pack."""
    for part in PARTS:
        for place, folders, names in os.walk(folder / part):
            folders[:] = [name for name in folders if name not in _OWN]
            for name in (*names, *(name for name in folders if (Path(place) / name).is_symlink())):
                yield (Path(place) / name).relative_to(folder).as_posix()


def _read(folder: Path) -> tuple[str, str, dict[str, Rights]]:
    """Return title, path of the map and rights, from `pack.json`."""
    path = folder / PACK_FILE
    try:
        content: Any = json.loads(read_limited(path, _MAX_BYTES))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f'its "format" is not "{FORMAT}"')
        title, map_path = _text(content["title"]), _text(content["map"])
        rights = {part: Rights(_text(content["rights"][part]["licence"]), _text(content["rights"][part]["attribution"]))
                  for part in (MODEL, MAP)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(path, f"this is not a pack ({printable(reason)})",
                        "Name a folder that jzi pack make wrote, or owner/name on the hub.") from error
    if map_path != MAP and (map_path.count("/") != 1 or not map_path.startswith(f"{MAP}/") or ".." in map_path
                            or not map_path.endswith((".mbtiles", ".pmtiles"))):
        raise DataError(path, f"the map is at {printable(map_path, 80)!r}, not in the folder {MAP}", _AGAIN)
    return title, map_path, rights


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError("a text is missing, too long, or not a text")
    return "".join(letter for letter in value if letter == "\n" or letter.isprintable())
