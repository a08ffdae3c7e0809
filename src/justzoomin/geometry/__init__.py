"""The sphere, regions and zoom grids. Positions are (lat, lon) in degrees, WGS 84."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
