"""From a photo to a Fix: view vectors of a map, the index that keeps them, greedy zooming, the Localizer, bulk work."""

from justzoomin.search.bulk import BulkReport, localize_to_file
from justzoomin.search.fix import Fix, credible_radius_m
from justzoomin.search.fix_files import FORMATS, check_suffix
from justzoomin.search.greedy import Paths, along_path, greedy
from justzoomin.search.index import IndexHead, MapIndex, Precision
from justzoomin.search.indexing import build_index, build_part, index_blocks
from justzoomin.search.localizer import Localizer, NotTrainedHereWarning, check_fits, read_photo
from justzoomin.search.retrieval import CellScores, cell_scores, path_scores
from justzoomin.search.view_vectors import DrawnViews, ViewVectors, views_of

__all__ = [
    "FORMATS", "BulkReport", "CellScores", "DrawnViews", "Fix", "IndexHead", "Localizer", "MapIndex",
    "NotTrainedHereWarning", "Paths", "Precision", "ViewVectors", "along_path", "build_index", "build_part", "cell_scores",
    "check_fits", "check_suffix", "credible_radius_m", "greedy", "index_blocks", "localize_to_file", "path_scores",
    "read_photo", "views_of",
]
