"""Where photos are, where they were taken and by which camera: readers of EXIF, tables, GPX tracks and Mapillary JSON."""

from justzoomin.sources.options import SourceOptions
from justzoomin.sources.reading import KINDS, Source, read_source
from justzoomin.sources.records import Camera, PhotoRecord, Projection, Skipped

__all__ = ["KINDS", "Camera", "PhotoRecord", "Projection", "Skipped", "Source", "SourceOptions", "read_source"]
