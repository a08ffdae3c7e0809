"""Posteriors over a grid's terminal cells: the probable positions of a photo, and decisions from them. Needs only numpy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
