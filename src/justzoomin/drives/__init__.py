"""Recordings of drives: sources of timed photos, the tracker that follows them, and fixes as ROS messages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
