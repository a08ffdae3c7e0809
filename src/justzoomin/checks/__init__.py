"""Everything that judges data: map check, region fit, verification, leak audit and the check before publishing."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
