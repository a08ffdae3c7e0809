"""A pack: a folder, or a repository of the hub, that is all a localizer of one place needs.

`pack.json` says what the pack holds and under which licences, `hashes.json` lists every file with its size and SHA-256. Nothing
of a pack is opened before its list is read, its paths are checked, and every file has the listed size and hash.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from justzoomin.archives import MANIFEST_FILE, check_shard
from justzoomin.errors import DataError
from justzoomin.packs.contents import AGAIN, INDEX, MODEL, OWN_FOLDERS, PARTS, Rights, listed_files, read_description
from justzoomin.packs.fetching import fetch_pack


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
        TileError: If a shard is broken, or an index of it disagrees with it.
    """
    folder = Path(source)
    commit = None
    if not folder.is_dir():
        folder = fetch_pack(source, revision)
        commit = folder.name
    listed = listed_files(folder, fetched=commit is not None)
    for name, detail in listed.problems(folder):
        raise DataError(folder / name, f"{detail}, by {MANIFEST_FILE} of the pack", AGAIN)
    for name in _found(folder):
        if name not in listed.files:
            raise DataError(folder / name, f"{MANIFEST_FILE} of the pack does not list this file", f"Remove it. {AGAIN}")
    for name in listed.files:
        shard = folder / name
        if name.endswith(".tar") and any((shard.parent / own).exists() for own in OWN_FOLDERS):
            check_shard(shard)  # an index of it that came with the pack could lead to other tiles
    title, map_path, rights = read_description(folder)
    index = folder / INDEX if any(name.startswith(f"{INDEX}/") for name in listed.files) else None
    return Pack(folder, title, folder / map_path, index, rights, len(listed.files),
                sum(stamp.size for stamp in listed.files.values()), commit)


def _found(folder: Path) -> Iterator[str]:
    """Yield the paths of all files in the folders of a pack."""
    for part in PARTS:
        for place, folders, names in os.walk(folder / part):
            folders[:] = [name for name in folders if name not in OWN_FOLDERS]
            for name in (*names, *(name for name in folders if (Path(place) / name).is_symlink())):
                yield (Path(place) / name).relative_to(folder).as_posix()
