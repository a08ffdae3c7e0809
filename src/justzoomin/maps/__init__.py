"""A map and its views: opening, drawing, the views of a grid and the view cache."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
