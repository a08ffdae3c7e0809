"""Hashes of a map's tiles: the key of everything that is made from them and kept.

A digest over all bytes is exact, but takes as long as reading them. A stamp over what the file system knows of the files is
quick. If the stamp equals the one recorded with a digest, that digest is used; else the bytes are read.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from justzoomin.errors import TileError
from justzoomin.geometry import Cell, LatLon, ViewLayers, ZoomGrid
from justzoomin.maps.map import Map
from justzoomin.parallel import ordered_map
from justzoomin.tiles import TileId, TileProjection, TileSource, TileTable

if TYPE_CHECKING:
    from justzoomin.maps.windows import Windows

Progress = Callable[[int, int], None]
"""Called with the number of hashed tiles and of all tiles."""
_HEX = re.compile(r"[0-9a-f]{64}")
_PART = 64
_SETTLE_S = 0.05
_SAMPLED = 12
_SLACK = 1e-3
"""Relative error of a level's scale: it is computed at some cells, and may be this much larger or smaller between them."""
_AGAIN = "Wait until nothing writes to the map, and run the command again."


@dataclass(frozen=True)
class MapContent:
    """The content of some levels of a map, as hashes.

    Args:
        digest: SHA-256 in hex over the layout and every tile of the levels: its number, size and bytes. It is the same for
            shards, single files and copies.
        stamp: SHA-256 in hex over the layout and the names, sizes and times of all files that hold the tiles. It belongs to
            this copy on this disk.
        levels: The levels, coarsest first.
    """

    digest: str
    stamp: str
    levels: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {**asdict(self), "levels": list(self.levels)}

    @classmethod
    def from_dict(cls, values: object, where: str | Path) -> MapContent:
        """Read the result of `to_dict`.

        Raises:
            TileError: If the values are anything else; it names `where`.
        """
        if isinstance(values, dict) and values.keys() == {"digest", "stamp", "levels"}:
            digest, stamp, levels = values["digest"], values["stamp"], values["levels"]
            if all(isinstance(v, str) and _HEX.fullmatch(v) for v in (digest, stamp)) and isinstance(levels, list) \
                    and 0 < len(levels) <= 256 and all(type(v) is int and abs(v) < 1000 for v in levels) \
                    and levels == sorted(set(levels)):
                return cls(digest, stamp, tuple(levels))
        raise TileError(where, "it does not hold the hashes of a map's tiles", "Build it again.")


def map_content(source: Map, levels: Sequence[int], known: MapContent | Sequence[MapContent] | None = None,
                progress: Progress | None = None) -> MapContent:
    """Return the present content of some levels of a map; shards and packages are opened again.

    Args:
        source: The map.
        levels: The levels, in any order.
        known: One or several earlier records. If levels and stamp of one are the present ones, its digest is used and no
            tile is read.
        progress: Called while tiles are read.

    Raises:
        TileError: If the tiles come from a server, cannot be read, or change meanwhile.
    """
    wanted = tuple(sorted(set(levels)))
    # An open source still reads the old shard after another file has replaced it.
    tiles = source.source.afresh()
    layout = _layout_text(source)
    stamp = _stamp(tiles, layout, wanted)
    for record in (known,) if isinstance(known, MapContent) else known or ():
        if record.levels == wanted and record.stamp == stamp:
            return record
    digest = _digest(tiles, layout, wanted, progress)
    if _stamp(source.source.afresh(), layout, wanted) != stamp:
        raise TileError(source.name, "its tiles changed while they were read", _AGAIN)
    return MapContent(digest, stamp, wanted)


def view_levels(source: Map, layers: ViewLayers, pixels: int) -> tuple[int, ...]:
    """Return the levels of a map that the views of layers are drawn from at a size in pixels.

    The scale of a projection changes from place to place. So the level is computed at all cells of a grid level if they are
    few, else at cells spread over the region, with its corners. A level that is nearly chosen is included too.

    Raises:
        GeometryError: If the projection fails in the region.
    """
    return _levels_at(source, ((cell.centre, cell.size_m * layer.scale / pixels)
                               for layer in layers.layers for cell in _spread_cells(layers.grid, layer.level)))


def window_levels(windows: Windows) -> tuple[int, ...]:
    """Return the levels of a map that the pictures of windows are drawn from; see `view_levels`.

    Raises:
        GeometryError: If the projection fails in the region.
    """
    lines = _spread(windows.side)
    return _levels_at(windows.source, ((windows.centre(row * windows.side + column), windows.size_m / windows.pixels)
                                       for row in lines for column in lines))


def _levels_at(source: Map, places: Iterable[tuple[LatLon, float]]) -> tuple[int, ...]:
    """Return the levels for pictures at some centres, each with its metres per pixel."""
    projection = TileProjection(source.layout, source.name)
    found: set[int] = set()
    for centre, resolution in places:
        scale = projection.pixels_per_metre(*centre)
        found.update(projection.finer_level(scale, *centre, resolution * (1.0 + slack))[0] for slack in (-_SLACK, _SLACK))
    return tuple(sorted(found))


def _spread_cells(grid: ZoomGrid, depth: int) -> Iterator[Cell]:
    """Return some cells of a level, among them the first and last row and column."""
    lines = _spread(grid.grid**depth)
    for row in lines:
        for column in lines:
            actions = []
            for step in range(depth - 1, -1, -1):
                part = grid.grid**step
                actions.append(row // part % grid.grid * grid.grid + column // part % grid.grid)
            yield grid.cell(actions)


def _spread(side: int) -> list[int]:
    """Return up to `_SAMPLED` of the numbers below `side`, with the first and the last."""
    spread: list[int] = np.unique(np.linspace(0, side - 1, min(side, _SAMPLED)).astype(np.int64)).tolist()
    return spread


def _layout_text(source: Map) -> bytes:
    """Return the layout as JSON for hashes, without path and address of its tiles."""
    place = {key: value for key, value in source.layout.to_mapping().items() if key not in {"path", "url"}}
    return json.dumps(place, sort_keys=True).encode()


def _stamp(source: TileSource, layout: bytes, levels: tuple[int, ...]) -> str:
    """Return a hash of names, sizes, times and file numbers of the files that hold tiles.

    It includes the time of a file's last change of any kind (ctime), which the system sets and which cannot be reset like the
    time of writing. Clocks of file systems are coarse, so the function waits if a file was changed a moment ago.
    """
    while True:
        digest = hashlib.sha256(layout)
        newest = 0
        for name, status in source.files(levels):
            digest.update(f"{name!r} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\n".encode())
            newest = max(newest, status.st_ctime_ns)
        age = time.time() - newest / 1e9
        if not 0.0 <= age < _SETTLE_S:
            return digest.hexdigest()
        time.sleep(_SETTLE_S)


def _digest(source: TileSource, layout: bytes, levels: tuple[int, ...], progress: Progress | None) -> str:
    """Return the SHA-256 in hex over the layout and every tile of the levels."""
    tables = [source.table(level) for level in levels]
    total, done = sum(len(table) for table in tables), 0
    digest = hashlib.sha256(layout)
    for table in tables:
        digest.update(f"level {table.level}: {len(table)} tiles".encode())
        digest.update(np.ascontiguousarray(np.column_stack([table.tiles, table.sizes]), "<i8").tobytes())
        parts = range(0, len(table), _PART)
        for hashes in ordered_map(lambda first, table=table: _hashes(source, table, first), parts):  # type: ignore[misc]
            digest.update(hashes)
            done += len(hashes) // 32
            if progress is not None:
                progress(done, total)
    return digest.hexdigest()


def _hashes(source: TileSource, table: TileTable, first: int) -> bytes:
    """Return the SHA-256 of each of some tiles, joined."""
    found = []
    for (x, y), size in zip(table.tiles[first:first + _PART].tolist(), table.sizes[first:first + _PART].tolist(), strict=True):
        tile = TileId(table.level, x, y)
        content = source.read(tile)
        if content is None or len(content) != size:
            raise TileError(source.describe(tile), "the tile changed while the map was read", _AGAIN)
        found.append(hashlib.sha256(content).digest())
    return b"".join(found)
