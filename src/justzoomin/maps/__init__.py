"""Overhead maps: layouts, tile sources (folders, TAR shards in place) and the drawing of views."""

from justzoomin.maps.gridviews import GridViews
from justzoomin.maps.layout import CARD_LAYOUT, TileLayout
from justzoomin.maps.map import Map, Square, View
from justzoomin.maps.projection import TileProjection
from justzoomin.maps.shardwriter import ShardWriter
from justzoomin.maps.sources import FolderSource, ShardSource, TileId, TileSource, TileTable
from justzoomin.maps.summary import LevelInfo, MapInfo
from justzoomin.maps.tarshards import TarShards

__all__ = [
    "CARD_LAYOUT", "FolderSource", "GridViews", "LevelInfo", "Map", "MapInfo", "ShardSource", "ShardWriter", "Square",
    "TarShards", "TileId", "TileLayout", "TileProjection", "TileSource", "TileTable", "View",
]
