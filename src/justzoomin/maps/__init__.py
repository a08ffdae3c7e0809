"""Overhead maps: layouts, tile sources (folders, TAR shards in place) and the drawing of views."""

from justzoomin.maps.cellcover import CellCover, cell_places
from justzoomin.maps.check import LevelCheck, MapCheck, check_map
from justzoomin.maps.completeness import (
    BUILD_RECORD,
    DownloadRecord,
    ExtractRecord,
    check_hashes,
    extract_command,
    require_complete,
)
from justzoomin.maps.content import MapContent, map_content, view_levels
from justzoomin.maps.filekind import PICTURE_FORMATS, is_heic, looks_like, too_many_scans
from justzoomin.maps.filestamps import FileProblem, FileStamp, compare_files, plain_path
from justzoomin.maps.fit import RegionFit, fit_region, open_unplaced, region_path
from justzoomin.maps.gridviews import GridViews
from justzoomin.maps.inspection import TileInventory, TilePiece
from justzoomin.maps.jpegfaults import decoded_jpeg, mended_jpegs
from justzoomin.maps.layerviews import LayerViews
from justzoomin.maps.layout import AERIAL_ATTRIBUTION, CARD_LAYOUT, TileLayout
from justzoomin.maps.look import look_alike, region_look
from justzoomin.maps.map import Map, Square, View
from justzoomin.maps.needs import ViewNeed, view_needs
from justzoomin.maps.opening import find_region, layout_folder
from justzoomin.maps.packages import PACKAGE_SUFFIXES, is_package, open_package
from justzoomin.maps.projection import TileProjection
from justzoomin.maps.scale import OFF_SCALE, ViewScale, grid_scale, scale_warning, utm_zone, view_scale
from justzoomin.maps.shardwriter import ShardWriter
from justzoomin.maps.sources import SHARD_PATTERN, FolderSource, ShardSource, TileId, TileSource, TileTable
from justzoomin.maps.squares import FitSquare
from justzoomin.maps.summary import LevelInfo, MapInfo
from justzoomin.maps.tarindex import check_shard
from justzoomin.maps.tarshards import TarShards
from justzoomin.maps.tilequality import LevelQuality
from justzoomin.maps.tiles import decode_tile
from justzoomin.maps.tileserver import ServerSource, TileServer, web_layout
from justzoomin.maps.urltemplate import is_address
from justzoomin.maps.viewbuild import ViewCacheBuild, build_view_cache
from justzoomin.maps.viewcache import ViewCache
from justzoomin.maps.viewfinder import cache_notes, find_view_cache
from justzoomin.maps.windows import Windows
from justzoomin.maps.wmts import read_capabilities

__all__ = [
    "AERIAL_ATTRIBUTION", "BUILD_RECORD", "CARD_LAYOUT", "OFF_SCALE", "PACKAGE_SUFFIXES", "PICTURE_FORMATS",
    "SHARD_PATTERN", "CellCover", "DownloadRecord", "ExtractRecord", "FileProblem", "FileStamp", "FitSquare",
    "FolderSource", "GridViews", "LayerViews", "LevelCheck", "LevelInfo", "LevelQuality", "Map", "MapCheck", "MapContent",
    "MapInfo", "RegionFit", "ServerSource", "ShardSource", "ShardWriter", "Square", "TarShards", "TileId", "TileInventory",
    "TileLayout", "TilePiece", "TileProjection", "TileServer", "TileSource", "TileTable", "View", "ViewCache",
    "ViewCacheBuild", "ViewNeed", "ViewScale", "Windows", "build_view_cache", "cache_notes", "cell_places", "check_hashes",
    "check_map", "check_shard", "compare_files", "decode_tile", "decoded_jpeg", "extract_command", "find_region",
    "find_view_cache", "fit_region", "grid_scale", "is_address", "is_heic", "is_package", "layout_folder", "look_alike",
    "looks_like", "map_content", "mended_jpegs", "open_package", "open_unplaced", "plain_path", "read_capabilities",
    "region_look", "region_path", "require_complete", "scale_warning", "too_many_scans", "utm_zone", "view_levels",
    "view_needs", "view_scale", "web_layout",
]
