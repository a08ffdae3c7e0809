"""Training: settings, the tasks of the families, and runs that resume exactly."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
