"""From located photos to a dataset: cameras, quality, splits, and writing."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
