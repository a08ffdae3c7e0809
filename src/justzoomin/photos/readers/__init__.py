"""Read which photos there are, where they were taken and by which camera: EXIF, tables, GPX tracks, Mapillary JSON."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
