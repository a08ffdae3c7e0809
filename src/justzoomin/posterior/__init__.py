"""What is believed about a photo's place: a posterior over a grid's terminal cells, and what follows from it. numpy only."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
