"""The service without HTTP: a queue of photos, sessions with corrections, jobs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
