"""Located photos to a dataset: cameras, quality, splits, and the writing of it."""

from justzoomin.photos.cameras import Undistortion, distort, undistort, undistortion
from justzoomin.photos.importing import import_photos
from justzoomin.photos.panoramas import Crop, Pose, crops, cut
from justzoomin.photos.report import BY_RULE, ImportReport
from justzoomin.photos.settings import ImportSettings, SplitSettings
from justzoomin.photos.splits import Splits, assign_splits

__all__ = [
    "BY_RULE", "Crop", "ImportReport", "ImportSettings", "Pose",
    "SplitSettings", "Splits", "Undistortion", "assign_splits", "crops", "cut", "distort", "import_photos",
    "undistort", "undistortion",
]
