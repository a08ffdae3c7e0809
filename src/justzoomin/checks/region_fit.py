"""A region and a depth for a map: the largest square that its tiles cover, and the depth for the wanted cells."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from justzoomin.checks.cellcover import cell_cover
from justzoomin.checks.needs import ViewNeed, view_needs
from justzoomin.checks.outline import Outline, outline_table
from justzoomin.checks.squares import FitSquare, fit_squares, tile_edge_m
from justzoomin.errors import ConfigError, GeometryError, TileError
from justzoomin.geometry import LatLon, Region, ZoomGrid, grid_to_dict, preset
from justzoomin.maps import Map, NoRegionError, layout_folder
from justzoomin.tiles import TileProjection, source_kind

DEFAULT_CELL_M = 39.0
"""Edge of a terminal cell, about that of the benchmark (39.06 m)."""
DEFAULT_NO_DATA = 0.05
_LEAST_M = 0.001
_CELL_OFF = 1.5
_LOOK_M = 100.0


@dataclass(frozen=True)
class RegionFit:
    """A proposed grid, with reasons and warnings.

    Args:
        grid: The proposed grid.
        pixels: Edge of the views that it is made for.
        cell_m: Wanted edge of a terminal cell.
        level: Map level whose tiles were used; None if the source cannot list them.
        squares: The largest squares for several shares without data; empty if centre and size were given.
        needs: What the views of each level need, and what they are drawn from.
        coverage: Share of the region that has tiles, for each level of the grid; None if it cannot be known.
        notes: Decisions and their reasons.
        warnings: What the map cannot provide.
    """

    grid: ZoomGrid
    pixels: int
    cell_m: float
    level: int | None
    squares: tuple[FitSquare, ...]
    needs: tuple[ViewNeed, ...]
    coverage: tuple[float | None, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        centre = self.grid.region.centre
        return {
            "region": grid_to_dict(self.grid), "centre": list(centre), "size_m": self.grid.region.size_m,
            "terminal_cell_m": self.grid.cell_size_m(self.grid.depth), "cell_m_wanted": self.cell_m, "pixels": self.pixels,
            "map_level_looked_at": self.level, "squares": [{**asdict(s), "centre": list(s.centre)} for s in self.squares],
            "levels": [{**need.to_dict(), "coverage": share}
                       for need, share in zip(self.needs, self.coverage, strict=True)],
            "notes": list(self.notes), "warnings": list(self.warnings),
        }


def open_unplaced(root: Path | str) -> Map:
    """Open a map whose region is not known yet. Its `grid` is a placeholder: do not use it.

    Raises:
        LayoutError: If there is no layout or it is wrong.
        TileError: If there are no tiles.
    """
    return Map.open(root, grid=preset("dc"))


def open_proposed(root: Path | str, *, pixels: int = 384) -> tuple[Map, RegionFit | None]:
    """Open a map, with a proposed region if it has none. The proposal is not written.

    Args:
        root: The map.
        pixels: Edge of the views to which a proposal is fitted, in pixels.

    Returns:
        The map, and the proposal; None if the map states its region.

    Raises:
        LayoutError: If there is no layout or it is wrong, or a tile server is given.
        TileError: If there are no tiles, or no square fits.
    """
    try:
        return Map.open(root), None
    except NoRegionError:
        fitted = fit_region(open_unplaced(root), pixels=pixels)
        return Map.open(root, fitted.grid), fitted


def region_path(root: Path | str) -> Path:
    """Return the path of a map's region.yaml: beside its layout.yaml, or beside a package.

    Raises:
        LayoutError: If the folder holds no layout.yaml.
        ConfigError: If it is the address of a server, which has no folder.
    """
    kind = source_kind(root)
    if kind == "address":
        raise ConfigError(str(root), "a tile server has no folder for a region.yaml",
                          "Give --out FILE, and --region FILE later.")
    path = Path(root)
    return (path.parent if kind == "package" else layout_folder(path)) / "region.yaml"


def fit_region(source: Map, *, pixels: int = 384, grid: int = 4, cell_m: float | None = None, depth: int | None = None,
               size_m: float | None = None, centre: LatLon | None = None, no_data: float = DEFAULT_NO_DATA,
               level: int | None = None) -> RegionFit:
    """Propose a region and depth for a map.

    The region is the largest square, north up on the sphere, of which at most the share `no_data` lacks imagery. The depth is
    the one whose terminal cells are nearest to `cell_m`; it is reduced if the map has no imagery for the finest views.

    Args:
        source: The map, from `open_unplaced` or any other.
        pixels: Edge of the views in pixels.
        grid: Cells a side.
        cell_m: Wanted edge of the terminal cells in metres; default: `DEFAULT_CELL_M`.
        depth: Levels; give it or `cell_m`.
        size_m: Edge of the region in metres; default: the largest that fits.
        centre: Centre of the region; default: where the square has most imagery.
        no_data: Share of the region that may lack imagery, in [0, 1).
        level: Map level whose tiles are used; default: chosen.

    Raises:
        ConfigError: If the settings contradict each other or the source cannot list tiles and centre or size is missing.
        TileError: If no square fits, or a level cannot be listed.
        GeometryError: If the numbers cannot be a region, or the projection fails there.
    """
    _check(pixels, cell_m, depth, size_m, no_data)
    if centre is not None and source.listed and source.looks_swapped(*centre, size_m or _LOOK_M):
        raise ConfigError(f"--centre {centre.lat:g},{centre.lon:g}",
                          "the map shows nothing there; latitude and longitude look swapped",
                          f"Give the latitude first: --centre={centre.lon:g},{centre.lat:g}.")
    projection = TileProjection(source.layout, source.name)
    table = outline_table(source, level)
    notes: list[str] = []
    squares: tuple[FitSquare, ...] = ()
    if centre is None or size_m is None:
        if table is None:
            raise ConfigError(source.name, "its tiles cannot be listed, so no square can be fitted",
                              "Give --centre LAT,LON and --size-m.")
        outline = Outline(source, table, projection)
        squares = fit_squares(outline, no_data, centre, size_m)
        best = next(s for s in squares if s.no_data == no_data)
        if best.size_m <= 0:
            raise TileError(f"{source.name}: level {table.level}", f"no square has imagery on {1 - no_data:.0%} of it",
                            "Allow more with --max-no-data, or give --centre and --size-m.")
        centre, size_m = best.centre, size_m or best.size_m
        notes.append(f"map level {table.level} was used: {len(table):,} tiles of {tile_edge_m(table, projection):,.4g} m, "
                     + f"white areas inside them {'counted as no data' if outline.decoded else 'not checked'}")
    region = _region(centre, size_m)
    zoom = _depth(region, grid, pixels, cell_m, depth, projection, source, notes)
    needs = view_needs(projection, zoom, pixels, source.source.has_level)
    coverage = tuple(_coverage(zoom, need, source, projection) for need in needs)
    wanted = DEFAULT_CELL_M if cell_m is None else cell_m
    warnings = _warnings(zoom, needs, coverage, None if depth is not None else wanted)
    return RegionFit(zoom, pixels, wanted, None if table is None else table.level, squares, needs, coverage,
                     tuple(notes), tuple(warnings))


def _check(pixels: int, cell_m: float | None, depth: int | None, size_m: float | None, no_data: float) -> None:
    if cell_m is not None and depth is not None:
        raise ConfigError("--cell-m, --depth", "both say how fine the grid is", "Give one of them.")
    for name, value in (("--cell-m", cell_m), ("--size-m", size_m)):
        if value is not None and not (math.isfinite(value) and value >= _LEAST_M):
            raise ConfigError(name, f"{value} m is not the edge of a square", f"Give {_LEAST_M} m or more.")
    if not 8 <= pixels <= 8192:
        raise ConfigError("--pixels", f"views of {pixels} px", "Give 8 to 8192.")
    if not 0 <= no_data < 1:
        raise ConfigError("--max-no-data", f"{no_data} is not a share from 0 to below 1", "Give for example 0.05.")


def _region(centre: LatLon, size_m: float) -> Region:
    """Return a square around a centre, with its edge rounded down to a round number of metres."""
    rounded = math.floor(size_m) if 20 <= size_m < 2000 else math.floor(size_m / 10) * 10 if size_m >= 2000 else size_m
    half = rounded / 2
    return Region(round(centre.lat, 6), round(centre.lon, 6), (-half, half), (-half, half))


def _depth(region: Region, grid: int, pixels: int, cell_m: float | None, depth: int | None, projection: TileProjection,
           source: Map, notes: list[str]) -> ZoomGrid:
    """Return the grid with the given depth, or that of the wanted cell, reduced until the map suits the finest views."""
    if depth is not None:
        return ZoomGrid(region, grid, depth)
    wanted = DEFAULT_CELL_M if cell_m is None else cell_m
    ZoomGrid(region, grid, 1)  # refuses a wrong grid before its logarithm is computed
    nearest = max(1, round(math.log(max(region.size_m / wanted, 1.0)) / math.log(grid)))
    notes.append(f"depth {nearest} gives terminal cells of {region.size_m / grid**nearest:.4g} m, the nearest to the wanted "
                 f"{wanted:.4g} m")
    for levels in range(nearest, 0, -1):
        try:
            zoom = ZoomGrid(region, grid, levels)
        except GeometryError as error:
            notes.append(f"depth {levels} is not possible: {error.what}")
            continue
        finest = view_needs(projection, zoom, pixels, source.source.has_level)[-1]
        if levels == 1 or finest.service in {"full", "just"}:
            return zoom
        why = f"map level {finest.map_level} has no tile" if finest.service == "missing" else \
            f"the map's finest level has {finest.map_metres_per_pixel:.3g} m"
        notes.append(f"depth {levels} is too fine: its finest views need {finest.metres_per_pixel:.3g} m per pixel, but {why}")
    return ZoomGrid(region, grid, 1)


def _coverage(zoom: ZoomGrid, need: ViewNeed, source: Map, projection: TileProjection) -> float | None:
    if not source.listed:
        return None  # a tile server does not list its tiles
    table = source.source.table(need.map_level)
    return float(cell_cover(zoom, 0, table, projection).share[0])


def _warnings(zoom: ZoomGrid, needs: tuple[ViewNeed, ...], coverage: tuple[float | None, ...],
              wanted: float | None) -> list[str]:
    warnings = []
    cell = zoom.cell_size_m(zoom.depth)
    if wanted is not None and not 1 / _CELL_OFF <= cell / wanted <= _CELL_OFF:
        deeper = wanted * zoom.grid ** max(1, round(math.log(zoom.region.size_m / wanted) / math.log(zoom.grid)))
        warnings.append(f"terminal cells are {cell:.4g} m, but {wanted:.4g} m were wanted; "
                        f"a region of {deeper:,.0f} m gives them if the map's resolution allows it")
    for need, share in zip(needs, coverage, strict=True):
        where = f"grid level {need.level}: its views of {need.size_m:,.4g} m"
        if need.service == "missing":
            warnings.append(f"{where} are drawn from map level {need.map_level}, which has no tile: "
                            "build it, or training stops")
        elif need.service == "too_large":
            warnings.append(f"{where} would need {need.tiles_across:,.0f} x {need.tiles_across:,.0f} tiles of the "
                            "coarsest level: build coarser levels")
        elif need.service == "enlarged":
            warnings.append(f"{where} need {need.metres_per_pixel:.3g} m per pixel, but the finest map level has "
                            f"{need.map_metres_per_pixel:.3g} m: they are enlarged")
        if share is not None and need.service != "missing" and share < _floor(coverage):
            warnings.append(f"{where} are drawn from map level {need.map_level}, which covers {share:.1%} of the region")
    return warnings


def _floor(coverage: tuple[float | None, ...]) -> float:
    """Return the coverage below which a level covers clearly less than the best one."""
    known = [share for share in coverage if share is not None]
    return max(known) - 0.05 if known else 0.0
