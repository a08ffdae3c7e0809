"""Opens maps from a folder, a tile package, a tile server, or a server's description."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from justzoomin import archives, tiles  # what only one kind of source needs is loaded when it is used
from justzoomin.errors import LayoutError, TileError
from justzoomin.geometry import ZoomGrid, load_grid, preset
from justzoomin.tiles import AERIAL_ATTRIBUTION, CARD_LAYOUT, TileLayout
from justzoomin.untrusted import read_limited

RASTER_SUFFIXES = {".tif", ".tiff", ".vrt", ".jp2", ".img", ".asc", ".ecw", ".png", ".jpg", ".jpeg"}
"""Extensions of files that may be georeferenced imagery, from which a map can be built."""
_MAX_ATTRIBUTION = 65_536


class NoRegionError(LayoutError):
    """A map in a folder or a package does not state its region."""


@dataclass(frozen=True)
class MapParts:
    """The parts of a map.

    Args:
        layout: The layout.
        source: Where the tiles come from.
        grid: The zoom grid.
        name: Folder, file or address, for messages; without secrets.
        attribution: Whom to name; None if it is not stated.
    """

    layout: TileLayout
    source: tiles.TileSource
    grid: ZoomGrid
    name: str
    attribution: str | None


def find_map(root: Path | str | tiles.TileServer, grid: ZoomGrid | None) -> MapParts:
    """Find layout, tiles and region of a map. Nothing is fetched before the first view.

    Raises:
        LayoutError: If there is no layout, it is wrong, or the region is not stated.
        TileError: If there are no tiles, or a package cannot be read.
        ConfigError: If an address is not valid.
        DataError: If the folder is a download or an extraction that is not complete.
    """
    if not isinstance(root, str | Path):
        return _server_parts(root, grid)
    kind, path = tiles.source_kind(root), Path(root)
    if kind == "address":
        return _server_parts(tiles.TileServer(tiles.address_text(root)), grid)
    if kind == "description":
        return _server_parts(tiles.read_capabilities(path), grid)
    if kind == "package":
        package = tiles.open_package(path)
        return MapParts(package.layout, package, grid or find_region(path.parent, package.layout), str(path),
                        package.attribution or None)
    if path.suffix.lower() in RASTER_SUFFIXES and path.is_file():
        raise LayoutError(path, "it is imagery, not a map", f"Build a map from it first: jzi map build {path} MAP.")
    archives.require_complete(path)
    return _folder_parts(path, grid)


def _server_parts(server: tiles.TileServer, grid: ZoomGrid | None) -> MapParts:
    if grid is None:
        raise LayoutError(server.name, "a tile server covers a large area, and the region of this map is not given",
                          "Give the region of this map: --region FILE.")
    source = tiles.ServerSource(server)
    return MapParts(source.layout, source, grid, server.name, server.attribution or None)


def _folder_parts(root: Path, grid: ZoomGrid | None) -> MapParts:
    folder = layout_folder(root)
    layout = TileLayout.load(folder / "layout.yaml")
    if (folder / "images.dat").exists():
        raise LayoutError(folder / "images.dat", "packed maps of tiledwebmaps cannot be read",
                          "Give the map as tiles in folders or in the dataset's TAR shards.")
    attribution = _stated_attribution(folder, layout)
    source = _find_source(folder, layout, attribution or "")
    return MapParts(layout, source, grid or find_region(folder, layout), str(root), attribution)


def layout_folder(root: Path) -> Path:
    """Return the folder of the layout.yaml that `root` means."""
    if root.name == "layout.yaml" and root.is_file():
        return root.parent
    for folder in (root / "satellite", root):
        if (folder / "layout.yaml").is_file():
            return folder
    if not root.is_dir():
        raise LayoutError(root, "there is no such folder", "Give the dataset's folder or a folder with a layout.yaml.")
    imagery = any(path.suffix.lower() in RASTER_SUFFIXES for path in root.iterdir())
    raise LayoutError(root, "the folder has neither layout.yaml nor satellite/layout.yaml",
                      f"It holds imagery. Build a map from it first: jzi map build {root} MAP." if imagery else
                      "Give the dataset's folder or a folder with a layout.yaml.")


def _find_source(folder: Path, layout: TileLayout, attribution: str) -> tiles.TileSource:
    """Return the shards in or beside the layout's folder, else the tiles in it, else the server that the layout names."""
    for shards in (folder / "archives", folder.parent / "archives"):
        # A folder that just happens to be beside one called archives has its own tiles.
        if (shards.parent == folder or folder.name == "satellite") and tiles.find_shards(shards):
            return tiles.ShardSource(shards, layout)
    source = tiles.FolderSource(folder, layout)
    if source.levels():
        return source
    if layout.url is not None:
        return tiles.ServerSource(tiles.TileServer(layout.url, attribution, layout=layout, variables="own"))
    raise TileError(folder, f"there is no tile of levels {layout.min_zoom} to {layout.max_zoom} at {layout.path} "
                    "and no archives/satellite_level_*.tar",
                    "Download the archives, or check path, min_zoom and max_zoom in layout.yaml.")


def find_region(folder: Path, layout: TileLayout) -> ZoomGrid:
    """Return the grid that region.yaml states; else the benchmark's, if the layout is that of the dataset card.

    Raises:
        NoRegionError: If there is neither.
        ConfigError: If region.yaml is wrong.
    """
    path = folder / "region.yaml"
    if path.exists():
        return load_grid(path)
    if layout.same_place(CARD_LAYOUT):
        return preset("dc")
    raise NoRegionError(path, "there is no region.yaml, and the layout is not the published dataset's",
                        "Write one with `jzi region fit MAP --write`, or give --region FILE.")


def _stated_attribution(folder: Path, layout: TileLayout) -> str | None:
    """Return the text of the file ATTRIBUTION in the layout's folder or above it; else what is known of the layout."""
    for place in (folder, folder.parent) if folder.resolve().name == "satellite" else (folder,):
        file = place / "ATTRIBUTION"
        if file.is_file():
            try:
                return read_limited(file, _MAX_ATTRIBUTION).decode("utf-8", "replace").strip()
            except OSError as error:
                raise LayoutError(file, f"it cannot be read ({error.strerror})", "Write a few lines of plain text.") from error
    return AERIAL_ATTRIBUTION if layout.same_place(CARD_LAYOUT) else None
