"""Tiles: their layout and projection, and where they come from: folders, shards, packages and servers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
