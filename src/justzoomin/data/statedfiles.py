"""Finding files by paths in a table or list that was written on another computer."""

from __future__ import annotations

import ntpath
import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC); archives from a Mac hold decomposed names, which look the same."""
    return unicodedata.normalize("NFC", name)


class StatedFiles:
    r"""Finder of files by stated paths, which may have backslashes, another Unicode form, or a folder of another computer.

    Args:
        stated: All paths in the table or list. Absolute paths of another computer, such as `C:\drive\7.jpg`, are read
            relative to the folder that all of them share, so that two different paths never mean one file.
    """

    def __init__(self, stated: Iterable[str] = ()) -> None:
        homes = [str(path.parent) for path in map(_foreign, stated) if path is not None]
        try:
            self._home = PureWindowsPath(ntpath.commonpath(homes)) if homes else None
        except ValueError:  # several drives
            self._home = None
        self._names: dict[Path, dict[str, str | None]] = {}

    def readings(self, stated: str) -> Iterator[str]:
        """Yield the possible meanings of a stated path, the likeliest first, relative ones with slashes."""
        yield stated
        path = _foreign(stated)
        if path is None:
            if "\\" in stated:
                yield stated.replace("\\", "/")
        elif self._home is not None and path.is_relative_to(self._home):
            parts, inside = self._home.parts[1:], path.relative_to(self._home).parts
            for k in range(len(parts) + 1):
                yield "/".join((*parts[k:], *inside))

    def find(self, root: Path, stated: str) -> Path | None:
        """Find the file below a folder that a stated path means; None if there is none."""
        return next((path for text in self.readings(stated) if (path := self.existing(root / text)) is not None), None)

    def existing(self, path: Path) -> Path | None:
        """Return the path of an existing file, also if its name is in another Unicode form; None if there is none."""
        try:
            if path.exists():
                return path
            parent = path.parent if path.parent.is_dir() else self.existing(path.parent)
            name = None if parent is None or parent == path else self._names_in(parent).get(composed(path.name))
        except (OSError, ValueError, RuntimeError):  # names too long, zero bytes, links in a circle
            return None
        return parent / name if parent is not None and name is not None else None

    def _names_in(self, folder: Path) -> dict[str, str | None]:
        """Return the names in a folder by their composed form; None where several names share it."""
        if folder not in self._names:
            names: dict[str, str | None] = {}
            for path in folder.iterdir():
                names[composed(path.name)] = path.name if composed(path.name) not in names else None
            self._names[folder] = names
        return self._names[folder]


def _foreign(stated: str) -> PureWindowsPath | None:
    """Return a stated path if it is an absolute path of another computer; None for any other."""
    path = PureWindowsPath(stated)
    if os.name == "nt":
        return None
    if path.drive:
        return path
    try:
        return path if stated.startswith("/") and not Path(stated).exists() else None
    except (OSError, ValueError):
        return None
