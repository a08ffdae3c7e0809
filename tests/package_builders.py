"""Tile packages of a folder's tiles."""

import sqlite3
from pathlib import Path

from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

ATTRIBUTION = '<a href="https://example.org">&copy; Town</a> of Nowhere'


def tiles_of(folder: Path):
    for path in sorted(folder.rglob("*.*")):
        parts = path.relative_to(folder).parts
        if len(parts) == 3:
            yield int(parts[0]), int(parts[1]), int(path.stem), path.read_bytes()


def mbtiles(folder: Path, to: Path, *, deduplicated: bool = False, **metadata: str) -> Path:
    """A package as the specification has it, or with the view over two tables that many writers make."""
    base = sqlite3.connect(to)
    base.execute("CREATE TABLE metadata (name text, value text)")
    values = {"name": "town", "format": "png", "attribution": ATTRIBUTION, **metadata}
    base.executemany("INSERT INTO metadata VALUES (?, ?)", values.items())
    rows = [(z, x, 2**z - 1 - y, content) for z, x, y, content in tiles_of(folder)]
    if deduplicated:
        base.execute("CREATE TABLE map (zoom_level integer, tile_column integer, tile_row integer, tile_id text)")
        base.execute("CREATE TABLE images (tile_id text PRIMARY KEY, tile_data blob)")
        base.execute("CREATE VIEW tiles AS SELECT zoom_level, tile_column, tile_row, tile_data FROM map "
                     "JOIN images USING (tile_id)")
        base.executemany("INSERT INTO map VALUES (?, ?, ?, ?)", [(z, x, y, f"{z}-{x}-{y}") for z, x, y, _ in rows])
        base.executemany("INSERT INTO images VALUES (?, ?)", [(f"{z}-{x}-{y}", content) for z, x, y, content in rows])
        base.execute("CREATE UNIQUE INDEX i ON map (zoom_level, tile_column, tile_row)")
    else:
        base.execute("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)")
        base.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
        base.execute("CREATE UNIQUE INDEX i ON tiles (zoom_level, tile_column, tile_row)")
    base.commit()
    base.close()
    return to


def pmtiles(folder: Path, to: Path, kind: TileType = TileType.PNG, **header: object) -> Path:
    found = sorted((zxy_to_tileid(z, x, y), content) for z, x, y, content in tiles_of(folder))
    zooms = [z for z, *_ in tiles_of(folder)]
    with to.open("wb") as file:
        writer = Writer(file)
        for number, content in found:
            writer.write_tile(number, content)
        writer.finalize({"tile_type": kind, "tile_compression": Compression.NONE, "min_zoom": min(zooms),
                         "max_zoom": max(zooms), "center_zoom": min(zooms),
                         "min_lon_e7": 0, "min_lat_e7": 0, "max_lon_e7": 1, "max_lat_e7": 1,
                         "center_lon_e7": 0, "center_lat_e7": 0, **header},
                        {"attribution": ATTRIBUTION})
    return to
