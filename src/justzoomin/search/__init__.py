"""From a photo to a Fix: view vectors of a map, the index that keeps them, searches, the Localizer, bulk work, drives."""

from justzoomin.search.beam import Beam, beam
from justzoomin.search.bulk import BulkReport, localize_to_file
from justzoomin.search.exact import exact
from justzoomin.search.fix import Fix, credible_radius_m
from justzoomin.search.fix_files import FORMATS, check_suffix
from justzoomin.search.greedy import Paths, along_path, greedy
from justzoomin.search.index import IndexHead, MapIndex, Precision
from justzoomin.search.indexing import build_index, build_part, index_blocks
from justzoomin.search.localizer import Localizer, read_photo
from justzoomin.search.matching import MAX_PLACES, GroundMap
from justzoomin.search.retrieval import CellScores, cell_scores, path_scores
from justzoomin.search.scorer import Scorer, scorer
from justzoomin.search.searches import Search, choose_search, parse_search
from justzoomin.search.tracking import TrackPoint, geojson, gpx, photo_posteriors, track_points
from justzoomin.search.trained import NotTrainedHereWarning, check_fits, warn_foreign_map
from justzoomin.search.view_vectors import DrawnViews, ViewVectors, photo_vectors, views_of

__all__ = [
    "FORMATS", "MAX_PLACES", "Beam", "BulkReport", "CellScores", "DrawnViews", "Fix", "GroundMap", "IndexHead", "Localizer",
    "MapIndex", "NotTrainedHereWarning", "Paths", "Precision", "Scorer", "Search", "TrackPoint", "ViewVectors", "along_path",
    "beam", "build_index", "build_part", "cell_scores", "check_fits", "check_suffix", "choose_search", "credible_radius_m",
    "exact", "geojson", "gpx", "greedy", "index_blocks", "localize_to_file", "parse_search", "path_scores",
    "photo_posteriors", "photo_vectors", "read_photo", "scorer", "track_points", "views_of", "warn_foreign_map",
]
