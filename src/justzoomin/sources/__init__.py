"""Where photos are, where they were taken and by which camera: readers of EXIF, tables, GPX tracks and Mapillary JSON."""

from justzoomin.sources.options import SourceOptions
from justzoomin.sources.reading import KINDS, Source, read_source
from justzoomin.sources.records import NOT_A_PHOTO, Camera, PhotoRecord, Projection, Skipped
from justzoomin.sources.times import PhotoTime, times_from_exif, times_from_table

__all__ = ["KINDS", "NOT_A_PHOTO", "Camera", "PhotoRecord", "PhotoTime", "Projection", "Skipped", "Source", "SourceOptions",
           "read_source", "times_from_exif", "times_from_table"]
