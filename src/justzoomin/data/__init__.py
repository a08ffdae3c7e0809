"""Datasets: repositories in the card's layout, split tables, photos, torch datasets, augmentation.

Modules that need torch or polars are imported on first use: reading a dataset does not load torch, and localizing a photo does
not load polars.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
