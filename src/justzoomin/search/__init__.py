"""From a photo to a Fix: view vectors of a map, the index that keeps them, searches, the Localizer, bulk work, drives."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
