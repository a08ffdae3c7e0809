"""From a photo to a Fix: view vectors of a map, greedy zooming, and the Localizer."""

from justzoomin.search.fix import Fix, credible_radius_m
from justzoomin.search.greedy import Paths, along_path, greedy
from justzoomin.search.localizer import Localizer, NotTrainedHereWarning, check_fits, read_photo
from justzoomin.search.view_vectors import ViewVectors

__all__ = [
    "Fix", "Localizer", "NotTrainedHereWarning", "Paths", "ViewVectors", "along_path", "check_fits",
    "credible_radius_m", "greedy", "read_photo",
]
