"""Publishing on the hub: cards, the rules that an upload must meet, and the uploads of models, datasets and packs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
