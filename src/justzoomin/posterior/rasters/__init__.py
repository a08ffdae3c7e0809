"""Posteriors and priors as georeferenced rasters.

This is a separate room, because it uses `imagery`, which opens rasters; `posterior` uses no map and does not need rasterio.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
