"""The results of one chunk of a build in one file: the chunk shrunk to a tile, and its tiles if shards are built later."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

from justzoomin.errors import TileError
from justzoomin.files import write_bytes
from justzoomin.imagery.pyramid import Canvas, pack_canvas, unpack_canvas

_TOP = "top.png"
TileNumber = tuple[int, int, int]
"""Level, x and y."""


class Bundles:
    """The files of all chunks in a work folder. A chunk is done if its file exists.

    Args:
        folder: The work folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, stage: int, column: int, row: int) -> Path:
        """Return the path of a chunk's file."""
        return self.folder / f"stage-{stage}" / str(column) / f"{row}.zip"

    def is_done(self, stage: int, column: int, row: int) -> bool:
        """Return whether a chunk is done; its file gets its name only when it is complete."""
        return self.path(stage, column, row).is_file()

    def write(self, stage: int, column: int, row: int, top: Canvas | None, tiles: Iterable[tuple[TileNumber, bytes]]) -> None:
        """Write the results of a chunk.

        Raises:
            OSError: If it cannot be written.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            if top is not None:
                archive.writestr(zipfile.ZipInfo(_TOP), pack_canvas(top))  # no time: ZIP cannot store every one
            for (level, x, y), content in tiles:
                archive.writestr(zipfile.ZipInfo(f"{level}/{x}/{y}"), content)
        write_bytes(self.path(stage, column, row), buffer.getvalue(), self.folder)

    def top(self, stage: int, column: int, row: int) -> Canvas | None:
        """Return the chunk shrunk to one tile; None if it has no data or is not a chunk of the map.

        Raises:
            TileError: If its file is broken.
        """
        path = self.path(stage, column, row)
        try:
            with zipfile.ZipFile(path) as archive:
                if _TOP not in archive.namelist():
                    return None
                top = unpack_canvas(archive.read(_TOP))
        except FileNotFoundError:
            return None
        except (OSError, zipfile.BadZipFile) as error:
            raise self._broken(path) from error
        if top is None:
            raise self._broken(path)
        return top

    def tiles(self) -> dict[int, list[tuple[int, int, Path]]]:
        """Return all kept tiles by level, sorted, each as x, y and the file that holds it.

        Raises:
            TileError: If a file is broken.
        """
        found: dict[int, list[tuple[int, int, Path]]] = {}
        for path in self.folder.glob("stage-*/*/*.zip"):
            try:
                with zipfile.ZipFile(path) as archive:
                    names = archive.namelist()
            except (OSError, zipfile.BadZipFile) as error:
                raise self._broken(path) from error
            for name in names:
                if name != _TOP:
                    level, x, y = map(int, name.split("/"))
                    found.setdefault(level, []).append((x, y, path))
        return {level: sorted(tiles) for level, tiles in found.items()}

    def _broken(self, path: Path) -> TileError:
        return TileError(path, "this file of an interrupted build is broken", f"Remove {path} and build again.")
