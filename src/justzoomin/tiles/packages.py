"""Tile packages: whole maps in one file."""

from __future__ import annotations

from pathlib import Path

from justzoomin.errors import LayoutError
from justzoomin.tiles.mbtiles import MBTilesSource
from justzoomin.tiles.pmtiles_source import PMTilesSource

PACKAGE_SUFFIXES = (".mbtiles", ".pmtiles")


def is_package(path: Path) -> bool:
    """Whether a path is named like a tile package."""
    return path.suffix.lower() in PACKAGE_SUFFIXES and not path.is_dir()


def open_package(path: Path) -> MBTilesSource | PMTilesSource:
    """Open a tile package.

    Raises:
        LayoutError: If there is no such file.
        TileError: If it is no package of pictures that can be read.
        MissingExtraError: If the library for it is not installed.
    """
    if not path.is_file():
        raise LayoutError(path, "there is no such file", "Give the path of a .mbtiles or .pmtiles file.")
    return MBTilesSource(path) if path.suffix.lower() == ".mbtiles" else PMTilesSource(path)
