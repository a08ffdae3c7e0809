"""Files by the paths that a table or a list states, where these were written on another computer."""

from __future__ import annotations

import ntpath
import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath


def composed(name: str) -> str:
    """A name in Unicode's composed normal form (NFC): archives from a Mac hold decomposed ones, which look the same."""
    return unicodedata.normalize("NFC", name)


class StatedFiles:
    r"""Finds files that stated paths mean: with backslashes, in another normal form, or below a folder of another computer.

    Args:
        stated: All paths of the table or list. Absolute ones that are not of this computer, such as `C:\drive\7.jpg`, are
            taken below the folder that all of these share, so that two different paths never mean one file.
    """

    def __init__(self, stated: Iterable[str] = ()) -> None:
        homes = [str(path.parent) for path in map(_foreign, stated) if path is not None]
        try:
            self._home = PureWindowsPath(ntpath.commonpath(homes)) if homes else None
        except ValueError:  # several drives
            self._home = None
        self._names: dict[Path, dict[str, str | None]] = {}

    def readings(self, stated: str) -> Iterator[str]:
        """What a stated path may read as, the likeliest first, relative ones with slashes."""
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
        """The file below a folder that a stated path means; None where there is none."""
        return next((path for text in self.readings(stated) if (path := self.existing(root / text)) is not None), None)

    def existing(self, path: Path) -> Path | None:
        """The path of a file, also where a name is written in another normal form there; None where there is none."""
        try:
            if path.exists():
                return path
            parent = path.parent if path.parent.is_dir() else self.existing(path.parent)
            name = None if parent is None or parent == path else self._names_in(parent).get(composed(path.name))
        except (OSError, ValueError, RuntimeError):  # names too long, zero bytes, links in a circle
            return None
        return parent / name if parent is not None and name is not None else None

    def _names_in(self, folder: Path) -> dict[str, str | None]:
        """Names in a folder by their composed form; None where several have the same."""
        if folder not in self._names:
            names: dict[str, str | None] = {}
            for path in folder.iterdir():
                names[composed(path.name)] = path.name if composed(path.name) not in names else None
            self._names[folder] = names
        return self._names[folder]


def _foreign(stated: str) -> PureWindowsPath | None:
    """An absolute path of another computer, in parts; None for any other."""
    path = PureWindowsPath(stated)
    if os.name == "nt":
        return None
    if path.drive:
        return path
    try:
        return path if stated.startswith("/") and not Path(stated).exists() else None
    except (OSError, ValueError):
        return None
