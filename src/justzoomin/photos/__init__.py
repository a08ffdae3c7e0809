"""Your own photos: where they were taken, what their cameras do, and a dataset made of them."""

from justzoomin.photos.records import Camera, PhotoRecord, Projection, Skipped

__all__ = ["Camera", "PhotoRecord", "Projection", "Skipped"]
