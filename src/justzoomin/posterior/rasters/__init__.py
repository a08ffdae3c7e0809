"""Posteriors and priors as georeferenced rasters: a room of its own, because it stands above `imagery`, which opens rasters.

`posterior` itself is below every map and needs no rasterio.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
