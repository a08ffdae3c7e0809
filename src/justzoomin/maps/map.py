"""Maps: open a folder, ask for views."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from justzoomin.errors import LayoutError, TileError
from justzoomin.geometry import LatLon, ZoomGrid, load_grid, move, preset
from justzoomin.maps.layout import CARD_LAYOUT, TileLayout
from justzoomin.maps.projection import TileProjection
from justzoomin.maps.render import place, render
from justzoomin.maps.sources import FolderSource, ShardSource, TileId, TileSource, find_shards
from justzoomin.maps.summary import MapInfo, content_hash, level_info, union
from justzoomin.maps.tiles import Pixels, TileCache

TILE_CACHE_BYTES = 64 << 20


@dataclass(frozen=True)
class Square:
    """A square of the earth, as a view shows it.

    Args:
        centre: Its centre.
        size_m: Its edge in metres on the sphere.
        bearing_deg: Direction of the view's top, degrees clockwise from north.
        corners: The view's top left, top right, bottom right and bottom left.
    """

    centre: LatLon
    size_m: float
    bearing_deg: float
    corners: tuple[LatLon, LatLon, LatLon, LatLon]

    @classmethod
    def around(cls, lat: float, lon: float, size_m: float, bearing_deg: float = 0.0) -> Square:
        """The square around a position: sideways first, then along the bearing, as a grid's cells are laid."""
        half = size_m / 2.0
        sides, ends = [-half, half, half, -half], [half, half, -half, -half]
        lats, lons = move(*move(lat, lon, bearing_deg + 90.0, sides), bearing_deg, ends)
        top_left, top_right, bottom_right, bottom_left = (LatLon(float(a), float(b))
                                                          for a, b in zip(lats, lons, strict=True))
        return cls(LatLon(lat, lon), size_m, bearing_deg, (top_left, top_right, bottom_right, bottom_left))


@dataclass(frozen=True)
class View:
    """The picture of a square, with its place.

    Args:
        pixels: uint8 RGB (n, n, 3); white where there is no tile.
        square: What it shows.
        no_data: Share of its pixels that lie where there is no tile, in [0, 1].
        level: The level it was drawn from.
    """

    pixels: Pixels
    square: Square
    no_data: float
    level: int


class Map:
    """An overhead map: a layout, its tiles, and the zoom grid of its region. Open one with `Map.open`.

    Can be pickled and used from threads, forked processes and DataLoader workers.

    Args:
        layout: The layout.
        source: Where the tiles come from.
        grid: The zoom grid of the region.
        root: The folder that was opened, for messages.
    """

    def __init__(self, layout: TileLayout, source: TileSource, grid: ZoomGrid, root: Path) -> None:
        self.layout = layout
        self.source = source
        self.grid = grid
        self.root = Path(root)
        self._projection = TileProjection(layout, str(root))
        self._tiles = TileCache(source, layout.tile_px, TILE_CACHE_BYTES)
        self._known_levels: set[int] = set()
        self._fingerprint: str | None = None

    @classmethod
    def open(cls, root: Path | str, grid: ZoomGrid | None = None) -> Map:
        """Open a map.

        Args:
            root: The dataset's repository as downloaded (`archives/` and `satellite/layout.yaml`) or as
                extracted (`satellite/layout.yaml` and tiles), its `satellite` folder, or any folder with a
                `layout.yaml` and tiles. Where shards and extracted tiles are both there, shards are read.
            grid: The zoom grid; without it `region.yaml` beside `layout.yaml` says it, and the published
                dataset's own layout means the preset `dc`.

        Raises:
            LayoutError: If there is no layout, it is wrong, or nothing says the region.
            TileError: If there are no tiles at all.
        """
        root = Path(root)
        folder = _layout_folder(root)
        layout = TileLayout.load(folder / "layout.yaml")
        if (folder / "images.dat").exists():
            raise LayoutError(folder / "images.dat", "a packed map of tiledwebmaps is not read here",
                              "Give the map as tiles in folders or in the dataset's TAR shards.")
        source = _find_source(folder, layout)
        return cls(layout, source, grid or _find_region(folder, layout), root)

    def view(self, lat: float, lon: float, size_m: float, pixels: int, bearing_deg: float = 0.0) -> View:
        """Draw the view of a square.

        Args:
            lat: Latitude of its centre in degrees.
            lon: Longitude of its centre in degrees.
            size_m: Its edge in metres.
            pixels: Edge of the picture in pixels.
            bearing_deg: Direction of the picture's top, degrees clockwise from north.

        Raises:
            GeometryError: If an argument cannot be right, or the map's projection fails at the position.
            TileError: If the level it needs has no tile at all, or a tile is broken; it names them.
        """
        lat, lon, size_m, bearing_deg = float(lat), float(lon), float(size_m), float(bearing_deg)
        placement = place(self._projection, lat, lon, size_m=size_m, pixels=pixels, bearing_deg=bearing_deg)
        if placement.level not in self._known_levels:
            self._require_level(placement.level, size_m, pixels)
        picture, no_data = render(placement, self._projection, self._tiles)
        return View(picture, Square.around(lat, lon, size_m, bearing_deg), no_data, placement.level)

    def tile(self, level: int, x: int, y: int) -> Pixels | None:
        """One tile, uint8 RGB (tile_px, tile_px, 3), read-only; None where there is none.

        Raises:
            TileError: If the tile is broken; it names the tile and its shard.
        """
        return self._tiles.get(TileId(level, x, y))

    def levels(self) -> dict[int, int]:
        """How many tiles each level has, coarsest level first; levels without any are left out."""
        return {level: len(self.source.table(level)) for level in self.source.levels()}

    def fingerprint(self) -> str:
        """Hash of the map's content, equal for shards and extracted tiles; `summary.content_hash` states its limits."""
        if self._fingerprint is None:
            self._fingerprint = content_hash(self._projection, self.source)
        return self._fingerprint

    def info(self) -> MapInfo:
        """The map in numbers; lists every tile.

        Raises:
            TileError: If a shard or folder cannot be read.
            GeometryError: If the projection fails at the region's centre.
        """
        levels = tuple(level_info(self.source.table(level), self._projection, self.grid)
                       for level in self.source.levels())
        centre = self.grid.region.centre
        return MapInfo(
            root=str(self.root), source="shards" if isinstance(self.source, ShardSource) else "folder",
            crs=self.layout.crs, tile_px=self.layout.tile_px, tiles=sum(v.tiles for v in levels),
            bytes=sum(v.bytes for v in levels), extent=union([v.extent for v in levels]),
            region_centre=(centre.lat, centre.lon), region_size_m=self.grid.region.size_m, levels=levels,
            fingerprint=self.fingerprint())

    def _require_level(self, level: int, size_m: float, pixels: int) -> None:
        if not self.source.has_level(level):
            have = ", ".join(map(str, self.source.levels())) or "none"
            raise TileError(f"{self.root}: level {level}",
                            f"a view of {size_m:g} m at {pixels} px needs it and it has no tile; "
                            f"levels with tiles: {have}",
                            "Download or build that level, or ask for another size or pixel count.")
        self._known_levels.add(level)


def _layout_folder(root: Path) -> Path:
    """The folder of the layout.yaml that `root` means."""
    if root.name == "layout.yaml" and root.is_file():
        return root.parent
    for folder in (root / "satellite", root):
        if (folder / "layout.yaml").is_file():
            return folder
    if not root.is_dir():
        raise LayoutError(root, "there is no such folder", "Give the dataset's folder or a folder with a layout.yaml.")
    raise LayoutError(root, "neither layout.yaml nor satellite/layout.yaml is there",
                      "Give the dataset's folder or a folder with a layout.yaml.")


def _find_source(folder: Path, layout: TileLayout) -> TileSource:
    """Shards beside the layout's folder or in it, else tiles below it."""
    for archives in (folder / "archives", folder.parent / "archives"):
        # A folder that only happens to have a neighbour called archives keeps its own tiles.
        if (archives.parent == folder or folder.name == "satellite") and find_shards(archives):
            return ShardSource(archives, layout)
    source = FolderSource(folder, layout)
    if not source.levels():
        raise TileError(folder, f"there is no tile of levels {layout.min_zoom} to {layout.max_zoom} at {layout.path}, "
                        "and no archives/satellite_level_*.tar",
                        "Download the archives, or check path, min_zoom and max_zoom in layout.yaml.")
    return source


def _find_region(folder: Path, layout: TileLayout) -> ZoomGrid:
    """The grid that region.yaml states; the benchmark's where the layout is the card's own."""
    path = folder / "region.yaml"
    if path.exists():
        return load_grid(path)
    if layout.same_place(CARD_LAYOUT):
        return preset("dc")
    raise LayoutError(path, "there is no region.yaml, and the layout is not the published dataset's",
                      "Say which region this map is for: --region FILE, or a region.yaml beside layout.yaml.")
