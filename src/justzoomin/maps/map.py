"""Maps: open one, and draw views of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from justzoomin.errors import JustZoomInError, TileError
from justzoomin.geometry import LatLon, ZoomGrid, move
from justzoomin.maps.opening import find_map
from justzoomin.maps.render import place, render
from justzoomin.maps.summary import MapInfo, content_hash, level_info, metres_per_pixel, union, unlisted_level_info
from justzoomin.tiles import TileCache, TileId, TileProjection

if TYPE_CHECKING:
    from justzoomin.tiles import Pixels, TileLayout, TileServer, TileSource

TILE_CACHE_BYTES = 64 << 20


@dataclass(frozen=True)
class Square:
    """A square of the earth that a view shows.

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
        """Return the square around a position; as for cells, its corners are found sideways, then along the bearing."""
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
        square: The square that it shows.
        no_data: Share of its pixels without a tile, in [0, 1].
        level: The level that it was drawn from.
    """

    pixels: Pixels
    square: Square
    no_data: float
    level: int


class Map:
    """An overhead map: a layout, its tiles, and the zoom grid of its region. Open one with `Map.open`.

    It can be pickled and used by threads, forked processes and DataLoader workers.

    Args:
        layout: The layout.
        source: Where the tiles come from.
        grid: The zoom grid of the region.
        root: The folder or package that was opened.
        name: What was opened, for messages, because an address is not a path; None for `root`.
        attribution: Whom to name, as the map states; None if it does not.

    Attributes:
        projection: Its projection, tiles and pixels.
        cache: Its decoded tiles.
    """

    def __init__(self, layout: TileLayout, source: TileSource, grid: ZoomGrid, root: Path, *, name: str | None = None,
                 attribution: str | None = None) -> None:
        self.layout = layout
        self.source = source
        self.grid = grid
        self.root = Path(root)
        self.name = str(root) if name is None else name
        self.attribution = attribution
        self.projection = TileProjection(layout, self.name)
        self.cache = TileCache(source, layout.tile_px, TILE_CACHE_BYTES)
        self._known_levels: set[int] = set()
        self._fingerprint: str | None = None

    @classmethod
    def open(cls, root: Path | str | TileServer, grid: ZoomGrid | None = None) -> Map:
        """Open a map. Nothing is fetched from a tile server until a view needs it.

        Args:
            root: The dataset's repository as downloaded (`archives/` and `satellite/layout.yaml`) or as
                extracted (`satellite/layout.yaml` and tiles), its `satellite` folder, or any folder with a
                `layout.yaml` and tiles. If there are both shards and extracted tiles, shards are read. If there are neither
                and the layout has a `url`, tiles come from that server. Or a tile package (.mbtiles, .pmtiles, or a file
                extension that a plug-in opens), the address template of a tile server, its WMTSCapabilities.xml, or a
                `TileServer`.
            grid: The zoom grid; default: that of `region.yaml` beside `layout.yaml`, or the preset `dc` for the published
                dataset's layout.

        Raises:
            LayoutError: If there is no layout, it is wrong, or the region is not stated.
            TileError: If there are no tiles.
            DataError: If the folder is a download or an extraction that is not complete.
        """
        parts = find_map(root, grid)
        return cls(parts.layout, parts.source, parts.grid, Path(parts.name), name=parts.name, attribution=parts.attribution)

    def view(self, lat: float, lon: float, size_m: float, pixels: int, bearing_deg: float = 0.0) -> View:
        """Draw the view of a square.

        Args:
            lat: Latitude of its centre in degrees.
            lon: Longitude of its centre in degrees.
            size_m: Its edge in metres.
            pixels: Edge of the picture in pixels.
            bearing_deg: Direction of the picture's top, degrees clockwise from north.

        Raises:
            GeometryError: If an argument is not valid, or the map's projection fails at the position.
            TileError: If the level that it needs has no tile, or a tile is broken; it names them.
        """
        lat, lon, size_m, bearing_deg = float(lat), float(lon), float(size_m), float(bearing_deg)
        placement = place(self.projection, lat, lon, size_m=size_m, pixels=pixels, bearing_deg=bearing_deg)
        if placement.level not in self._known_levels:
            self._require_level(placement.level, size_m, pixels)
        picture, no_data = render(placement, self.projection, self.cache)
        return View(picture, Square.around(lat, lon, size_m, bearing_deg), no_data, placement.level)

    def looks_swapped(self, lat: float, lon: float, size_m: float, pixels: int = 64) -> bool:
        """Return whether a square shows nothing, but shows something with latitude and longitude swapped."""
        def shows(lat: float, lon: float) -> bool:
            try:
                return self.view(lat, lon, size_m, pixels).no_data < 1.0
            except JustZoomInError:
                return False

        return abs(lon) <= 90 and not shows(lat, lon) and shows(lon, lat)

    def tile(self, level: int, x: int, y: int) -> Pixels | None:
        """Return one tile, uint8 RGB (tile_px, tile_px, 3), read-only; None if there is no such tile.

        Raises:
            TileError: If the tile is broken; it names the tile and its shard.
        """
        return self.cache.get(TileId(level, x, y))

    @property
    def listed(self) -> bool:
        """Whether its tiles can be listed; those of a tile server cannot."""
        return self.source.listed

    def levels(self) -> dict[int, int]:
        """Return the number of tiles of each level with tiles, coarsest level first.

        The result is empty for a tile server, which cannot list its tiles; see `listed`.
        """
        return {} if not self.listed else {level: len(self.source.table(level)) for level in self.source.levels()}

    def fingerprint(self) -> str:
        """Return a hash of the map's content, the same for shards and extracted tiles; for its limits see `content_hash`.

        A tile server's content is not known, so its fingerprint is `server-` and a hash of address, layout and attribution.
        """
        if self._fingerprint is None:
            self._fingerprint = self.source.identity_hash() or content_hash(self.projection, self.source)
        return self._fingerprint

    def info(self) -> MapInfo:
        """Return the map in numbers; this lists every tile, unless they come from a tile server.

        Raises:
            TileError: If a shard or folder cannot be read.
            GeometryError: If the projection fails at the region's centre.
        """
        levels = tuple(level_info(self.source.table(level), self.projection, self.grid) if self.listed
                       else unlisted_level_info(level, self.projection, self.grid) for level in self.source.levels())
        centre = self.grid.region.centre
        return MapInfo(
            root=self.name, source=self.source.kind, crs=self.layout.crs, tile_px=self.layout.tile_px,
            tiles=sum(v.tiles or 0 for v in levels), bytes=sum(v.bytes or 0 for v in levels),
            extent=union([v.extent for v in levels]),
            region_centre=(centre.lat, centre.lon), region_size_m=self.grid.region.size_m, levels=levels,
            fingerprint=self.fingerprint(), attribution=self.attribution)

    def finest_metres_per_pixel(self, grid: ZoomGrid) -> float:
        """Return the ground resolution of the finest level at the centre of a grid's region."""
        return metres_per_pixel(self.source.levels()[-1], self.projection, grid)

    def _require_level(self, level: int, size_m: float, pixels: int) -> None:
        if not self.source.has_level(level):
            have = ", ".join(map(str, self.source.levels())) or "none"
            raise TileError(f"{self.name}: level {level}",
                            f"a view of {size_m:g} m at {pixels} px needs it, but it has no tile; levels with tiles: {have}",
                            "Download or build that level, or choose another size or number of pixels.")
        self._known_levels.add(level)
