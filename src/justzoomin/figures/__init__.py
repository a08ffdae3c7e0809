"""Figures: panels, overviews, sheets and zoom animations, good enough for a paper."""

from justzoomin.figures.audit_figure import audit_figure
from justzoomin.figures.case import Case, PathView, pixel_of
from justzoomin.figures.comparison_figures import comparison_figures
from justzoomin.figures.contact_sheet import contact_sheet
from justzoomin.figures.heat_map import heat_map
from justzoomin.figures.overview import overview
from justzoomin.figures.panel import path_panel
from justzoomin.figures.pictures import ViewPictures, build_case
from justzoomin.figures.reliability_figure import reliability_figure
from justzoomin.figures.save import check_format, safe_stem, save_figure
from justzoomin.figures.sheet import sheet
from justzoomin.figures.stage import heat_figure, localize_figure, visualize
from justzoomin.figures.zoom_gif import zoom_gif

__all__ = [
    "Case",
    "PathView",
    "ViewPictures",
    "audit_figure",
    "build_case",
    "check_format",
    "comparison_figures",
    "contact_sheet",
    "heat_figure",
    "heat_map",
    "localize_figure",
    "overview",
    "path_panel",
    "pixel_of",
    "reliability_figure",
    "safe_stem",
    "save_figure",
    "sheet",
    "visualize",
    "zoom_gif",
]
