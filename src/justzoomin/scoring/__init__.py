"""Scores: the predictions file, figures with intervals, rows that need no model, comparisons. It does not import torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
