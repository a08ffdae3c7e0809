"""Tile packages, complete maps in one file: their file extensions, and how a package is opened.

Other installed Python packages add extensions with entry points of the group `justzoomin.tile_sources`: with
`zip = "module:ZipSource"`, files named `.zip` are opened.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from justzoomin.errors import ConfigError, LayoutError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from justzoomin.tiles.packagesource import PackageSource

GROUP = "justzoomin.tile_sources"
OWN_SUFFIXES = (".mbtiles", ".pmtiles")


def is_package(path: Path) -> bool:
    """Return whether a path is named like a tile package; a file with an added extension must exist."""
    suffix = path.suffix.lower()
    return not path.is_dir() if suffix in OWN_SUFFIXES else path.exists() and bool(_added(suffix))


def open_package(path: Path) -> PackageSource:
    """Open a tile package.

    Raises:
        LayoutError: If there is no such file.
        TileError: If it is not a readable package of pictures.
        ConfigError: If the plug-in for its extension cannot be used.
        MissingExtraError: If the library for it is not installed.
    """
    if not path.exists():
        raise LayoutError(path, "there is no such file", "Give the path of a .mbtiles or .pmtiles file.")
    return _opener(path.suffix.lower())(path)


def _opener(suffix: str) -> Callable[[Path], PackageSource]:
    """Return what opens packages with an extension; libraries are loaded when they are first needed."""
    if suffix == ".mbtiles":
        from justzoomin.tiles.mbtiles import MBTilesSource

        return MBTilesSource
    if suffix == ".pmtiles":
        from justzoomin.tiles.pmtiles_source import PMTilesSource

        return PMTilesSource
    found = _added(suffix)
    if len(found) != 1:
        raise ConfigError(f"{GROUP}: {suffix[1:]}", f"it is opened by {', '.join(e.value for e in found) or 'nothing'}",
                          "Install exactly one package that opens it.")
    try:
        opener: Callable[[Path], PackageSource] = found[0].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{GROUP}: {suffix[1:]}", f"{found[0].value} cannot be loaded ({error})",
                          "Install the package that adds it again, or uninstall it.") from error
    return opener


@cache
def _added(suffix: str) -> list[EntryPoint]:
    """Return the entry points that other packages have added for an extension.

    They are looked up once: that takes tens of milliseconds, and a map is built from thousands of files.
    """
    from importlib.metadata import entry_points

    return list(entry_points(group=GROUP, name=suffix[1:])) if len(suffix) > 1 else []
