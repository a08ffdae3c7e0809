"""TAR shards: index, read and write them, and check whether a download or an extraction is complete."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
