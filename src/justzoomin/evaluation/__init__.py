"""Evaluation: predictions of a split, reports, and calibration on held-out photos."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
