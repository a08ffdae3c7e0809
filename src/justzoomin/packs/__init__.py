"""Packs: map, index, model and calibration of one place in one folder, bound by hashes."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
