"""The files of a dataset's repository: which of a folder's files belong to it, and their tree."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from justzoomin.errors import ConfigError
from justzoomin.hub import classify

_MOST_LINES = 60


@dataclass(frozen=True)
class Inventory:
    """The files of a dataset.

    Args:
        files: Size of each file that belongs to the repository, by path.
        left_out: Paths of files that do not belong to it.
        loose: Number of photos and tiles that are not in shards.
    """

    files: dict[str, int]
    left_out: tuple[str, ...]
    loose: int

    def tree(self) -> str:
        """Return the files as an indented tree."""
        lines, folder = [], ""
        for path in sorted(self.files, key=lambda name: (name.count("/") > 0, name)):
            place, _, name = path.rpartition("/")
            if place != folder:
                folder = place
                lines.append(f"{place}/")
            lines.append(f"    {name}" if place else name)
        return "\n".join([*lines[:_MOST_LINES], *(["..."] if len(lines) > _MOST_LINES else [])])


def inventory(root: Path) -> Inventory:
    """Sort the files of a dataset's folder.

    Raises:
        ConfigError: If a file that belongs to it is a link.
    """
    files, left, loose = {}, [], 0
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = (Path(place) / name).relative_to(root).as_posix()
            if name.startswith("."):
                continue
            if path.startswith(("satellite/", "streetview/images/")) and classify(path).kind in {"level", "photos"}:
                loose += 1
            elif classify(path).kind != "other" or path.startswith("assets/"):
                if (root / path).is_symlink():
                    raise ConfigError(path, "it is a link, and what it leads to may not be meant for the public",
                                      "Replace it by the file.")
                files[path] = (root / path).stat().st_size
            else:
                left.append(path)
    return Inventory(files, tuple(left), loose)
