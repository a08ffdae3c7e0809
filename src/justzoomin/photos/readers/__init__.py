"""Where photos are, where they were taken and by which camera: readers of EXIF, tables, GPX tracks and Mapillary JSON."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
