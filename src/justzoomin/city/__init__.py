"""The synthetic city: a world, its overhead image and its street photos, in the dataset card's format."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
