"""Opens an address, a package or a server's description as imagery."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from justzoomin.errors import ConfigError, LayoutError, TileError
from justzoomin.geometry import Region
from justzoomin.imagery.areas import Area, region_area
from justzoomin.imagery.base import Imagery
from justzoomin.imagery.gaps import package_area, shared_area
from justzoomin.imagery.mosaic import TileMosaic
from justzoomin.tiles import (
    ServerSource,
    SourceKind,
    TileServer,
    address_text,
    is_web_square,
    open_package,
    read_capabilities,
    source_kind,
)


def open_mosaic(source: Path | str | TileServer, *, region: Region | None = None,
                area: Area | None = None, layer: str | None = None, matrix_set: str | None = None,
                min_zoom: int | None = None, max_zoom: int | None = None, gsd_m: float | None = None, max_tiles: int = 50_000,
                **settings: Any) -> list[Imagery]:
    """Open a tile package, a tile server or a WMTSCapabilities.xml as imagery. Nothing is fetched yet.

    Args:
        source: Package (.mbtiles, .pmtiles), address template, `TileServer` or WMTSCapabilities.xml.
        region: The area as a region; a server needs it or `area`.
        area: The area as south, west, north, east in degrees; used instead of the region's.
        layer: Layer of a WMTSCapabilities.xml that has several.
        matrix_set: Tile matrix set of the layer; default: web mercator, else the first usable one.
        min_zoom: Coarsest level of a server.
        max_zoom: Finest level of a server, or finest level to use of a package.
        gsd_m: Wanted ground resolution, for the count of tiles; default: that of the finest level.
        max_tiles: Most tiles to fetch from a server.
        **settings: Further settings of the `TileServer`: attribution, requests_per_second, tile_px, scheme, ...

    Raises:
        ConfigError: If a server has no area or attribution, too many tiles would be requested, or a setting is not valid.
        LayoutError: If a package is missing, its tiles are not numbered as in web maps, or a WMTSCapabilities.xml
            cannot be used.
        TileError: If a package cannot be read.
    """
    if area is None and region is not None:
        area = region_area(region)
    if isinstance(source, str | Path):
        kind = source_kind(source)
        if kind == "package":
            return [_package(Path(source), area, str(settings.get("attribution") or ""), max_zoom, gsd_m)]
        server = _server(source, kind, layer, matrix_set, min_zoom, max_zoom, {"max_tiles": max_tiles, **settings})
    else:
        server = source
    if area is None:
        raise ConfigError(server.name, "a tile server covers a large area, and the wanted area is not given",
                          "Give --area south,west,north,east or --region.")
    if not server.attribution.strip():
        raise ConfigError(server.name, "the attribution that its terms require is not given",
                          "Read the terms, then give --attribution TEXT.")
    mosaic = TileMosaic(server.name, ServerSource(server), server.tile_layout(), area, server.attribution)
    level = mosaic.source.levels()[-1] if gsd_m is None else mosaic.level_for(gsd_m)
    count = mosaic.count_tiles(level)
    if count > server.max_tiles:
        raise ConfigError(server.name, f"the area has {count} tiles of level {level}, but {server.max_tiles} are allowed",
                          "Choose a smaller area or a coarser --gsd-m. If the server's terms allow it, raise --max-tiles.")
    hours = count / server.requests_per_second / 3600
    if server.run_limit_s is not None and 3600 * hours > server.run_limit_s:
        raise ConfigError(server.name, f"its {count} tiles of level {level} take {hours:,.1f} hours at "
                          f"{server.requests_per_second:g} a second, but {server.run_limit_s / 3600:g} hours are allowed",
                          "Choose a smaller area or a coarser --gsd-m, or raise --max-hours.")
    return [mosaic]


def _package(path: Path, area: Area | None, attribution: str, max_zoom: int | None, gsd_m: float | None) -> TileMosaic:
    """Return a package, cut to the area that the levels in use cover."""
    package = open_package(path)
    if not is_web_square(package.layout):
        raise LayoutError(path, "its tiles are not numbered as in web maps, so no map can be built from it",
                          "Use the package itself as a map.")
    levels = [level for level in package.levels() if max_zoom is None or level <= max_zoom]
    if not levels:
        raise TileError(path, f"it has no level up to {max_zoom}", "Give a finer level as --max-zoom.")

    def cut(level: int) -> TileMosaic:
        whole = package_area(package, package.layout, level, levels[-1])
        return TileMosaic(str(path), package, package.layout, whole if area is None else shared_area(area, whole, str(path)),
                          attribution or package.attribution, max_zoom, fills=True)

    mosaic = cut(levels[-1])
    return mosaic if gsd_m is None else cut(mosaic.level_for(gsd_m))


def _server(source: Path | str, kind: SourceKind, layer: str | None, matrix_set: str | None, min_zoom: int | None,
            max_zoom: int | None, settings: dict[str, Any]) -> TileServer:
    """Return the server of a source, with only the wanted levels."""
    zooms = {key: value for key, value in (("min_zoom", min_zoom), ("max_zoom", max_zoom)) if value is not None}
    if kind == "address":
        return TileServer(address_text(source), **{**settings, **zooms})
    if settings.get("scheme") == "tms":
        raise ConfigError(f"--tms {source}", "a WMTS counts its rows from the north", "Remove --tms.")
    server = read_capabilities(Path(source), layer=layer, matrix_set=matrix_set, **settings)
    layout = server.tile_layout()
    low, high = zooms.get("min_zoom", layout.min_zoom), zooms.get("max_zoom", layout.max_zoom)
    return replace(server, layout=replace(layout, min_zoom=max(low, layout.min_zoom), max_zoom=min(high, layout.max_zoom)))
