"""`jzi map info`: print what a map holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import REGION_HELP, out, print_json, region_option

if TYPE_CHECKING:
    from justzoomin.maps import MapInfo

Root = Annotated[str, typer.Argument(help="Folder of a dataset or map, tile package (.mbtiles, .pmtiles), or address template "
                                     "of a tile server.")]
Region = Annotated[str | None, typer.Option("--region", help=REGION_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def info(root: Root, region: Region = None, as_json: AsJson = False) -> None:
    """Print levels, tiles, bytes, ground resolution, extent, and how much of the region has tiles."""
    from justzoomin.maps import Map

    summary = Map.open(root, region_option(region)).info()
    if as_json:
        print_json(summary.to_dict())
    else:
        print_info(summary)


def print_info(summary: MapInfo) -> None:
    """Print the summary of a map as a table."""
    from rich.table import Table

    console = out()
    table = Table(title=f"Map {summary.root}")
    for name in ("level", "tiles", "MB", "m/px", "covers"):
        table.add_column(name, justify="right")
    for level in summary.levels:
        listed = ("?", "?") if level.tiles is None else (f"{level.tiles:,}", f"{(level.bytes or 0) / 1e6:,.2f}")
        table.add_row(str(level.level), *listed, f"{level.metres_per_pixel:.3f}",
                      "?" if level.coverage is None else f"{level.coverage:.1%}")
    console.print(table)
    lat, lon = summary.region_centre
    unlisted = any(v.tiles is None for v in summary.levels)
    count, size = ("?", "") if unlisted else (f"{summary.tiles:,}", f"{summary.bytes / 1e6:,.1f} MB, ")
    console.print(f"tiles: {count} of {summary.tile_px} px, {size}read from "
                  f"{summary.source}, projection {summary.crs}")
    south, west, north, east = summary.extent
    console.print(f"extent: south {south:.6f}, west {west:.6f}, north {north:.6f}, east {east:.6f}")
    console.print(f"region: {summary.region_size_m:g} m around {lat:.6f} {lon:.6f}; covers = share of the region with tiles")
    console.print(f"fingerprint: {summary.fingerprint}")
    if summary.attribution:
        console.print(f"attribution: {summary.attribution}", markup=False)
