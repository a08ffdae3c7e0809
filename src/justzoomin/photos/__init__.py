"""Your own photos: where they were taken, what their cameras do, and a dataset made of them."""

from justzoomin.photos.cameras import Undistortion, distort, undistort, undistortion
from justzoomin.photos.importing import import_photos
from justzoomin.photos.panoramas import Crop, crops, cut
from justzoomin.photos.records import Camera, PhotoRecord, Projection, Skipped
from justzoomin.photos.report import BY_RULE, ImportReport
from justzoomin.photos.settings import ImportSettings, SplitSettings
from justzoomin.photos.source_options import SourceOptions
from justzoomin.photos.sources import KINDS, Source, read_source
from justzoomin.photos.splits import Splits, assign_splits

__all__ = [
    "BY_RULE", "KINDS", "Camera", "Crop", "ImportReport", "ImportSettings", "PhotoRecord", "Projection", "Skipped", "Source",
    "SourceOptions", "SplitSettings", "Splits", "Undistortion", "assign_splits", "crops", "cut", "distort", "import_photos",
    "read_source", "undistort", "undistortion",
]
