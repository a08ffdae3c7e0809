"""Datasets from the hub: plan, download, check and unpack them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
