"""Datasets from the hub: planned, fetched, checked, unpacked."""

from justzoomin.hub.fetching import download
from justzoomin.hub.plan import DownloadPlan, PlannedFile, plan_download
from justzoomin.hub.retry import Retry
from justzoomin.hub.selection import PUBLISHED, Selection
from justzoomin.hub.unpacking import ExtractReport, extract

__all__ = [
    "PUBLISHED", "DownloadPlan", "ExtractReport", "PlannedFile", "Retry", "Selection", "download", "extract",
    "plan_download",
]
