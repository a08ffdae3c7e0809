"""Datasets: repositories in the card's layout, split tables, photos, torch datasets, augmentation.

What needs torch or polars is imported when it is first asked for: looking at a dataset does not wait for torch, and localizing
a photo not for tables.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
