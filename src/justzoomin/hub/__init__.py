"""Datasets from the hub: planned, fetched, checked, unpacked."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
