"""Opens the sources that a user names: files, folders of files, tile servers and packages."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from justzoomin.errors import ConfigError, TileError
from justzoomin.imagery.base import Imagery
from justzoomin.imagery.config import MapBuildConfig, TileOptions
from justzoomin.imagery.rastermosaic import RasterMosaic, mosaics
from justzoomin.imagery.rasteropening import open_raster
from justzoomin.imagery.rasters import RasterFile
from justzoomin.imagery.vrt import RASTER_SUFFIXES, vrt_files
from justzoomin.tiles import source_kind


@dataclass(frozen=True)
class SourceStamp:
    """The state of a source when a build began; it must be the same when the build continues.

    Args:
        name: Name of the file, or a hash of the address.
        size: Bytes; -1 for an address.
        mtime_ns: Time of its last change; -1 for an address.
    """

    name: str
    size: int
    mtime_ns: int


def is_mosaic(source: str) -> bool:
    """Return whether a source is an address of tiles, a tile package or a server's description (WMTSCapabilities.xml)."""
    return source_kind(source) != "path"


def find_rasters(source: Path) -> list[Path]:
    """Return the raster files of a path: the file itself, or all raster files in a folder and its subfolders, sorted.

    Hidden files are ignored.

    Raises:
        TileError: If the path does not exist, or a folder has no raster file.
    """
    if not source.is_dir():
        if not source.exists():
            raise TileError(source, "there is no such file or folder", "Give raster files, or folders of them.")
        return [source]
    found = []
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names
                  if name.lower().endswith(RASTER_SUFFIXES) and not name.startswith(".")]
    if not found:
        raise TileError(source, f"the folder has no file with one of the extensions {' '.join(RASTER_SUFFIXES)}",
                        "Give a folder with orthophotos, or the files themselves.")
    return sorted(found)


def open_imagery(source: str | Path, settings: MapBuildConfig | None = None) -> list[Imagery]:
    """Open one source: a raster file, a folder of them, an address template, or a tile package.

    Args:
        source: The source as the user names it.
        settings: Bands and no-data value of rasters, area and options of tiles.

    Returns:
        Pieces of imagery; the first is on top.

    Raises:
        TileError: If it cannot be read or has another format.
        ConfigError: If a file lacks bands that the settings name.
        MissingExtraError: If a library for it is not installed.
    """
    settings = settings or MapBuildConfig()
    if is_mosaic(str(source)):
        from justzoomin.geometry import find_grid
        from justzoomin.imagery.opentiles import open_mosaic

        tiles = settings.tiles
        options: dict[str, Any] = {"tile_px": tiles.source_tile_px, "scheme": tiles.scheme, "attribution": settings.attribution,
                                   "tile_limit_s": tiles.tile_seconds, "run_limit_s": 3600 * tiles.max_hours}
        if tiles.requests_per_second is not None:
            options["requests_per_second"] = tiles.requests_per_second
        region = None if settings.region is None else find_grid(settings.region).region
        return open_mosaic(str(source), region=region, area=settings.area, layer=tiles.layer, matrix_set=tiles.matrix_set,
                           min_zoom=tiles.min_zoom, max_zoom=tiles.max_zoom, gsd_m=settings.gsd_m, max_tiles=tiles.max_tiles,
                           **options)
    return list(mosaics(open_raster(path, settings.bands, settings.nodata) for path in find_rasters(Path(source))))


def open_all(sources: Sequence[str | Path], settings: MapBuildConfig) -> list[Imagery]:
    """Open every source, first on top; neighbouring raster files on one grid become one piece.

    Raises:
        ConfigError: If there is no source, or an option is for a kind of source that is not given.
        TileError: If one cannot be read.
    """
    if not sources:
        raise ConfigError("SOURCE", "no source was given", "Give raster files, folders of them, or addresses of tiles.")
    _require_use(sources, settings.tiles)
    found: list[Imagery] = []
    waiting: list[RasterFile] = []
    for piece in [piece for source in sources for piece in open_imagery(source, settings)]:
        if isinstance(piece, RasterMosaic):
            waiting += piece.files
            continue
        found += mosaics(waiting)
        found.append(piece)
        waiting = []
    return [*found, *mosaics(waiting)]


def _require_use(sources: Sequence[str | Path], tiles: TileOptions) -> None:
    """Refuse an option that has no effect on any source, because nobody would notice.

    Raises:
        ConfigError: If there is one.
    """
    described = any(source_kind(source) == "description" for source in sources)
    addressed = any(source_kind(source) == "address" for source in sources)
    for option, given, possible, kind in (("--tms", tiles.scheme == "tms", addressed, "an address of tiles"),
                                          ("--layer", tiles.layer, described, "a WMTSCapabilities.xml"),
                                          ("--matrix-set", tiles.matrix_set, described, "a WMTSCapabilities.xml")):
        if given and not possible:
            raise ConfigError(option, f"none of the sources is {kind}", f"Remove {option}.")


def raster_files(imagery: Iterable[Imagery]) -> list[RasterFile]:
    """Return all raster files of pieces of imagery."""
    return [file for piece in imagery if isinstance(piece, RasterMosaic) for file in piece.files]


def stamp_sources(sources: Sequence[str | Path]) -> list[SourceStamp]:
    """Return the present state of every source: name, size and time of each file, including those of VRTs.

    Raises:
        TileError: If a file is missing.
    """
    stamps = []
    for source in sources:
        if source_kind(source) == "address":
            digest = hashlib.sha256(str(source).encode()).hexdigest()  # an address may hold a key
            stamps.append(SourceStamp(f"address {digest}", -1, -1))
            continue
        for path in find_rasters(Path(source)):
            inside = vrt_files(path) if path.suffix.lower() == ".vrt" else []
            for file in [path, *inside]:
                status = file.stat()
                stamps.append(SourceStamp(file.name, status.st_size, status.st_mtime_ns))
    return stamps
