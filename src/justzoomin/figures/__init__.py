"""Figures: panels, overviews, sheets and zoom animations, good enough for a paper."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
